"""Whether a balancer of somebody's own can be compiled: a call of each of its functions.

The whole kernel takes seconds, and what numba says of it may name any line; this takes half a
second, once: what could be compiled is in the cache, what could not is remembered.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.fault import compiler_says, where_is
from lbbench.balancers.kinds import why_not_arrays
from lbbench.core.held import hold
from lbbench.core.jit import bind, is_disabled
from lbbench.engines.objects import Objects
from lbbench.engines.parts import (
    instance_view,
    no_change,
    no_cookie,
    no_count,
    no_feedback,
    set_cookie,
)

own_at: Any = None  # bound by `bind`, as are the others
own_pick: Any = None
own_done: Any = None
own_changed: Any = None
own_counted: Any = None
own_cookie: Any = None


def trial(states: Any, rng: np.ndarray, by_id: np.ndarray, times: np.ndarray) -> int:
    """Call each function once; ``by_id`` int64[E], ``times`` float64[2]. It is only compiled."""
    state = hold(own_at(states, 0, 0))
    nobody = by_id[:0]
    own_changed(state, rng, nobody, by_id, times[0])
    own_counted(state, by_id[0], by_id[0])
    place = own_pick(state, rng, times[0], by_id[0], by_id, nobody)
    endpoint = by_id[place] if 0 <= place < by_id.size else 0
    own_done(state, endpoint, times[0], times[1], place >= 0)
    return endpoint + own_cookie(state)


def refused(balancer: Balancer, states: Any, common: tuple[str, ...]) -> str | None:
    """Return where and why ``balancer`` cannot be compiled, as a clause; None: it can.

    ``states`` are those of its instances as the plan has them.
    """
    if not balancer.compiled:
        return "it says compiled = False"
    if isinstance(states, Objects):
        return f"{where_is(balancer.state) or 'state'}: what it returns {why_not_arrays(states[0])}"
    if is_disabled():
        return None
    args = (states, np.zeros(4, np.uint64), np.zeros(1, np.int64), np.zeros(2))
    known: tuple[Any, ...] | None = None
    try:
        kernel = bind(
            trial,
            own_at=instance_view(type(states), common),
            own_pick=balancer.pick,
            own_done=balancer.done or no_feedback,
            own_changed=balancer.on_endpoints or no_change,
            own_counted=balancer.on_busy or no_count,
            own_cookie=set_cookie if balancer.cookies else no_cookie,
        )
        known = (kernel.digest, *((array.dtype.str, array.ndim) for array in states))
        if known not in _refused and not kernel.is_cached:
            kernel.prepare(*args)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  (numba raises many kinds)
        place, reason = compiler_says(error, balancer)
        said = f"{place} cannot be compiled: {reason}"
        if known is None:
            return said
        _refused[known] = said
    return _refused.get(known)


_refused: dict[tuple[Any, ...], str] = {}
"""What could not be compiled in this process, and why."""
