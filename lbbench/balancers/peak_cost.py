"""The load of Peak EWMA: a response time that jumps up and decays, times what is outstanding.

Originals: twitter/finagle finagle-core/src/main/scala/com/twitter/finagle/loadbalancer/
PeakEwma.scala at 1e8497ea; tower-rs/tower tower/src/load/peak_ewma.rs at 00329237. An endpoint has
a cost c (seconds) and the time t0 of its last observation. To observe r at ``now``: c = r where r >
c, else c = c w + r (1 - w) with w = exp(-(now - t0) / tau); t0 = now. **A reading is an observation
of 0**: it decays c and restamps it, so the more often an endpoint is looked at, the less a response
that is faster than c weighs. The load is c (p + 1), p being the attempts outstanding there.

Deviations: of a request that is tried again only the last attempt is observed, while the originals
observe the end of each one. p counts every attempt outstanding at the endpoint's address, even if
it has left the list and come back in between. Units: seconds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.figures import seconds
from lbbench.core.rng import uniform

PAIR = 2
TAU, FIRST = range(2)


class PeakCosts(NamedTuple):
    """What one process knows of its endpoints; E exist in the run."""

    rule: np.ndarray  # float64[2] seconds: tau, the cost of an endpoint that is new
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    cost: np.ndarray  # float64[E] seconds, by id
    stamp: np.ndarray  # float64[E] seconds, by id: the last observation


COMMON = ("cost", "stamp")
"""Fields that one process has once."""


def costs(
    name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint], first: float
) -> PeakCosts:
    """Return a process's state before it has a list; a new endpoint costs ``first`` seconds.

    Raises
    ------
    BalancerError
        When ``tau`` is no time above 0.
    """
    n = len(endpoints)
    return PeakCosts(
        rule=np.array([seconds(name, params, "tau", above=True), first]),
        ids=np.zeros(n, np.int64),
        cost=np.full(n, first),
        stamp=np.zeros(n),
    )


def on_endpoints(
    state: PeakCosts, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take the list ``new``; nothing is known of what comes."""
    at = 0
    for k in range(len(new)):
        endpoint = new[k]
        state.ids[k] = endpoint
        while at < len(old) and old[at] < endpoint:  # lists are in order of the ids
            at += 1
        if at == len(old) or old[at] != endpoint:
            state.cost[endpoint] = state.rule[FIRST]
            state.stamp[endpoint] = now


def observe(state: PeakCosts, endpoint: int, now: float, rtt: float) -> float:
    """Take a response time (seconds) of an endpoint id; return its cost."""
    cost = state.cost[endpoint]
    if rtt > cost:
        cost = rtt
    else:
        past = math.exp(-max(now - state.stamp[endpoint], 0.0) / state.rule[TAU])
        cost = cost * past + rtt * (1.0 - past)
    state.cost[endpoint] = cost
    state.stamp[endpoint] = now
    return float(cost)


def done(state: PeakCosts, endpoint: int, now: float, rtt: float, _ok: bool) -> None:  # noqa: FBT001
    """Observe an answer, or a failure: the originals do not tell them apart."""
    observe(state, endpoint, now, rtt)


def second_of_two(rng: np.ndarray, first: int, n: int) -> int:
    """Draw a position other than ``first``, uniformly; of two nothing is drawn."""
    second = int(uniform(rng) * (n - 1)) if n > PAIR else 0
    return second + 1 if second >= first else second
