"""haproxy_hash_consistent: HAProxy's ``source``, ``uri`` and ``hdr`` with ``hash-type consistent``.

Original: haproxy/haproxy src/lb_chash.c (chash_get_server_hash, chash_server_is_eligible) at
v2.6.12 (checked against the running program). A key belongs to the nearest of the servers' points
in either direction, 16 per unit of weight (`lbbench.core.nearest`). With one server left nothing is
hashed.

``haproxy_hash_bounded`` has ``hash-balance-factor`` (150) too: a server may have in flight what its
weight gives it of ceil((all in flight + 1) factor / 100) slots, the remainder being dealt out along
the configuration, and at least 1; the key goes on to the next points until one of them may.

Without a key the original takes turns; here the points are taken in turn, which gives each server
its share of them. With ``redispatch`` a retry goes on to the next point of another server. Hash
functions: see `lbbench.balancers.haproxy_keys`. Retries and the order of the configuration: see
`lbbench.balancers.haproxy_servers`.

Deviations: the turns without a key; ``maxconn`` and its queue are not modelled. Units:
attempts. Cost per pick: O(log n), bounded also the points that are passed; a change of the list
O(16 E).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.haproxy_keys import NO_KEY, avalanche_key
from lbbench.balancers.haproxy_servers import (
    NOBODY,
    WEIGHT_SCALE,
    last_failed,
    redispatch_of,
    server_numbers,
    server_weights,
    stays,
)
from lbbench.core.nearest import nearest, tree_points
from lbbench.core.rings import points_kept
from lbbench.errors import BalancerError

REDISPATCH, FACTOR, POINTS, TURN, WEIGHTS, BUSY = range(6)
WHOLE = 100  # a factor is in percent


class Tree(NamedTuple):
    """The tree of one process; E endpoints exist in the run, with M points."""

    number: np.ndarray  # int64[6]: redispatch; factor; points in use; turn; sum of weights; of busy
    weight: np.ndarray  # int64[E] by id, times 16
    before: np.ndarray  # int64[E] by id: weights of those before it in the configuration
    order: np.ndarray  # int64[E] endpoint ids in order of the configuration
    level: np.ndarray  # int64[E] by id: attempts in flight, listed or not
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    all_hash: np.ndarray  # int64[M] ascending, of all servers that ever exist
    all_owner: np.ndarray  # int64[M] endpoint ids
    hashes: np.ndarray  # int64[M] ascending, of the listed ones
    owners: np.ndarray  # int64[M] positions
    seat: np.ndarray  # int64[E] scratch, -1 between changes


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of a text."""
    return avalanche_key


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Tree:
    """Return a process's tree before it has a list.

    Raises
    ------
    BalancerError
        When an option is none of HAProxy's values, or a weight is above its 256.
    """
    factor = params.get("hash_balance_factor", 0)
    name = "haproxy_hash_bounded" if factor else "haproxy_hash_consistent"
    if isinstance(factor, bool) or not isinstance(factor, int) or 0 < factor <= WHOLE or factor < 0:
        raise BalancerError(
            f"haproxy_hash_bounded: hash_balance_factor = {factor}: must be a whole number above "
            f"{WHOLE} (percent of the mean), or 0 for no bound"
        )
    weights = server_weights(name, endpoints)
    numbers = server_numbers(endpoints)
    all_hash, all_owner = tree_points(numbers, weights)
    n = len(endpoints)
    return Tree(
        number=np.array([redispatch_of(name, params), factor, 0, 0, 0, 0], np.int64),
        weight=WEIGHT_SCALE * np.array(weights, np.int64),
        before=np.zeros(n, np.int64),
        order=np.argsort(numbers, kind="stable").astype(np.int64),
        level=np.zeros(n, np.int64),
        ids=np.zeros(n, np.int64),
        all_hash=all_hash,
        all_owner=all_owner,
        hashes=np.zeros(len(all_hash), np.int64),
        owners=np.zeros(len(all_hash), np.int64),
        seat=np.full(n, NOBODY, np.int64),
    )


def on_endpoints(
    state: Tree, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the servers ``new``: a stretch of those of all, so nothing is sorted."""
    for k in range(len(new)):
        state.ids[k] = new[k]
        state.seat[new[k]] = k
    total = 0
    for k in range(len(state.order)):
        server = state.order[k]
        if state.seat[server] != NOBODY:
            state.before[server] = total
            total += state.weight[server]
    state.number[WEIGHTS] = total
    state.number[POINTS] = points_kept(
        state.all_hash, state.all_owner, new, state.seat, state.hashes, state.owners
    )


def on_busy(state: Tree, endpoint: int, busy: int) -> None:
    """Keep what a server, and all of them, have in flight."""
    state.number[BUSY] += busy - state.level[endpoint]
    state.level[endpoint] = busy


def pick(
    state: Tree,
    _rng: np.ndarray,
    _now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the key's server, -1 without servers."""
    n = len(busy)
    if n <= 1:
        return n - 1
    failed = last_failed(tried)
    if stays(tried, state.number[REDISPATCH]):
        return failed
    points = state.number[POINTS]
    if key == NO_KEY:
        point = state.number[TURN] % points
        state.number[TURN] += 1
    else:
        point = nearest(state.hashes, points, key)
    for _ in range(points):
        place = state.owners[point]
        if place != failed and _is_eligible(state, state.ids[place]):
            break
        point = point + 1 if point + 1 < points else 0
    return state.owners[point]


def _is_eligible(state: Tree, server: int) -> bool:
    """Tell whether a server may have one attempt more in flight."""
    factor = state.number[FACTOR]
    if factor == 0:
        return True
    total = state.number[WEIGHTS]
    weight = state.weight[server]
    slots = ((state.number[BUSY] + 1) * factor + WHOLE - 1) // WHOLE
    rest = slots % total
    before = state.before[server]
    own = weight * (slots // total)
    own += (before + weight) * rest // total - before * rest // total
    return bool(state.level[server] < max(own, 1))


HAPROXY_HASH_CONSISTENT = Balancer(
    name="haproxy_hash_consistent",
    level="l7",
    summary="HAProxy's consistent hash: the nearest of 16 points per unit of weight",
    source="haproxy/haproxy src/lb_chash.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    digest=digest,
    hashes=True,
    params=MappingProxyType({"redispatch": False}),
    scope="replica",
    cost="O(log n)",
    differs=(
        ("haproxy_hash", "moves few keys when the list changes, but its 16 points share unevenly"),
        ("nginx_hash_consistent", "has 16 points per server and takes the nearest on either side"),
    ),
)

HAPROXY_HASH_BOUNDED = replace(
    HAPROXY_HASH_CONSISTENT,
    name="haproxy_hash_bounded",
    summary="HAProxy's consistent hash with hash-balance-factor: full servers are passed by",
    hashes=False,
    on_busy=on_busy,
    params=MappingProxyType({"hash_balance_factor": 150, "redispatch": False}),
    cost="O(log n) and the points passed",
    differs=(("haproxy_hash_consistent", "passes by servers that have more than their slots"),),
)
