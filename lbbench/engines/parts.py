"""The balancers' places in the kernel: names that `bind` replaces by real functions.

``azure_``, ``node_`` and ``pod_`` are the load balancer's, kube-proxy's and the ingress
balancer's; ``_pick``, ``_done``, ``_changed`` (its `on_endpoints`) and ``_counted`` (its
`on_busy`) are the balancer's own, ``_at`` returns one instance's state as views into the stacked
arrays, ``_reset`` makes it new.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lbbench.engines.objects import Objects, object_reset, object_view

MOST_KINDS = 256
"""Kinds of states whose views are remembered."""


def _unbound(*_: Any) -> Any:
    raise NotImplementedError("a part of the kernel was called before it was bound")


azure_pick: Callable[..., int] = _unbound
azure_at: Callable[[Any, int, int], Any] = _unbound
azure_changed: Callable[..., None] = _unbound
azure_counted: Callable[..., None] = _unbound
node_pick: Callable[..., int] = _unbound
node_at: Callable[[Any, int, int], Any] = _unbound
node_changed: Callable[..., None] = _unbound
node_reset: Callable[..., None] = _unbound
pod_pick: Callable[..., int] = _unbound
pod_done: Callable[..., None] = _unbound
pod_at: Callable[[Any, int, int], Any] = _unbound
pod_changed: Callable[..., None] = _unbound
pod_counted: Callable[..., None] = _unbound
pod_reset: Callable[..., None] = _unbound
pod_cookie: Callable[[Any], int] = _unbound
take_step: Callable[..., None] = _unbound
CHANGES: bool = True
"""False: the cluster does not change, so every node is up and every pod's door open, always."""
INGRESS: int = 1
COOKIES: int = 1
SEES_PODS: int = 1
SEES_WORK: int = 1
MS_CLOCK: int = 1
FIRST_COUNTS: int = 1
SHARED: int = 1
QUOTA: int = 1
"""What `Facts` says under these names (0: no quota), known when the kernel is compiled."""


def no_feedback(state: Any, endpoint: int, now: float, rtt: float, ok: bool) -> None:  # noqa: FBT001
    """Stand in for the ``done`` of a balancer that takes no feedback."""


def no_change(state: Any, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float) -> None:
    """Stand in for the ``on_endpoints`` of a balancer that keeps nothing of its list."""


def no_count(state: Any, endpoint: int, busy: int) -> None:
    """Stand in for the ``on_busy`` of a balancer that keeps no order by it."""


def no_cookie(state: Any) -> int:  # noqa: ARG001
    """Stand in for the cookie of a balancer that sets none."""
    return -1


def set_cookie(state: Any) -> int:
    """Return the cookie that the last pick set, -1 for none."""
    return state.set_cookie[0]


def instance_view(kind: type, common: Sequence[str] = ()) -> Callable[[Any, int, int], Any]:
    """Return ``at(stacked, own, common)``: one instance's state as views into stacked arrays.

    The fields named in ``common`` are rows of the second index, the others of the first. The same
    arguments give the same function, so that a kernel is known by its parts.
    """
    if kind is Objects:
        return object_view
    return _view(kind, tuple(common))


@lru_cache(maxsize=MOST_KINDS)
def _view(kind: type, common: tuple[str, ...]) -> Callable[[Any, int, int], Any]:
    fields = ", ".join(f"stacked.{name}[{row}]" for name, row in _rows(kind, common))
    return _made(kind, f"def at(stacked, own, common):\n    return Kind({fields})\n")


def instance_reset(states: Any, common: Sequence[str] = ()) -> Callable[[Any, Any, int, int], None]:
    """Return ``at(stacked, new, own, common)``: makes one instance's state what it is in ``new``.

    ``states`` are stacked arrays of the same kind; compiled code copies them number by number,
    because assigning slices would allocate.
    """
    kind: type = type(states)
    if isinstance(states, Objects):
        return object_reset
    return _reset(kind, tuple(common), tuple(values.ndim - 1 for values in states))


@lru_cache(maxsize=MOST_KINDS)
def _reset(
    kind: type, common: tuple[str, ...], depths: tuple[int, ...]
) -> Callable[[Any, Any, int, int], None]:
    lines = []
    for (name, row), depth in zip(_rows(kind, common), depths, strict=True):
        places = ", ".join([row, *(f"i{k}" for k in range(depth))])
        lines += [
            f"{'    ' * (k + 1)}for i{k} in range(new.{name}.shape[{k + 1}]):" for k in range(depth)
        ]
        lines.append(f"{'    ' * (depth + 1)}stacked.{name}[{places}] = new.{name}[{places}]")
    body = "\n".join(lines)
    return _made(kind, f"def at(stacked, new, own, common):\n{body}\n")


def _rows(kind: type, common: Sequence[str]) -> list[tuple[str, str]]:
    fields = getattr(kind, "_fields")  # noqa: B009
    return [(name, "common" if name in common else "own") for name in fields]


def _made(kind: type, source: str) -> Callable[..., Any]:
    names: dict[str, Any] = {"Kind": kind, "__name__": kind.__module__}
    exec(compile(source, f"<instances of {kind.__qualname__}>", "exec"), names)  # noqa: S102
    made: Callable[..., Any] = names["at"]
    return made


def stacked(own: list[Any], common: list[Any], names: Sequence[str] = ()) -> Any:
    """Return one NamedTuple of arrays with a leading axis over the instances' states.

    The fields in ``names`` are stacked from ``common``, the others from ``own``.
    """
    kind = type(own[0])
    columns = [
        np.stack([np.asarray(state[k]) for state in (common if name in names else own)])
        for k, name in enumerate(kind._fields)
    ]
    return kind(*columns)
