"""peak_ewma_tower: the Peak EWMA of the Linkerd 2 proxy, which begins with a default response time.

Original: tower-rs/tower tower/src/load/peak_ewma.rs at 00329237 and
tower/src/balance/p2c/service.rs at 1467321f. As `peak_ewma`, but an endpoint begins with the cost
``default_rtt`` instead of 0 and the penalty, so new endpoints are not explored one request at a
time, and where all are new the one with fewer outstanding wins. The first drawn stays on a tie. The
library's default is 1 s, that of the Linkerd 2 proxy 30 ms (``default_rtt``).

Deviations: those of `lbbench.balancers.peak_cost`; all endpoints are ready. An answer ends with its
last byte here, in the proxy's default with its first. Retries are picked for anew. Units: seconds.
Cost per pick: two draws and two exp, O(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.figures import seconds
from lbbench.balancers.peak_cost import (
    COMMON,
    PeakCosts,
    costs,
    done,
    observe,
    on_endpoints,
    second_of_two,
)
from lbbench.core.rng import uniform


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> PeakCosts:
    """Return a process's state before it has a list.

    Raises
    ------
    BalancerError
        When ``tau`` or ``default_rtt`` is no time above 0.
    """
    first = seconds("peak_ewma_tower", params, "default_rtt", above=True)
    return costs("peak_ewma_tower", params, endpoints, first)


def load(state: PeakCosts, place: int, now: float, busy: np.ndarray) -> float:
    """Return the load at a position; this decays and restamps its cost."""
    return observe(state, state.ids[place], now, 0.0) * (busy[place] + 1)


def pick(
    state: PeakCosts,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position with the lower load of two drawn, the first on a tie, -1 for none."""
    n = len(busy)
    if n <= 1:
        return n - 1
    first = int(uniform(rng) * n)
    second = second_of_two(rng, first, n)
    if load(state, first, now, busy) <= load(state, second, now, busy):
        return first
    return second


PEAK_EWMA_TOWER = Balancer(
    name="peak_ewma_tower",
    level="l7",
    summary="Linkerd 2's Peak EWMA: lower response time times outstanding + 1 of two drawn",
    source="tower-rs/tower tower/src/load/peak_ewma.rs@00329237",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"tau": "10s", "default_rtt": "30ms"}),
    scope="replica",
    common=COMMON,
    cost="O(1), two draws and two exp",
    differs=(
        (
            "peak_ewma",
            "takes a host that it has not measured for a fast one, instead of shutting it off",
        ),
    ),
)
