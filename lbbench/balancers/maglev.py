"""maglev: Cilium's kube-proxy replacement with Maglev hashing: the same table on every node.

Original: cilium/cilium pkg/maglev/maglev.go at e0cc421a (the table) and bpf/lib/lb.h (the look-up).
A table of M = 16381 entries; for each backend MurmurHash3 x64 128 of its name under the cluster's
seed gives offset = h1 mod M and skip = h2 mod (M - 1) + 1; in turns, in the order of the names,
each takes its next free entry, with weights in the order of `core.rings.maglev_fill_cilium`. A new
connection goes to the entry of the hash of its 5-tuple, so a flow that enters by another node
reaches the same backend, and a change of the backends moves few other flows: M > 100 n keeps that
below about 1 %. Cilium's default algorithm is another one, a uniform draw; what it does is what
``nft_numgen`` does.

**Affinity** (``affinity_timeout`` > 0): each node keeps the backend of a client's last connection
for as long as the timeout runs (client_map.py), and the table is looked up without the source port.

Deviations: the hash of the flow is a mix of address and port in place of jhash (*which* flow goes
where is made up, that all nodes agree is not); a backend's name is "address:port"; affinity keeps
``affinity_entries`` clients. Traffic between pods, which Cilium balances at `connect()`, always at
random, is not what this program simulates. Units: seconds. Cost per pick: O(1); per change of the
list O(M).
"""

from __future__ import annotations

import base64
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
from lbbench.core.hashes import murmur3_x64_128
from lbbench.core.rings import is_prime, maglev_fill_cilium
from lbbench.core.rng import mix64
from lbbench.errors import BalancerError

TABLE = 16381  # pkg/maglev: DefaultTableSize
SEED = int.from_bytes(base64.b64decode("JLfvgnHc2kaSUFaI")[:4], "big")  # DefaultHashSeed
FLOWS = np.uint64(0x243F6A8885A308D3)  # of the hash of flows: digits of pi
PORT_BITS = 16


class MaglevState(NamedTuple):
    """One node's table; E backends exist in the run, M entries, K clients are remembered."""

    listed: np.ndarray  # int64[E] backend ids by position
    seat: np.ndarray  # int64[E] position by id, -1: not listed
    hashes: np.ndarray  # int64[2, E] offset and skip by id
    weight: np.ndarray  # int64[E] by id
    turn: np.ndarray  # int64[3, E] scratch: offset, skip and weight by position
    place: np.ndarray  # int64[2, E] scratch
    table: np.ndarray  # int64[M] positions in the list, -1: none
    client: np.ndarray  # int64[K] see client_map.py, as are those below
    until: np.ndarray  # float64[K] seconds
    owner: np.ndarray  # int64[2, K]
    life: np.ndarray  # int64[E]
    span: np.ndarray  # float64[1] seconds


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> MaglevState:
    """Return one node's table without backends.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    size, n = params["table"], len(endpoints)
    if isinstance(size, bool) or not isinstance(size, int) or not is_prime(size):
        raise BalancerError(f"maglev: table = {size}: must be a prime number, such as {TABLE}")
    affinity = client_map(
        "maglev", n, seconds("maglev", params, "affinity_timeout"), params["affinity_entries"]
    )
    halves = [murmur3_x64_128(item.address.encode(), SEED) for item in endpoints]
    offsets, skips = [a % size for a, _ in halves], [b % (size - 1) + 1 for _, b in halves]
    return MaglevState(
        listed=np.zeros(n, np.int64),
        seat=np.full(n, -1, np.int64),
        hashes=np.array([offsets, skips], np.int64).reshape(2, n),
        weight=np.array([item.weight for item in endpoints], np.int64),
        turn=np.zeros((3, n), np.int64),
        place=np.zeros((2, n), np.int64),
        table=np.full(size, -1, np.int64),
        **affinity,
    )


def on_endpoints(
    state: MaglevState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take another list and fill the table anew."""
    n = len(new)
    take_list(state, old, new)
    for k in range(n):
        state.turn[0, k] = state.hashes[0, new[k]]
        state.turn[1, k] = state.hashes[1, new[k]]
        state.turn[2, k] = state.weight[new[k]]
    turn = state.turn
    maglev_fill_cilium(state.table, turn[0, :n], turn[1, :n], turn[2, :n], state.place[:, :n])


def pick(
    state: MaglevState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the flow's entry, or of its client's backend; -1 without backends.

    ``key`` is 65536 x address + port.
    """
    with_affinity = remembers(state)
    client = key >> PORT_BITS
    place = place_of(state, client, now)
    if place < 0:
        place = int(state.table[entry_of(client if with_affinity else key, len(state.table))])
    if with_affinity and place >= 0:
        remember(state, client, state.listed[place], now)
    return place


def entry_of(flow: int, size: int) -> int:
    """Return the entry that a flow looks up in a table of ``size``."""
    return int(np.int64(mix64(np.uint64(flow) ^ FLOWS) % np.uint64(size)))


def shares(state: MaglevState, n: int) -> np.ndarray:
    """Return every backend's share of the table, float64[n]."""
    return np.bincount(state.table[state.table >= 0], minlength=n) / len(state.table)


MAGLEV = Balancer(
    name="maglev",
    level="l4",
    summary="Cilium's Maglev: a table of 16381 entries, by the flow, the same on all nodes",
    source="cilium/cilium pkg/maglev/maglev.go@e0cc421a, D. Eisenbud et al., Maglev, NSDI 2016",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"table": TABLE, "affinity_timeout": 0.0, "affinity_entries": ENTRIES}),
    scope="node",
    by_port=True,
    reads_busy=False,
    independent=True,
    cost="O(1)",
    differs=(
        (
            "iptables",
            "hashes the flow by one table at all nodes, so a flow finds its pod through any node",
        ),
    ),
)
