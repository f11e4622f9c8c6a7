"""azure_lb: the Azure Load Balancer's choice of a node for a new connection, a documented model.

Public: the fields that each distribution mode hashes, that only healthy members take part, that an
established flow stays (the engine's flow table). **Not public**: the hash function, its seed, and
how the value maps to a member. Here the engine hands over the Toeplitz hash of the flow's fields
under the public verification key, and ``mapping`` turns it into a position of the ordered list of
healthy members: ``modulo`` (a change moves nearly all new flows), ``rendezvous`` (highest
mix64(hash, member)) or ``maglev`` (table); the last two move about 1/n.

Cost per pick: O(1), rendezvous O(n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rings import maglev_fill
from lbbench.core.rng import mix64, wrapping

MODULO, RENDEZVOUS, MAGLEV = range(3)
MAPPINGS = ("modulo", "rendezvous", "maglev")
DEFAULT_TABLE = 65537  # prime, as in Envoy; at least 100 entries per member up to 655 members


class AzureState(NamedTuple):
    """What maps a hash to a member; E members exist in the run, M table entries."""

    number: np.ndarray  # int64[2] mapping, listed members
    salt: np.ndarray  # uint64[E] by member id
    listed: np.ndarray  # int64[E] member ids in list order
    offset: np.ndarray  # int64[E] maglev, by list position
    skip: np.ndarray  # int64[E]
    turns: np.ndarray  # int64[E]
    place: np.ndarray  # int64[2, E] scratch
    table: np.ndarray  # int64[M] maglev: positions


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> AzureState:
    """Return the state for the members ``endpoints`` (nodes), none listed."""
    mapping = MAPPINGS.index(params["mapping"])
    n = len(endpoints)
    with wrapping():
        salts = [mix64(np.uint64(_name_number(item.address))) for item in endpoints]
    return AzureState(
        number=np.array([mapping, 0], np.int64),
        salt=np.array(salts, np.uint64),
        listed=np.zeros(n, np.int64),
        offset=np.zeros(n, np.int64),
        skip=np.ones(n, np.int64),
        turns=np.ones(n, np.int64),
        place=np.zeros((2, n), np.int64),
        table=np.full(int(params["table"]) if mapping == MAGLEV else 1, -1, np.int64),
    )


def _name_number(name: str) -> int:
    import hashlib

    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "little")


def on_endpoints(
    state: AzureState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take the new list of healthy members; fill the maglev table anew."""
    n = len(new)
    state.number[1] = n
    for k in range(n):
        state.listed[k] = new[k]
    if state.number[0] != MAGLEV or n == 0:
        return
    size = np.uint64(len(state.table))
    one = np.uint64(1)
    for k in range(n):
        salt = state.salt[new[k]]
        state.offset[k] = np.int64(salt % size)
        state.skip[k] = np.int64(mix64(salt) % (size - one) + one)
    maglev_fill(state.table, state.offset[:n], state.skip[:n], state.turns[:n], state.place[:, :n])


def pick(
    state: AzureState,
    _rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the member for the flow hash ``key``, -1 without members."""
    n = state.number[1]
    if n == 0:
        return -1
    if state.number[0] == MODULO:
        return key % n
    if state.number[0] == MAGLEV:
        return state.table[key % len(state.table)]
    chosen = 0
    highest = np.uint64(0)
    flow = np.uint64(key)
    for k in range(n):
        value = mix64(state.salt[state.listed[k]] ^ flow)
        if k == 0 or value > highest:
            highest = value
            chosen = k
    return chosen


AZURE_LB = Balancer(
    name="azure_lb",
    level="l4",
    summary="Azure Load Balancer: hash of the flow's fields over healthy nodes (model)",
    source="model after the public documentation of Azure Load Balancer distribution modes",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"mapping": "modulo", "table": DEFAULT_TABLE}),
    scope="shared",
    independent=True,
    cost="O(1), rendezvous O(n)",
)
