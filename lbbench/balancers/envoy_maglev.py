"""envoy_maglev: Envoy's ``MAGLEV``, a look-up table that hosts fill in turn.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/maglev/maglev_lb.cc at
104df3de. Entry ``key mod table_size`` of a table of 65537 entries (another prime with
``table_size``) holds the host. In turn, in the order of their addresses, each host takes its next
free entry of (offset + j skip) mod M, offset = xxHash64(address, 0) mod M and skip =
xxHash64(address, 1) mod (M - 1) + 1; a host with less than the highest weight sits out in
proportion. Shares are equal to one entry; when a host leaves, its share of the keys moves and a
little more (roughly as much again for large n).

Retries get the same host again. Bounded load, keys: see `lbbench.balancers.envoy_hashing`.

Deviations: those of `envoy_hashing`; turns are counted in whole numbers, where the original's
rounding may let a host with a lower weight sit out a round longer. Units: none. Cost per pick:
O(1), over the bound O(n); the first pick after a change fills the table anew, about M ln M steps.

References
----------
D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.envoy_hashing import (
    PARAMS,
    digest,
    hashing_fields,
    on_busy,
    unsigned,
    weigh,
    within_bound,
)
from lbbench.balancers.envoy_hosts import HEALTH, NONE, USABLE, attend, done, gather, list_hosts
from lbbench.balancers.envoy_outlier import SWITCHES
from lbbench.balancers.figures import whole
from lbbench.core.hashes import xxhash64
from lbbench.core.rings import is_prime, maglev_fill
from lbbench.core.rng import wrapping
from lbbench.errors import BalancerError

NAME = "envoy_maglev"
TABLE = 65537  # Envoy's default
LARGEST = 5000011  # Envoy's limit


class Maglev(NamedTuple):
    """The table of one Envoy; E hosts exist in the run, M entries."""

    panic: np.ndarray  # float64[1] see envoy_hosts.host_fields
    number: np.ndarray  # int64[5]
    ids: np.ndarray  # int64[E]
    usable: np.ndarray  # int64[E]
    weight: np.ndarray  # int64[E]
    outlier: np.ndarray  # float64[7] see envoy_outlier.detector_fields
    health: np.ndarray  # int64[3, E]
    ejected_at: np.ndarray  # float64[E]
    detector: np.ndarray  # int64[2]
    bound: np.ndarray  # int64[3] see envoy_hashing.hashing_fields
    active: np.ndarray  # int64[E]
    order: np.ndarray  # int64[E]
    jumps: np.ndarray  # int64[E]
    twister: np.ndarray  # int64[625]
    offset: np.ndarray  # int64[E] by id
    skip: np.ndarray  # int64[E] by id
    build: np.ndarray  # int64[3, E] scratch: offset, skip, weight of the usable hosts
    place: np.ndarray  # int64[2, E] scratch of maglev_fill
    table: np.ndarray  # int32[M] numbers of usable hosts


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Maglev:
    """Return an Envoy's table before it has a list.

    Raises
    ------
    BalancerError
        When ``table_size`` is no prime, or another option out of range.
    """
    size = whole(NAME, params, "table_size", 2)
    if size > LARGEST or not is_prime(size):
        raise BalancerError(
            f"{NAME}: table_size = {size}: must be a prime number, {LARGEST} at most, "
            f"such as {TABLE}"
        )
    n = len(endpoints)
    texts = [item.address.encode() for item in endpoints]
    return Maglev(
        **hashing_fields(NAME, params, endpoints),
        offset=np.array([xxhash64(text, 0) % size for text in texts], np.int64),
        skip=np.array([xxhash64(text, 1) % (size - 1) + 1 for text in texts], np.int64),
        build=np.zeros((3, n), np.int64),
        place=np.zeros((2, n), np.int64),
        table=np.zeros(size, np.int32),
    )


def on_endpoints(
    state: Maglev, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take the list ``new``."""
    list_hosts(state, old, new, now)


def pick(
    state: Maglev,
    rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position that the table has for ``key`` (xxHash64), -1 without a usable host."""
    if attend(state, now, tried):
        fill(state)
    if state.number[USABLE] == 0:
        return NONE
    where = unsigned(key, rng)
    entry = np.int64(where % np.uint64(len(state.table)))
    return within_bound(state, state.usable[state.table[entry]], where, busy)


def fill(state: Maglev) -> None:
    """Gather the hosts and fill their table anew."""
    n = gather(state)
    weigh(state)
    for k in range(n):
        host = state.ids[state.usable[k]]
        state.build[0, k] = state.offset[host]
        state.build[1, k] = state.skip[host]
        state.build[2, k] = state.weight[host]
    if n > 0:
        build = state.build
        maglev_fill(state.table, build[0, :n], build[1, :n], build[2, :n], state.place[:, :n])


def shares(state: Maglev, n: int) -> np.ndarray:
    """Return the share of the table of every listed endpoint, float64[n]."""
    with wrapping():
        fill(state)
    found = np.zeros(n)
    if state.number[USABLE]:
        np.add.at(found, state.usable[state.table], 1.0 / len(state.table))
    return found


ENVOY_MAGLEV = Balancer(
    name=NAME,
    level="l7",
    summary="Envoy's MAGLEV: look-up table of 65537 entries, bounded load as an option",
    source="envoyproxy/envoy source/extensions/load_balancing_policies/maglev/"
    "maglev_lb.cc@104df3de",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    digest=digest,
    shares=shares,
    params=MappingProxyType({"table_size": TABLE, **PARAMS}),
    switches=SWITCHES,
    scope="replica",
    common=(*HEALTH, "weight", "offset", "skip"),
    cost="O(1), over the bound O(n)",
    differs=(
        ("envoy_ring_hash", "has nearly equal shares, but moves more keys when the list changes"),
    ),
)
