"""peak_ewma: Finagle's Peak EWMA, the lower cost (p + 1) of two drawn, slow answers count at once.

Original: twitter/finagle finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/
PeakEwma.scala at 1e8497ea and p2c/P2CPick.scala at 1f1986d6. Two distinct endpoints are drawn; the
first stays only if its load is strictly lower. An endpoint that has answered nothing yet has load 0
while it is idle, so it is chosen, and 2^47 - 1 + p (Long.MaxValue >> 16) until its first answer: at
most one request at a time explores it. Linkerd 1 has it as an option.

What ingress-nginx calls ``ewma`` has neither the jump, nor the p + 1, nor readings that store: see
`ewma`. The load itself: `lbbench.balancers.peak_cost`.

Deviations: those of `peak_cost`; all endpoints are Open (no failure accrual, no health). Finagle
counts in nanoseconds, here it is seconds, so the penalty is the larger of the two, and above every
other load in both. Retries are picked for anew and may meet the endpoint that failed. Units:
seconds. Cost per pick: two draws and two exp, O(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
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

PENALTY = float((2**63 - 1) >> 16)  # PeakEwma.scala: Penalty


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> PeakCosts:
    """Return a process's state before it has a list.

    Raises
    ------
    BalancerError
        When ``tau`` is no time above 0.
    """
    return costs("peak_ewma", params, endpoints, 0.0)


def load(state: PeakCosts, place: int, now: float, busy: np.ndarray) -> float:
    """Return the load at a position; this decays and restamps its cost."""
    cost = observe(state, state.ids[place], now, 0.0)
    if cost == 0.0 and busy[place] != 0:
        return PENALTY + busy[place]
    return cost * (busy[place] + 1)


def pick(
    state: PeakCosts,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position with the lower load of two drawn, the second on a tie, -1 for none."""
    n = len(busy)
    if n <= 1:
        return n - 1
    first = int(uniform(rng) * n)
    second = second_of_two(rng, first, n)
    if load(state, first, now, busy) < load(state, second, now, busy):
        return first
    return second


PEAK_EWMA = Balancer(
    name="peak_ewma",
    level="l7",
    summary="Finagle's Peak EWMA: lower response time times outstanding + 1 of two drawn",
    source="twitter/finagle finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/"
    "PeakEwma.scala@1e8497ea",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"tau": "10s"}),
    scope="replica",
    common=COMMON,
    cost="O(1), two draws and two exp",
    differs=(
        (
            "ewma",
            "multiplies by what is outstanding, jumps up to a slow answer, decays when read",
        ),
        ("p2c", "weighs what is outstanding by how long answers took"),
    ),
)
