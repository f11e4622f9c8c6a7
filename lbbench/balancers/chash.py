"""chash: ingress-nginx's `upstream-hash-by`, a consistent hash ring of 160 points per endpoint.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chash.lua at dbb11b92 over
openresty/lua-resty-balancer lib/resty/chash.lua and chash.c at 1cd4363c. The owner of a key is the
first point at or after crc32(key). A pure function of the key and the endpoint list, the same in
every worker and controller pod. **A retry gets the same peer again**, so a dead pod costs all
tries; an empty key sends everything to one pod. Shares are far from equal (see `shares`): their
coefficient of variation is about 7 %. A change moves the keys of the endpoint that leaves, or those
that the new one takes, and no others.

Deviation: on equal point hashes the endpoint that sorts first wins; in the original it is the one
that its hash table yields first. Weights are the endpoints' (always 1 in ingress-nginx).
Cost per pick: O(1); per change of the list O(points of all endpoints of the run).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rings import arcs, empty_ring, ketama_points, ring_find, ring_keep


class ChashState(NamedTuple):
    """A ring; M points of all endpoints that exist in the run, E endpoints."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] endpoint ids
    hash: np.ndarray  # uint32[M + NEAR] points of the listed endpoints
    owner: np.ndarray  # int32[M] positions in the list
    guide: np.ndarray  # int32[M / 2] see rings.empty_ring
    size: np.ndarray  # int64[1] points in use
    seat: np.ndarray  # int64[E] scratch of ring_keep


def state(_params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> ChashState:
    """Return the ring of all endpoints, none of them listed."""
    hashes, owners = ketama_points(
        [item.address for item in endpoints], [item.weight for item in endpoints]
    )
    hash_, owner, guide = empty_ring(len(hashes))
    return ChashState(
        all_hash=hashes,
        all_owner=owners,
        hash=hash_,
        owner=owner,
        guide=guide,
        size=np.zeros(1, np.int64),
        seat=np.full(len(endpoints), -1, np.int64),
    )


def on_endpoints(
    state: ChashState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the listed endpoints."""
    state.size[0] = ring_keep(
        state.all_hash, state.all_owner, new, state.seat, state.hash, state.owner, state.guide
    )


def pick(
    state: ChashState,
    _rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position that owns ``key`` (crc32), whatever has failed; -1 without endpoints."""
    if state.size[0] == 0:
        return -1
    return int(state.owner[ring_find(state.hash, state.guide, state.size[0], key)])


def shares(state: ChashState, n: int) -> np.ndarray:
    """Return the exact share of the hash space of every listed endpoint, float64[n]."""
    size = int(state.size[0])
    return arcs(state.hash[:size], state.owner[:size], n) / 2.0**32


CHASH = Balancer(
    name="chash",
    level="l7",
    summary="ingress-nginx upstream-hash-by: ring of 160 points per endpoint",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chash.lua@dbb11b92, "
    "openresty/lua-resty-balancer lib/resty/chash.lua, chash.c@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    scope="shared",
    common=("all_hash", "all_owner"),
    clock="ms",
    cost="O(1)",
    differs=(
        ("chashsubset", "leads a key to one endpoint, not to a subset"),
        ("random", "follows the key, so equal keys meet the same endpoint"),
    ),
)
