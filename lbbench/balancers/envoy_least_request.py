"""envoy_least_request: Envoy's ``LEAST_REQUEST``, fewer active requests of two drawn.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/least_request/
least_request_lb.cc at 0a31a547. With equal weights ``choices`` (2) hosts are drawn uniformly **with
replacement**, so with 1/n both are the same; the first drawn stays unless a later one has strictly
fewer active requests. ``full_scan: true`` compares all instead, each of those tied for the fewest
with the same chance. With unequal weights, and in slow start, nothing is drawn: hosts are picked by
deadline with the weight w / (active + 1)^``bias`` at the time when a host is put in, just before
its request counts; ``bias: 0`` is weighted round robin. See `lbbench.balancers.envoy_schedule`.

Active requests are those of the whole Envoy: its threads count together, atomically. A retry is
drawn for anew and may meet the host that failed.

Deviations: those of `lbbench.balancers.envoy_hosts`, `envoy_outlier` and `envoy_schedule`; a single
host costs no draw. A ``bias`` that is given does not bring the deadlines in by itself, as it does
in the newest releases. Units: requests; seconds. Cost per pick: ``choices`` draws; ``full_scan``
O(n) and a draw per tie; by deadline O(log n); the first pick after a change O(n log n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.envoy_hosts import HEALTH, NONE, OWN, USABLE, attend, done
from lbbench.balancers.envoy_schedule import PARAMS as SCHEDULE_PARAMS
from lbbench.balancers.envoy_schedule import (
    SWITCHES,
    Schedule,
    on_endpoints,
    plan,
    schedule,
    scheduled,
)
from lbbench.balancers.figures import number, whole, yes_no
from lbbench.core.rng import uniform

CHOICES, SCAN = range(2)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Schedule:
    """Return a worker's state before it has a list.

    Raises
    ------
    BalancerError
        When an option is out of range; Envoy takes two choices at least.
    """
    name = "envoy_least_request"
    return schedule(
        name,
        params,
        endpoints,
        bias=number(name, params, "bias"),
        choices=whole(name, params, "choices", 2),
        scan=yes_no(name, params, "full_scan"),
    )


def pick(
    state: Schedule,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position with the fewest of those compared, -1 without a usable host."""
    if attend(state, now, tried):
        plan(state, now, busy)
    n = state.number[USABLE]
    if n <= 1:
        return state.usable[0] if n == 1 else NONE
    if state.number[OWN] == 1:
        return scheduled(state, now, busy)
    if state.way[SCAN] == 1:
        return _fewest_of_all(state, rng, busy, n)
    best = state.usable[int(uniform(rng) * n)]
    for _ in range(1, state.way[CHOICES]):
        drawn = state.usable[int(uniform(rng) * n)]
        if busy[drawn] < busy[best]:
            best = drawn
    return best


def _fewest_of_all(state: Schedule, rng: np.ndarray, busy: np.ndarray, n: int) -> int:
    """Return a position with the fewest; the k-th that ties takes the place with 1/k."""
    best = state.usable[0]
    tied = 1
    for k in range(1, n):
        place = state.usable[k]
        if busy[place] < busy[best]:
            best = place
            tied = 1
        elif busy[place] == busy[best]:
            tied += 1
            if int(uniform(rng) * tied) == 0:
                best = place
    return best


ENVOY_LEAST_REQUEST = Balancer(
    name="envoy_least_request",
    level="l7",
    summary="Envoy's LEAST_REQUEST: fewer outstanding at this Envoy of two drawn with replacement",
    source="envoyproxy/envoy source/extensions/load_balancing_policies/least_request/"
    "least_request_lb.cc@0a31a547",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"choices": 2, "full_scan": False, "bias": 1.0, **SCHEDULE_PARAMS}),
    switches=SWITCHES,
    scope="replica",
    common=HEALTH,
    threads=True,
    cost="O(1), two draws",
    differs=(
        ("p2c", "draws with replacement, so two draws may be one host, and counts for all threads"),
        (
            "nginx_random_two",
            "a tie stays with the first draw; unequal weights take turns by deadline, no draws",
        ),
    ),
)
