"""ipvs_mh: IPVS's Maglev hashing of the source address.

Original: torvalds/linux net/netfilter/ipvs/ip_vs_mh.c at 2cc2c3cb. A table of 4093 entries; the
preference list of a destination is (offset + j skip) mod 4093 with offset = h1 mod 4093 and skip =
h2 mod 4092 + 1, where h1 and h2 are `hsiphash` under two fixed keys of address + port. In turns, in
the order of the list (ipvs.py), each takes the next free entries that it prefers, as many in a row
as its weight over the common divisor of all, shifted so that the largest has six bits at most. A
connection goes to the entry h1(client's address) mod 4093; with ``port: true`` (mh-port, which
kube-proxy does not set) the source port is added. All nodes with the same list, filled in the same
order, have the same table. `hsiphash` is that of 64-bit kernels, SipHash-1-3.

A change moves few entries beside those of what left or came (`tests/test_ipvs_hashes.py` counts
them), unlike in sh; but the order of the list matters a little.

Deviations: those of ipvs.py. While a removed destination still has connections its entries stay and
drop what they get (or look further, with mh-fallback); here it is gone at once, so nothing is ever
unusable. Units: none. Cost per pick: O(1); per change of the list O(4093).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
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
from lbbench.core.rng import wrapping
from lbbench.core.siphash import hsiphash_u32

take_list = ipvs.on_endpoints
SIZE = 4093  # CONFIG_IP_VS_MH_TAB_INDEX = 12
TURN_BITS = 6
KEY_1, KEY_2 = np.uint64(2654435761), np.uint64(2654446892)  # generate_hash_secret, both halves
WITH_PORT = 0
OFFSET, SKIP = range(2)
NEXT, TURNS = range(2)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations.

    Raises
    ------
    BalancerError
        When an option is out of range, or an endpoint has no address with a port.
    """
    made = ipvs_state(
        "ipvs_mh", params, endpoints, table=SIZE, rule=(yes_no("ipvs_mh", params, "port"),)
    )
    with wrapping():
        for i, endpoint in enumerate(endpoints):
            address, port = folded("ipvs_mh", endpoint.address)
            made.offset[OFFSET, i] = hsiphash_u32((address + port) & WORD, KEY_1) % SIZE
            made.offset[SKIP, i] = hsiphash_u32((address + port) & WORD, KEY_2) % (SIZE - 1) + 1
    return made


def pick(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the table's entry for the source, -1 without destinations.

    ``key`` is 65536 x address + port.
    """
    client = key >> PORT_BITS
    endpoint = templated(state, client, now)
    if endpoint < 0:
        value = client
        if state.rule[WITH_PORT] == 1:
            value = (value + (key & PORTS)) & WORD
        endpoint = int(state.table[hsiphash_u32(value, KEY_1) % SIZE])
    return chosen(state, client, endpoint, now)


def on_endpoints(
    state: IpvsState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take another list and fill the table anew."""
    take_list(state, rng, old, new, now)
    table, place = state.table, state.place
    for entry in range(SIZE):
        table[entry] = -1
    if _deal_turns(state) == 0:
        return
    filled = 0
    while True:
        for k in range(state.number[LISTED]):
            endpoint = state.row[k]
            for _ in range(place[TURNS, k]):
                entry = place[NEXT, k]
                while table[entry] >= 0:
                    entry += state.offset[SKIP, endpoint]
                    if entry >= SIZE:
                        entry -= SIZE
                place[NEXT, k] = entry
                table[entry] = endpoint
                filled += 1
                if filled == SIZE:
                    _clear(place)
                    return


def _deal_turns(state: IpvsState) -> int:
    """Put first entries and turns into the scratch by place in the list; return the most turns."""
    step = 0
    largest = 0
    for k in range(state.number[LISTED]):
        weight = state.weight[state.row[k]]
        if weight > 0:
            step = math.gcd(weight, step)
            largest = max(largest, weight)
    if largest == 0:
        return 0
    shift = 0
    while largest // step >> (TURN_BITS + shift) > 0:
        shift += 1
    for k in range(state.number[LISTED]):
        weight = state.weight[state.row[k]]
        turns = (weight // step) >> shift
        if turns == 0 and weight > 0:
            turns = np.int64(1)
        state.place[TURNS, k] = turns
        state.place[NEXT, k] = state.offset[OFFSET, state.row[k]]
    return int(largest)


def _clear(scratch: np.ndarray) -> None:
    for k in range(scratch.shape[1]):
        scratch[0, k] = 0
        scratch[1, k] = 0


def shares(state: IpvsState, n: int) -> np.ndarray:
    """Return every destination's share of the table, float64[n]."""
    found = np.zeros(n)
    for endpoint in state.table:
        if endpoint >= 0:
            found[state.seat[endpoint]] += 1.0 / SIZE
    return found


MH = Balancer(
    name="ipvs_mh",
    level="l4",
    summary="IPVS Maglev hashing: a table of 4093 entries, by the client's address",
    source=ipvs.SOURCE.format(files="ip_vs_mh.c@2cc2c3cb"),
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({**PARAMS, "port": False}),
    scope="node",
    by_port=True,
    reads_busy=False,
    cost="O(1)",
    differs=(
        ("maglev", "has 4093 entries and another hash; fewer entries, less even shares"),
        ("ipvs_sh", "moves few clients when the list changes"),
    ),
)
