"""chashsubset: the key chooses a subset of endpoints by a ring, a draw chooses within it.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chashsubset.lua at dbb11b92. The
list of n endpoints is cut in list order into ceil(n / S) groups of S named set1, set2, ...; the
last group is padded from the start of the list, so its first endpoints may stand in two groups and
get more. Each name has 160 points on a ring. A draw is used even for S = 1, and a retry draws
again. Any change of the list cuts the groups anew, so most keys get other endpoints although their
set's name stays.

``order``: lbbench lists endpoints by address as text, the controller in the order in which it found
them. ``list`` is the former, a list of all endpoint numbers (0 is the lowest address as text) any
other; ``shuffled`` and ``{shuffled: SEED}`` are arbitrary ones.

Deviations: the order; none in the arithmetic; on equal point hashes the lower set number wins.
Cost per pick: O(1), one draw; per change of the list O(points of all names of the run).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.table_order import table_order
from lbbench.core.rings import arcs, empty_ring, ketama_points, ring_find, ring_guide
from lbbench.core.rng import lua_random
from lbbench.errors import BalancerError

SUBSET_SIZE = 3  # default of the annotation upstream-hash-by-subset-size

SIZE, SUBSET, LISTED = range(3)


class ChashsubsetState(NamedTuple):
    """A ring of subset names; M points of the largest number of subsets."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] subset numbers, 0 for set1
    hash: np.ndarray  # uint32[M + NEAR] points of the subsets in use
    owner: np.ndarray  # int32[M]
    guide: np.ndarray  # int32[M / 2] see rings.empty_ring
    number: np.ndarray  # int64[3] points in use, subset size, listed endpoints
    order: np.ndarray  # int64[E] endpoint ids in the order in which groups are cut
    row: np.ndarray  # int64[E] positions in the list, in that order
    seat: np.ndarray  # int64[E] scratch: position by endpoint id, -1 between changes


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> ChashsubsetState:
    """Return the ring of all subset names that can occur, none of them in use.

    Raises
    ------
    BalancerError
        When ``subset_size`` is no whole number above 0, or ``order`` no order.
    """
    subset = params["subset_size"]
    if not isinstance(subset, int) or subset < 1:
        raise BalancerError(f"chashsubset: subset_size = {subset}: must be a whole number >= 1")
    names = [f"set{k + 1}" for k in range(-(-len(endpoints) // subset))]
    hashes, owners = ketama_points(names)
    hash_, owner, guide = empty_ring(len(hashes))
    return ChashsubsetState(
        all_hash=hashes,
        all_owner=owners,
        hash=hash_,
        owner=owner,
        guide=guide,
        number=np.array([0, subset, 0], np.int64),
        order=np.array(table_order("chashsubset", params["order"], endpoints), np.int64),
        row=np.zeros(len(endpoints), np.int64),
        seat=np.full(len(endpoints), -1, np.int64),
    )


def on_endpoints(
    state: ChashsubsetState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Cut the list into subsets anew: the ring of K names is a subsequence of that of more."""
    subset = state.number[SUBSET]
    subsets = (len(new) + subset - 1) // subset
    size = 0
    for point in range(len(state.all_hash)):
        if state.all_owner[point] < subsets:
            state.hash[size] = state.all_hash[point]
            state.owner[size] = state.all_owner[point]
            size += 1
    ring_guide(state.hash, state.guide, size)
    state.number[SIZE] = size
    state.number[LISTED] = len(new)
    for k in range(len(new)):
        state.seat[new[k]] = k
    n = 0
    for k in range(len(state.order)):
        place = state.seat[state.order[k]]
        if place >= 0:
            state.row[n] = place
            state.seat[state.order[k]] = -1
            n += 1


def pick(
    state: ChashsubsetState,
    rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return a position drawn from the subset of ``key`` (crc32), -1 without endpoints."""
    if state.number[LISTED] == 0:
        return -1
    owner = state.owner[ring_find(state.hash, state.guide, state.number[SIZE], key)]
    drawn = lua_random(rng, 1, state.number[SUBSET]) - 1
    return int(state.row[(owner * state.number[SUBSET] + drawn) % state.number[LISTED]])


def shares(state: ChashsubsetState, n: int) -> np.ndarray:
    """Return the exact share of every listed endpoint for uniform hashes, float64[n]."""
    size, subset = int(state.number[SIZE]), int(state.number[SUBSET])
    subsets = -(-n // subset)
    by_subset = arcs(state.hash[:size], state.owner[:size], subsets) / 2.0**32
    made = np.zeros(n)
    for k in range(subsets * subset):
        made[state.row[k % n]] += by_subset[k // subset] / subset
    return made


CHASHSUBSET = Balancer(
    name="chashsubset",
    level="l7",
    summary="ingress-nginx upstream-hash-by-subset: ring of subsets, draw within",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/chashsubset.lua@dbb11b92, "
    "openresty/lua-resty-balancer lib/resty/chash.lua, chash.c@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"subset_size": SUBSET_SIZE, "order": "list"}),
    scope="shared",
    common=("all_hash", "all_owner", "order"),
    clock="ms",
    cost="O(1), one draw",
    differs=(
        (
            "chash",
            (
                "leads a key to a subset and draws within it, so a key's load is spread and a "
                "change of the list moves most keys"
            ),
        ),
    ),
)
