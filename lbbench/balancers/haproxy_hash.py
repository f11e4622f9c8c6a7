"""haproxy_hash: HAProxy's ``source``, ``uri`` and ``hdr`` with a map, its default.

Original: haproxy/haproxy src/lb_map.c and src/backend.c at v2.6.12 (checked against the running
program). The map has as many places as the weights, divided by their greatest common divisor, sum
up to; they are dealt out by turns, so that a heavy server's places lie apart. A key's server is the
one at hash mod places: when the list changes most keys move. With one server left nothing is
hashed. Without a key `round robin <lbbench.balancers.haproxy_roundrobin>` decides in the original.

Deviations: without a key the places of the map are taken in turn, which are those of a weighted
round robin. Hash functions: see `lbbench.balancers.haproxy_keys`. Retries and the order of the
configuration: see `lbbench.balancers.haproxy_servers`; here a redispatch comes to the same server,
as the map does not know it has failed. ``maxconn`` and its queue are not modelled. Units: none.
Cost per pick: O(1); a change of the list O(places E).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.haproxy_keys import NO_KEY, plain_key
from lbbench.balancers.haproxy_servers import NOBODY, server_numbers, server_weights

PLACES, TURN = range(2)


class Places(NamedTuple):
    """The map of one process; E endpoints exist in the run, M is the sum of their weights."""

    number: np.ndarray  # int64[2]: places in use; the turn of requests without a key
    order: np.ndarray  # int64[E] endpoint ids in order of the configuration
    weight: np.ndarray  # int64[E] by id
    seat: np.ndarray  # int64[E] scratch: position by id, -1 when it is not listed
    score: np.ndarray  # int64[E] scratch
    place: np.ndarray  # int64[M] positions


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of a text."""
    return plain_key


def state(_params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Places:
    """Return a process's map before it has a list.

    Raises
    ------
    BalancerError
        When a weight is above HAProxy's 256.
    """
    weights = server_weights("haproxy_hash", endpoints)
    n = len(endpoints)
    return Places(
        number=np.zeros(2, np.int64),
        order=np.argsort(server_numbers(endpoints), kind="stable").astype(np.int64),
        weight=np.array(weights, np.int64),
        seat=np.full(n, NOBODY, np.int64),
        score=np.zeros(n, np.int64),
        place=np.zeros(max(sum(weights), 1), np.int64),
    )


def on_endpoints(
    state: Places, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Deal the map out anew among the servers ``new``.

    The original does it by rising scores: at every place each server gains its weight, the first
    with the highest whole part wins and loses the sum.
    """
    for k in range(len(old)):
        state.seat[old[k]] = NOBODY
    divisor = 0
    total = 0
    for k in range(len(new)):
        state.seat[new[k]] = k
        state.score[new[k]] = 0
        divisor = math.gcd(divisor, state.weight[new[k]])
        total += state.weight[new[k]]
    total = total // max(divisor, 1)
    state.number[PLACES] = total
    for at in range(total):
        best = NOBODY
        highest = 0
        for k in range(len(state.order)):
            server = state.order[k]
            if state.seat[server] == NOBODY:
                continue
            state.score[server] += state.weight[server] // divisor
            value = (state.score[server] + total) // total
            if best == NOBODY or value > highest:
                highest = value
                best = server
        state.score[best] -= total
        state.place[at] = state.seat[best]


def pick(
    state: Places,
    _rng: np.ndarray,
    _now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the key's server, -1 without servers."""
    n = len(busy)
    if n <= 1:
        return n - 1
    at = key
    if key == NO_KEY:
        at = state.number[TURN]
        state.number[TURN] = at + 1
    return state.place[at % state.number[PLACES]]


def shares(state: Places, n: int) -> np.ndarray:
    """Return the share of the map of each of the ``n`` servers, float64[n]."""
    counts = np.bincount(state.place[: state.number[PLACES]], minlength=n)
    return counts / max(int(counts.sum()), 1)


HAPROXY_HASH = Balancer(
    name="haproxy_hash",
    level="l7",
    summary="HAProxy's source, uri and hdr with a map: most keys move when the list changes",
    source="haproxy/haproxy src/lb_map.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    digest=digest,
    hashes=True,
    scope="replica",
    shares=shares,
    cost="O(1)",
    differs=(
        ("haproxy_hash_consistent", "has even shares, but most keys move when the list changes"),
        ("nginx_hash", "hashes with sdbm, and stays at a server that failed"),
    ),
)
