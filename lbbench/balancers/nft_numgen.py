"""nft_numgen: kube-proxy's nftables mode, one random number per connection.

Original: kubernetes/kubernetes pkg/proxy/nftables/proxier.go at 01d7de54: the chain of a service
looks the client up in one set per endpoint (``ip saddr @affinity-...``, with session affinity
only) and goes on to `numgen random mod n vmap`; the chain of the endpoint renews the client's
element (``update @affinity-... { ip saddr }``), whose timeout is that of the Service.
torvalds/linux net/netfilter/nft_numgen.c at 0d9932b2: the number is floor(u n / 2^32) of 32 random
bits u, also where n is 1. An endpoint gets ceil or floor of 2^32 / n of the 2^32 numbers, so shares
differ from 1/n by less than 2^-32 (`shares`).

**Affinity** (``affinity_timeout`` > 0): the timeout runs from the last new connection. An
endpoint's set goes with the endpoint. A set that is full remembers no more clients.

Deviations: one map of ``affinity_entries`` clients per node in place of a set of 65535 per endpoint
(client_map.py), so a client is in one set at a time; kube-proxy deletes the sets of removed
endpoints some time later, here they are gone at once; expiry is exact, not in jiffies. Units:
seconds. Cost per pick: one draw, O(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.client_map import (
    ENTRIES,
    client_map,
    place_of,
    remember,
    remembers,
    take_list,
)
from lbbench.balancers.figures import seconds
from lbbench.core.rng import next_u64

U32 = np.uint64(32)
NUMBERS = 2**32


class NftState(NamedTuple):
    """One node's rules; E endpoints exist in the run, K clients are remembered."""

    listed: np.ndarray  # int64[E] endpoint ids by position
    seat: np.ndarray  # int64[E] position by id, -1: not listed
    client: np.ndarray  # int64[K] see client_map.py, as are those below
    until: np.ndarray  # float64[K] seconds
    owner: np.ndarray  # int64[2, K]
    life: np.ndarray  # int64[E]
    span: np.ndarray  # float64[1] seconds


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> NftState:
    """Return one node's rules before they list anything.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    n = len(endpoints)
    timeout = seconds("nft_numgen", params, "affinity_timeout")
    affinity = client_map("nft_numgen", n, timeout, params["affinity_entries"])
    return NftState(np.zeros(n, np.int64), np.full(n, -1, np.int64), **affinity)


def on_endpoints(
    state: NftState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Write the map anew; sets of endpoints that left are gone."""
    take_list(state, old, new)


def pick(
    state: NftState,
    rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the client's endpoint, else floor(u n / 2^32); -1 without any."""
    n = len(busy)
    if n == 0:
        return -1
    place = place_of(state, key, now)
    if place < 0:
        place = scaled(int(np.int64(next_u64(rng) >> U32)), n)
    if remembers(state):
        remember(state, key, state.listed[place], now)
    return place


def scaled(number: int, n: int) -> int:
    """Return what `numgen random mod n` makes of 32 random bits: floor(number n / 2^32)."""
    return int((number * n) >> 32)


def shares(_state: NftState, n: int) -> np.ndarray:
    """Return the exact share of every listed endpoint without affinity, float64[n]."""
    begins = [-(-k * NUMBERS // n) for k in range(n + 1)]  # the least u that gives k
    return np.diff(np.array(begins, np.float64)) / NUMBERS


NFT_NUMGEN = Balancer(
    name="nft_numgen",
    level="l4",
    summary="kube-proxy nftables: one uniform number per connection",
    source="kubernetes/kubernetes pkg/proxy/nftables/proxier.go@01d7de54, "
    "torvalds/linux net/netfilter/nft_numgen.c@0d9932b2",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"affinity_timeout": 0.0, "affinity_entries": ENTRIES}),
    scope="node",
    reads_busy=False,
    independent=True,
    cost="O(1), one draw",
    differs=(("iptables", "draws once, with equal shares, whatever the number of endpoints"),),
)
