"""chashsubset: the key chooses a subset of endpoints by a ring, a draw chooses within it.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chashsubset.lua at dbb11b92. The
list is cut in list order into ceil(n / S) groups of S (the last one padded from the start of the
list, so the first endpoints may stand in two), named set1, set2, ...; each name has 160 points. Any
change of the list cuts anew. A draw is used even for S = 1. Cost per pick: O(log points), one draw.

The ring of K names is a subsequence of that of more names, so a change sorts nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rings import arcs, ketama_points, ring_find
from lbbench.core.rng import lua_random


class ChashsubsetState(NamedTuple):
    """A ring of subset names; M points of the largest number of subsets."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] subset numbers
    hash: np.ndarray  # uint32[M] points of the subsets in use
    owner: np.ndarray  # int64[M]
    number: np.ndarray  # int64[3] points in use, subset size, endpoints


SIZE, SUBSET, LISTED = range(3)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> ChashsubsetState:
    """Return the ring of all subset names that can occur.

    Raises
    ------
    ValueError
        When ``subset_size`` is below 1.
    """
    subset = int(params["subset_size"])
    if subset < 1:
        raise ValueError("chashsubset: subset_size must be at least 1")
    most = max(-(-len(endpoints) // subset), 1)
    hashes, owners = ketama_points([f"set{k + 1}" for k in range(most)])
    return ChashsubsetState(
        all_hash=hashes,
        all_owner=owners,
        hash=np.zeros(len(hashes), np.uint32),
        owner=np.zeros(len(hashes), np.int64),
        number=np.array([0, subset, 0], np.int64),
    )


def on_endpoints(
    state: ChashsubsetState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Cut the list into subsets anew."""
    subset = state.number[SUBSET]
    subsets = (len(new) + subset - 1) // subset
    size = 0
    for point in range(len(state.all_hash)):
        if state.all_owner[point] < subsets:
            state.hash[size] = state.all_hash[point]
            state.owner[size] = state.all_owner[point]
            size += 1
    state.number[SIZE] = size
    state.number[LISTED] = len(new)


def pick(
    state: ChashsubsetState,
    rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return a position drawn from the key's subset, -1 without endpoints."""
    if state.number[LISTED] == 0:
        return -1
    owner = state.owner[ring_find(state.hash, state.number[SIZE], key)]
    drawn = lua_random(rng, 1, state.number[SUBSET]) - 1
    return (owner * state.number[SUBSET] + drawn) % state.number[LISTED]


def shares(state: ChashsubsetState, n: int) -> np.ndarray:
    """Return the share of the hash space of every listed endpoint, float64[n]."""
    size, subset = int(state.number[SIZE]), int(state.number[SUBSET])
    subsets = -(-n // subset)
    by_subset = arcs(state.hash[:size], state.owner[:size], subsets) / 2.0**32
    made = np.zeros(n)
    for k in range(subsets * subset):
        made[k % n] += by_subset[k // subset] / subset
    return made


CHASHSUBSET = Balancer(
    name="chashsubset",
    level="l7",
    summary="ingress-nginx upstream-hash-by-subset: ring of subsets, draw within",
    source="kubernetes/ingress-nginx lua/balancer/chashsubset.lua@dbb11b92",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"subset_size": 3}),
    scope="shared",
    clock="ms",
    cost="O(log points), one draw",
)
