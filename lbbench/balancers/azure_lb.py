"""azure_lb: the Azure Load Balancer's choice of a node for a new connection: **a model**.

Public: which fields each distribution mode hashes; only healthy members take part; a flow that is
established stays (the engine's flow table); nothing is weighted and no load is looked at. **Not
public**: the production hash function and its seed, how the value leads to a member, and which new
flows move when the members change. Do not read those off this file.

The engine hands over the flow's Toeplitz hash under the public verification key; ``mapping`` leads
from it to a position in the ordered list of healthy members:

- ``modulo``: hash mod n. A change from n to n - 1 members moves about 1 - 1/n of the new flows.
- ``rendezvous``: the member with the highest mix64(member's salt XOR hash); moves 1/n.
- ``maglev``: a look-up table that `rings.maglev_fill` fills anew at each change; moves a little
  more than 1/n. ``table`` is its size, a prime; the default is Cilium's, and members' shares differ
  by at most one entry (0.6 % of a share with 100 members).

The Toeplitz hash is linear, so few or neighbouring source addresses (modes ``SourceIP`` and
``SourceIPProtocol``) are spread less like chance than the ports of the 5-tuple.

Deviations: everything above that is not public. Units: none. Cost per pick: O(1), rendezvous O(n);
per change of the members O(n), maglev O(table).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rings import is_prime, maglev_fill
from lbbench.core.rng import mix64
from lbbench.errors import BalancerError

MODULO, RENDEZVOUS, MAGLEV = range(3)
MAPPINGS = ("modulo", "rendezvous", "maglev")
TABLE = 16381  # Cilium's default size of a Maglev table

MAPPING, LISTED = range(2)
ONE = np.uint64(1)


class AzureState(NamedTuple):
    """What leads from a hash to a member; E members exist in the run, M table entries."""

    number: np.ndarray  # int64[2] mapping, listed members
    salt: np.ndarray  # uint64[E] by member id
    member: np.ndarray  # int64[E] member ids in list order
    offset: np.ndarray  # int64[E] maglev, by list position
    skip: np.ndarray  # int64[E]
    weight: np.ndarray  # int64[E] all 1
    place: np.ndarray  # int64[2, E] scratch
    table: np.ndarray  # int64[M] maglev: positions in the list


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> AzureState:
    """Return the state for the members ``endpoints`` (nodes), none of them listed.

    Raises
    ------
    BalancerError
        When ``mapping`` is unknown or ``table`` is not a prime.
    """
    mapping, size = params["mapping"], params["table"]
    if mapping not in MAPPINGS:
        raise BalancerError(f"azure_lb: mapping = {mapping}: must be one of {', '.join(MAPPINGS)}")
    if not isinstance(size, int) or not is_prime(size):
        raise BalancerError(f"azure_lb: table = {size}: must be a prime number, such as {TABLE}")
    n = len(endpoints)
    digests = [hashlib.sha256(item.address.encode()).digest() for item in endpoints]
    return AzureState(
        number=np.array([MAPPINGS.index(mapping), 0], np.int64),
        salt=np.array([int.from_bytes(digest[:8], "little") for digest in digests], np.uint64),
        member=np.zeros(n, np.int64),
        offset=np.zeros(n, np.int64),
        skip=np.ones(n, np.int64),
        weight=np.ones(n, np.int64),
        place=np.zeros((2, n), np.int64),
        table=np.full(size if mapping == "maglev" else 1, -1, np.int64),
    )


def on_endpoints(
    state: AzureState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take the new list of healthy members; fill the maglev table anew."""
    n = len(new)
    state.number[LISTED] = n
    for k in range(n):
        state.member[k] = new[k]
    if state.number[MAPPING] != MAGLEV or n == 0:
        return
    size = np.uint64(len(state.table))
    for k in range(n):
        salt = state.salt[new[k]]
        state.offset[k] = np.int64(salt % size)
        state.skip[k] = np.int64(mix64(salt) % (size - ONE) + ONE)
    maglev_fill(state.table, state.offset[:n], state.skip[:n], state.weight[:n], state.place[:, :n])


def pick(
    state: AzureState,
    _rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the member for the flow hash ``key``, -1 without members."""
    n = state.number[LISTED]
    if n == 0:
        return -1
    if state.number[MAPPING] == MODULO:
        return int(key % n)
    if state.number[MAPPING] == MAGLEV:
        return int(state.table[key % len(state.table)])
    return _highest(state, np.uint64(key), int(n))


def _highest(state: AzureState, flow: np.uint64, n: int) -> int:
    """Return the position of the member with the highest mixed value; the first of equal ones."""
    chosen = 0
    highest = np.uint64(0)
    for k in range(n):
        value = mix64(state.salt[state.member[k]] ^ flow)
        if value > highest:
            highest = value
            chosen = k
    return chosen


AZURE_LB = Balancer(
    name="azure_lb",
    level="l4",
    summary="Azure Load Balancer: hash of the flow's fields over healthy nodes (a model)",
    source="a model after the Azure documentation (Azure Load Balancer distribution modes), "
    "P. Patel et al., Ananta, SIGCOMM 2013; the production hash is not public",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"mapping": "modulo", "table": TABLE}),
    scope="shared",
    reads_busy=False,
    common=("salt", "weight"),
    independent=True,
    cost="O(1), rendezvous O(n)",
)
