"""chash: ingress-nginx's `upstream-hash-by`, a consistent hash ring of 160 points per endpoint.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chash.lua at dbb11b92 over
openresty/lua-resty-balancer lib/resty/chash.lua and chash.c at 1cd4363c. A pure function of the key
and the endpoint list: the same in every worker and controller pod. **A retry gets the same peer
again.** With an empty key everything goes to one pod.

A list's ring is a subsequence of the ring of all endpoints that ever exist, so a change copies
points and sorts nothing. Deviation: on equal point hashes the endpoint that sorts first wins; in
the original it is the one that its hash table yields first. Cost per pick: O(log points).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rings import arcs, ketama_points, ring_find


class ChashState(NamedTuple):
    """A ring; M points of all endpoints that exist in the run, E endpoints."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] endpoint ids
    hash: np.ndarray  # uint32[M] points of the listed endpoints
    owner: np.ndarray  # int64[M] positions in the list
    size: np.ndarray  # int64[1] points in use
    seat: np.ndarray  # int64[E] scratch: position by endpoint id, -1 between changes


def state(_params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> ChashState:
    """Return the ring of all endpoints, none of them listed."""
    hashes, owners = ketama_points(
        [item.address for item in endpoints], [item.weight for item in endpoints]
    )
    return ChashState(
        all_hash=hashes,
        all_owner=owners,
        hash=np.zeros(len(hashes), np.uint32),
        owner=np.zeros(len(hashes), np.int64),
        size=np.zeros(1, np.int64),
        seat=np.full(len(endpoints), -1, np.int64),
    )


def on_endpoints(
    state: ChashState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the listed endpoints."""
    for k in range(len(new)):
        state.seat[new[k]] = k
    size = 0
    for point in range(len(state.all_hash)):
        seat = state.seat[state.all_owner[point]]
        if seat >= 0:
            state.hash[size] = state.all_hash[point]
            state.owner[size] = seat
            size += 1
    state.size[0] = size
    for k in range(len(new)):
        state.seat[new[k]] = -1


def find(state: ChashState, key: int) -> int:
    """Return the position that owns ``key`` (uint32 in an int64), -1 without endpoints."""
    if state.size[0] == 0:
        return -1
    return state.owner[ring_find(state.hash, state.size[0], key)]


def pick(
    state: ChashState,
    _rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the owner of the key, whatever has failed."""
    return find(state, key)


def shares(state: ChashState, n: int) -> np.ndarray:
    """Return the exact share of the hash space of every listed endpoint, float64[n]."""
    size = int(state.size[0])
    return arcs(state.hash[:size], state.owner[:size], n) / 2.0**32


CHASH = Balancer(
    name="chash",
    level="l7",
    summary="ingress-nginx upstream-hash-by: ring of 160 points per endpoint",
    source="kubernetes/ingress-nginx lua/balancer/chash.lua@dbb11b92, "
    "openresty/lua-resty-balancer chash.c@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    scope="shared",
    clock="ms",
    cost="O(log points)",
)
