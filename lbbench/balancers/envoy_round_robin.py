"""envoy_round_robin: Envoy's ``ROUND_ROBIN``, a cycle by equal weights, deadlines by unequal ones.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/round_robin at docs 040783c8,
over common/load_balancer_impl.cc at 00cf9a05. With equal weights host number i mod n of the list is
picked, i counting up from a number that each worker thread draws once: it goes on when the list
changes, so a change may skip hosts or repeat them. With unequal weights, and in slow start, hosts
are picked by deadline, see `lbbench.balancers.envoy_schedule`. In panic all hosts have a cycle of
their own. Retries take the next turn.

Deviations: those of `lbbench.balancers.envoy_hosts`, `envoy_outlier` and `envoy_schedule`.
Units: seconds; weights are whole numbers. Cost per pick: O(1), by
deadline O(log n); the first pick after a change O(n log n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.envoy_hosts import ALL, HEALTH, NONE, OWN, USABLE, attend, done
from lbbench.balancers.envoy_schedule import (
    PARAMS,
    SWITCHES,
    Schedule,
    on_endpoints,
    plan,
    schedule,
    scheduled,
)
from lbbench.balancers.weights import weight_shares


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Schedule:
    """Return a worker's state before it has a list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return schedule("envoy_round_robin", params, endpoints)


def pick(
    state: Schedule,
    _rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position whose turn it is, -1 without a host that may be used."""
    if attend(state, now, tried):
        plan(state, now, busy)
    n = state.number[USABLE]
    if n == 0:
        return NONE
    if state.number[OWN] == 1:
        return scheduled(state, now, busy)
    which = state.number[ALL]
    turn = state.cycle[which]
    state.cycle[which] = turn + 1
    return state.usable[turn % n]


ENVOY_ROUND_ROBIN = Balancer(
    name="envoy_round_robin",
    level="l7",
    summary="Envoy's ROUND_ROBIN: a cycle per worker, random start; unequal weights by deadline",
    source="envoyproxy/envoy source/extensions/load_balancing_policies/common/"
    "load_balancer_impl.cc@00cf9a05",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    shares=weight_shares,
    params=PARAMS,
    switches=SWITCHES,
    scope="replica",
    common=HEALTH,
    threads=True,
    cost="O(1), weighted O(log n)",
    differs=(
        ("round_robin", "one cycle per worker thread; unequal weights by deadlines"),
        (
            "nginx_round_robin",
            "starts at random; unequal weights come in order of deadlines, not of running weights",
        ),
    ),
)
