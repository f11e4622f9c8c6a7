"""ipvs_sh, ipvs_dh: IPVS's hashes of the source and of the destination address.

Originals: torvalds/linux net/netfilter/ipvs/ip_vs_sh.c and ip_vs_dh.c; ``sh`` at 033d777f and its
later hash, ``dh`` at 7e95e365. 256 buckets are filled in the order of the list (ipvs.py), again and
again: in sh each destination takes as many buckets at a time as its weight, in dh one. A bucket
whose destination is unusable (weight 0) drops the connection, -1.

**Which bucket**: ``hash: hash_32``, that of today's kernels, (x 0x61C88647 mod 2^32) >> 24 of x =
address + port; the port counts with ``port: true`` only (sh-port, which kube-proxy does not set).
``hash: product`` is that of kernels up to 4.x, x 2654435761 & 255: it sees the last eight bits of
the address and nothing else. ``fallback: true`` (sh-fallback) looks further from the bucket on: for
the address alone in bucket (first bucket + k) + hash, k = 0, 1, ..., until one is usable.

**sh**: connections of an address stay together; 256 buckets give n destinations shares that differ
by one bucket (`shares`). Every change of the list deals all buckets anew. **dh** hashes the address
that is dialled, for caches that many addresses lead to: a Service has one, so **all connections of
a node go to one destination**, until the list changes.

Deviations: those of ipvs.py. While a removed destination still has connections (weight 0) sh and dh
drop what falls into its buckets; here it is gone at once. Units: none. Cost per pick: O(1); per
change of the list O(256 + n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers import ipvs
from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.figures import yes_no
from lbbench.balancers.ipvs import (
    LISTED,
    PARAMS,
    PORT_BITS,
    PORTS,
    WORD,
    IpvsState,
    chosen,
    folded,
    ipvs_state,
    templated,
)
from lbbench.errors import BalancerError

take_list = ipvs.on_endpoints
BUCKETS = 256
GOLDEN_32 = 0x61C88647  # include/linux/hash.h: GOLDEN_RATIO_32
KNUTH_LOW = 2654435761 & 0xFF  # only the low bits of the factor reach the low bits of the product
LOW = 0xFF
HASHES = ("hash_32", "product")
NOWHERE = "0.0.0.0:1"
WITH_PORT, FALLBACK, PRODUCT, DESTINATION = range(4)


def hashed_state(name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations; dh's own address is ``destination``.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    if params["hash"] not in HASHES:
        raise BalancerError(f"{name}: hash = {params['hash']}: must be one of {', '.join(HASHES)}")
    rule = (
        yes_no(name, params, "port") if "port" in params else 0,
        yes_no(name, params, "fallback") if "fallback" in params else 0,
        HASHES.index(params["hash"]),
        folded(name, params.get("destination", NOWHERE))[0],
    )
    return ipvs_state(name, params, endpoints, table=BUCKETS, rule=rule)


def pick_sh(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the bucket of the source, -1 when its destination is unusable.

    ``key`` is 65536 x address + port.
    """
    client = key >> PORT_BITS
    endpoint = templated(state, client, now)
    if endpoint < 0:
        value = client
        if state.rule[WITH_PORT] == 1:
            value += key & PORTS
        endpoint = _usable(state, bucket_of(value, state.rule[PRODUCT]))
    return chosen(state, client, endpoint, now)


def pick_dh(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the bucket of the destination, -1 when it is unusable."""
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _usable(state, bucket_of(state.rule[DESTINATION], state.rule[PRODUCT]))
    return chosen(state, key, endpoint, now)


def bucket_of(value: int, product: int) -> int:
    """Return the bucket of an address plus port, by `hash_32` or by the older product."""
    if product == 1:
        return ((value & LOW) * KNUTH_LOW) & LOW
    return (((value & WORD) * GOLDEN_32) & WORD) >> 24


def _usable(state: IpvsState, bucket: int) -> int:
    """Return the id in a bucket if it can be used, else -1, or with fallback a later bucket's."""
    endpoint = state.table[bucket]
    if endpoint < 0 or state.weight[endpoint] > 0:
        return int(endpoint)
    if state.rule[FALLBACK] == 1:
        for k in range(BUCKETS):
            endpoint = state.table[(bucket + (bucket + k) % BUCKETS) % BUCKETS]
            if state.weight[endpoint] > 0:
                return int(endpoint)
    return -1


def on_endpoints_sh(
    state: IpvsState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take another list and deal the buckets: as many in a row as the weight, 1 at least."""
    take_list(state, rng, old, new, now)
    n = state.number[LISTED]
    at = 0
    dealt = 0
    for bucket in range(BUCKETS):
        if n == 0:
            state.table[bucket] = -1
            continue
        endpoint = state.row[at]
        state.table[bucket] = endpoint
        dealt += 1
        if dealt >= state.weight[endpoint]:
            dealt = 0
            at = at + 1 if at < n - 1 else 0


def on_endpoints_dh(
    state: IpvsState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take another list and deal the buckets, one after the other."""
    take_list(state, rng, old, new, now)
    n = state.number[LISTED]
    for bucket in range(BUCKETS):
        state.table[bucket] = state.row[bucket % n] if n > 0 else -1


def sh_shares(state: IpvsState, n: int) -> np.ndarray:
    """Return every destination's share of the buckets, float64[n]; unusable ones have none."""
    found = np.zeros(n)
    for endpoint in state.table:
        if endpoint >= 0 and state.weight[endpoint] > 0:
            found[state.seat[endpoint]] += 1.0 / BUCKETS
    return found


def dh_shares(state: IpvsState, n: int) -> np.ndarray:
    """Return 1 for the one destination that the Service's address leads to, float64[n]."""
    found = np.zeros(n)
    endpoint = _usable(state, bucket_of(state.rule[DESTINATION], state.rule[PRODUCT]))
    if endpoint >= 0:
        found[state.seat[endpoint]] = 1.0
    return found


SH = Balancer(
    name="ipvs_sh",
    level="l4",
    summary="IPVS source hashing: 256 buckets, by the client's address",
    source=ipvs.SOURCE.format(files="ip_vs_sh.c@033d777f"),
    state=partial(hashed_state, "ipvs_sh"),
    pick=pick_sh,
    on_endpoints=on_endpoints_sh,
    shares=sh_shares,
    params=MappingProxyType({**PARAMS, "hash": HASHES[0], "port": False, "fallback": False}),
    scope="node",
    by_port=True,
    reads_busy=False,
    cost="O(1)",
    differs=(
        (
            "ipvs_mh",
            "has a table of 256 buckets in turn, so most clients move when the list changes",
        ),
    ),
)

DH = Balancer(
    name="ipvs_dh",
    level="l4",
    summary="IPVS destination hashing: one Service address, so one endpoint for all of a node",
    source=ipvs.SOURCE.format(files="ip_vs_dh.c@7e95e365"),
    state=partial(hashed_state, "ipvs_dh"),
    pick=pick_dh,
    on_endpoints=on_endpoints_dh,
    shares=dh_shares,
    params=MappingProxyType({**PARAMS, "hash": HASHES[0], "destination": "20.0.0.1:80"}),
    scope="node",
    reads_busy=False,
    cost="O(1)",
    differs=(("ipvs_sh", "hashes the address that is asked for: one service, one endpoint"),),
)
