"""envoy_random: Envoy's ``RANDOM``, a healthy host drawn uniformly, whatever its weight.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/random/random_lb.cc at
a19aa540. What it has beyond `random` is outlier detection and panic, see
`lbbench.balancers.envoy_outlier` and `envoy_hosts`; all worker threads of an Envoy count a host's
errors together. A retry is drawn for anew.

Deviations: those of these two modules; one stream of draws per Envoy, not per thread. Units:
seconds. Cost per pick: one draw, O(1); a tick or a change O(n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.envoy_hosts import (
    HEALTH,
    NONE,
    PARAMS,
    USABLE,
    attend,
    done,
    gather,
    host_fields,
    list_hosts,
)
from lbbench.balancers.envoy_outlier import SWITCHES
from lbbench.core.rng import uniform


class RandomHosts(NamedTuple):
    """The hosts of one Envoy; E exist in the run."""

    panic: np.ndarray  # float64[1] see envoy_hosts.host_fields
    number: np.ndarray  # int64[5]
    ids: np.ndarray  # int64[E]
    usable: np.ndarray  # int64[E]
    weight: np.ndarray  # int64[E]
    outlier: np.ndarray  # float64[7] see envoy_outlier.detector_fields
    health: np.ndarray  # int64[3, E]
    ejected_at: np.ndarray  # float64[E]
    detector: np.ndarray  # int64[2]


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RandomHosts:
    """Return the state before it has a list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return RandomHosts(**host_fields("envoy_random", params, endpoints))


def on_endpoints(
    state: RandomHosts, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take the list ``new``."""
    list_hosts(state, old, new, now)


def pick(
    state: RandomHosts,
    rng: np.ndarray,
    now: float,
    _key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the floor(u n)-th usable host, -1 without one (nothing is drawn)."""
    if attend(state, now, tried):
        gather(state)
    n = state.number[USABLE]
    if n == 0:
        return NONE
    return state.usable[int(uniform(rng) * n)]


ENVOY_RANDOM = Balancer(
    name="envoy_random",
    level="l7",
    summary="Envoy's RANDOM: uniform draw per attempt among healthy hosts",
    source="envoyproxy/envoy source/extensions/load_balancing_policies/random/"
    "random_lb.cc@a19aa540",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=PARAMS,
    switches=SWITCHES,
    scope="replica",
    common=HEALTH,
    independent=True,
    cost="O(1), one draw",
    differs=(("random", "can eject hosts that fail, and panics when too few are left"),),
)
