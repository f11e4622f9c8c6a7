"""The balancers' places in the kernel: names that `bind` replaces by real functions.

``azure_``, ``node_`` and ``pod_`` are the load balancer's, kube-proxy's and the ingress
balancer's; ``_pick`` and ``_done`` are the balancer's own, ``_at`` returns one instance's state as
views into the stacked arrays.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def _unbound(*_: Any) -> Any:
    raise NotImplementedError("a part of the kernel was called before it was bound")


azure_pick: Callable[..., int] = _unbound
azure_at: Callable[[Any, int], Any] = _unbound
node_pick: Callable[..., int] = _unbound
node_at: Callable[[Any, int], Any] = _unbound
pod_pick: Callable[..., int] = _unbound
pod_done: Callable[..., None] = _unbound
pod_at: Callable[[Any, int], Any] = _unbound
pod_cookie: Callable[[Any], int] = _unbound


def no_feedback(state: Any, endpoint: int, now: float, rtt: float, ok: bool) -> None:  # noqa: FBT001
    """Stand in for the ``done`` of a balancer that takes no feedback."""


def no_cookie(state: Any) -> int:  # noqa: ARG001
    """Stand in for the cookie of a balancer that sets none."""
    return -1


def set_cookie(state: Any) -> int:
    """Return the cookie that the last pick set, -1 for none."""
    return state.set_cookie[0]


def instance_view(kind: type) -> Callable[[Any, int], Any]:
    """Return ``at(stacked, i)``: instance i's state as views into arrays stacked by `stacked`."""
    fields = getattr(kind, "_fields")  # noqa: B009
    views = ", ".join(f"stacked.{name}[i]" for name in fields)
    source = f"def at(stacked, i):\n    return Kind({views})\n"
    names: dict[str, Any] = {"Kind": kind, "__name__": kind.__module__}
    exec(compile(source, f"<view of {kind.__qualname__}>", "exec"), names)  # noqa: S102
    made: Callable[[Any, int], Any] = names["at"]
    return made


def stacked(states: list[Any]) -> Any:
    """Return one NamedTuple of arrays with a leading axis over the instances' states."""
    kind = type(states[0])
    fields = range(len(kind._fields))
    columns = [np.stack([np.asarray(state[k]) for state in states]) for k in fields]
    return kind(*columns)
