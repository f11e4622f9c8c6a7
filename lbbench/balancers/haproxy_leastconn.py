"""haproxy_leastconn: HAProxy's ``leastconn``, the fewest connections, round robin among equals.

Original: haproxy/haproxy src/lb_fwlc.c at v2.6.12 (the version of the recordings). A server's key
is (inflight + 1) 4096 / eweight in whole numbers, eweight = 16 weight, and 0 when nothing is in
flight, so that idle servers tie whatever their weight. The lowest key wins; among equal keys the
server whose key has been so the longest, for the tree keeps the order in which servers were put in:
a server is taken out and put in again, behind its equals, whenever its key changes. At first, and
when the list changes, the order is that of the list for what is new. All threads of the process
count together.

Deviations: from 3.2 on HAProxy keeps several lists per key and takes one of them at random, to
spare locks; here there is one. ``maxconn`` and its queue, ``slowstart`` and health checks are not
modelled. Retries: see `lbbench.balancers.haproxy_servers`. Units: attempts. Cost per pick: O(n), in
the original O(log n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.haproxy_servers import last_failed, redispatch_of

HIGHEST_WEIGHT = 4096  # SRV_EWGHT_MAX
WEIGHT_SCALE = 16  # BE_WEIGHT_SCALE


class Leastconn(NamedTuple):
    """The tree of one process as keys with their age; E endpoints exist in the run."""

    redispatch: np.ndarray  # int64[1] 1: a retry leaves out the server that failed
    clock: np.ndarray  # int64[1] how often a server was put into the tree
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    weight: np.ndarray  # int64[E] by id
    level: np.ndarray  # int64[E] by id: key
    since: np.ndarray  # int64[E] by id: when it was put in, by `clock`


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Leastconn:
    """Return a process's tree before it has a list.

    Raises
    ------
    BalancerError
        When ``redispatch`` is neither true nor false.
    """
    n = len(endpoints)
    return Leastconn(
        redispatch=np.array([redispatch_of("haproxy_leastconn", params)], np.int64),
        clock=np.zeros(1, np.int64),
        ids=np.zeros(n, np.int64),
        weight=np.array([item.weight for item in endpoints], np.int64),
        level=np.zeros(n, np.int64),
        since=np.zeros(n, np.int64),
    )


def on_endpoints(
    state: Leastconn, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """List the servers ``new``; those that were not listed are put behind their equals."""
    at = 0
    for k in range(len(new)):
        server = new[k]
        state.ids[k] = server
        while at < len(old) and old[at] < server:  # lists are in order of the ids
            at += 1
        if at == len(old) or old[at] != server:
            _put_in(state, server)


def on_busy(state: Leastconn, endpoint: int, busy: int) -> None:
    """Put a server in anew when what it has in flight changes its key."""
    level = 0
    if busy > 0:
        eweight = WEIGHT_SCALE * state.weight[endpoint]
        level = (busy + 1) * HIGHEST_WEIGHT // eweight
    if level != state.level[endpoint]:
        state.level[endpoint] = level
        _put_in(state, endpoint)


def _put_in(state: Leastconn, server: int) -> None:
    state.clock[0] += 1
    state.since[server] = state.clock[0]


def pick(
    state: Leastconn,
    _rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the server that comes first in the tree, -1 without servers."""
    n = len(busy)
    failed = last_failed(tried)
    if failed >= 0 and (state.redispatch[0] == 0 or n == 1):
        return failed
    best = -1
    for place in range(n):
        if place != failed and (best < 0 or _is_before(state, place, best)):
            best = place
    return best


def _is_before(state: Leastconn, place: int, other: int) -> bool:
    """Tell whether the server at one position stands before that at another."""
    one = state.ids[place]
    two = state.ids[other]
    if state.level[one] != state.level[two]:
        return bool(state.level[one] < state.level[two])
    return bool(state.since[one] < state.since[two])


HAPROXY_LEASTCONN = Balancer(
    name="haproxy_leastconn",
    level="l7",
    summary="HAProxy's leastconn: fewest outstanding in this process, round robin among equals",
    source="haproxy/haproxy src/lb_fwlc.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    params=MappingProxyType({"redispatch": False}),
    scope="replica",
    cost="O(n)",
    differs=(
        (
            "least_conn",
            (
                "counts for all threads of the process, and of equals takes the one that has been "
                "so the longest"
            ),
        ),
        ("nginx_least_conn", "counts for all threads of the process, not per worker"),
    ),
)
