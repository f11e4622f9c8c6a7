"""haproxy_leastconn: HAProxy's ``leastconn``, the fewest connections, round robin among equals.

Original: haproxy/haproxy src/lb_fwlc.c at v2.6.12 (the version of the recordings). A server's key
is (inflight + 1) 4096 / eweight in whole numbers, eweight = 16 weight, and 0 when nothing is in
flight, so that idle servers tie whatever their weight. The lowest key wins; among equal keys the
server whose key has been so the longest, for the tree keeps the order in which servers were put in:
a server is taken out and put in again, behind its equals, whenever its key changes. At first, and
when the list changes, the order is that of the list for what is new. All threads of the process
count together.

With ``slowstart`` (`lbbench.balancers.haproxy_slowstart`) a server that comes later has an eweight
that grows; it is put in again, behind its equals, whenever that changes.

Deviations: from 3.2 on HAProxy keeps several lists per key and takes one of them at random, to
spare locks; here there is one. ``maxconn`` and its queue are not modelled. An attempt that ends
after a warming server's weight has changed, before the next pick, is put in before that server is.
Retries: see `lbbench.balancers.haproxy_servers`. Units: attempts. Cost per pick: O(1), a change of
what is in flight O(log n), of a warming server's weight O(E).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.haproxy_servers import (
    HIGHEST_WEIGHT,
    NOBODY,
    last_failed,
    redispatch_of,
    server_weights,
    stays,
)
from lbbench.balancers.haproxy_slowstart import (
    come_up,
    is_due,
    next_run,
    run_task,
    starts,
    warming_fields,
)
from lbbench.core.queues import NOWHERE, empty_queues, first_of, put_in, second_of, take_out


class Leastconn(NamedTuple):
    """The tree of one process; E endpoints exist in the run."""

    redispatch: np.ndarray  # int64[1] after how many failures it is picked for anew
    place: np.ndarray  # int64[E] by id: position in the list, of those listed
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    busy: np.ndarray  # int64[E] by id: attempts in flight, listed or not
    level: np.ndarray  # int64[E] by id: key, listed or not
    slow: np.ndarray  # int64[4] weights: see `lbbench.balancers.haproxy_slowstart`
    uweight: np.ndarray  # int64[E]
    eweight: np.ndarray  # int64[E]
    since: np.ndarray  # int64[E]
    due: np.ndarray  # int64[E]
    size: np.ndarray  # int64[1] the tree: see `lbbench.core.queues`
    heap: np.ndarray  # int64[1, E]
    queue: np.ndarray  # int64[E]
    seat: np.ndarray  # int64[E]
    key: np.ndarray  # int64[E]
    turn: np.ndarray  # int64[E]
    turns: np.ndarray  # int64[1]


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Leastconn:
    """Return a process's tree before it has a list.

    Raises
    ------
    BalancerError
        When ``redispatch`` is neither true, false nor ``last``, ``slowstart`` is no time, or a
        weight is above HAProxy's 256.
    """
    n = len(endpoints)
    weights = server_weights("haproxy_leastconn", endpoints)
    return Leastconn(
        redispatch=np.array([redispatch_of("haproxy_leastconn", params)], np.int64),
        place=np.zeros(n, np.int64),
        ids=np.zeros(n, np.int64),
        busy=np.zeros(n, np.int64),
        level=np.zeros(n, np.int64),
        **warming_fields("haproxy_leastconn", params, weights),
        **empty_queues(1, n),
    )


def on_endpoints(
    state: Leastconn, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """List the servers ``new``; those that were not listed are put behind their equals."""
    if is_due(state, now):
        _warm(state, now)
    is_first = starts(state)
    at = 0
    for k in range(len(new)):
        server = new[k]
        state.ids[k] = server
        state.place[server] = k
        while at < len(old) and old[at] < server:  # lists are in order of the ids
            take_out(state, old[at])
            at += 1
        if at < len(old) and old[at] == server:
            at += 1
        else:
            if not is_first:
                come_up(state, server, now)
                state.level[server] = _level(state, server)
            put_in(state, 0, server, state.level[server])
    while at < len(old):
        take_out(state, old[at])
        at += 1


def on_busy(state: Leastconn, endpoint: int, busy: int) -> None:
    """Put a server in anew when what it has in flight changes its key."""
    state.busy[endpoint] = busy
    level = _level(state, endpoint)
    if level != state.level[endpoint]:
        state.level[endpoint] = level
        if state.queue[endpoint] != NOWHERE:
            put_in(state, 0, endpoint, level)


def _level(state: Leastconn, server: int) -> int:
    """Return a server's key."""
    busy = state.busy[server]
    if busy == 0:
        return 0
    return (busy + 1) * HIGHEST_WEIGHT // state.eweight[server]


def _warm(state: Leastconn, now: float) -> None:
    """Put servers in anew, behind their equals, whose weight has grown up to ``now``."""
    server = next_run(state, now)
    while server != NOBODY:
        if run_task(state, server, state.queue[server] != NOWHERE):
            state.level[server] = _level(state, server)
            put_in(state, 0, server, state.level[server])
        server = next_run(state, now)


def pick(
    state: Leastconn,
    _rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the server that comes first in the tree, -1 without servers."""
    n = len(busy)
    if n == 0:
        return NOBODY
    if is_due(state, now):
        _warm(state, now)
    failed = last_failed(tried)
    if n == 1 or stays(tried, state.redispatch[0]):
        return failed if failed != NOBODY else 0
    best = first_of(state, 0)
    if failed != NOBODY and state.ids[failed] == best:
        best = second_of(state, 0)
    return state.place[best]


HAPROXY_LEASTCONN = Balancer(
    name="haproxy_leastconn",
    level="l7",
    summary="HAProxy's leastconn: fewest outstanding in this process, round robin among equals",
    source="haproxy/haproxy src/lb_fwlc.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    params=MappingProxyType({"redispatch": False, "slowstart": "0s"}),
    scope="replica",
    cost="O(log n)",
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
