"""haproxy_roundrobin: HAProxy's ``roundrobin``, servers on a line of positions.

Original: haproxy/haproxy src/lb_fwrr.c at v2.6.12 (checked against the running program). A round
has as many positions as the weights sum up to; a server that was picked goes ahead by that sum
divided by its own weight, what is left over being kept for the next time. There are three trees.
Of ``current`` the server with the lowest position comes first, if its position has been reached;
else one of ``init``, where servers are at the beginning, the heaviest first. A server whose next
position lies beyond the round goes to ``next``, which becomes ``init`` when both others are empty.
With equal weights that is the order of the configuration, for ever. All threads of the process
take turns together.

A server that goes is taken out. One that comes (back) gets the position

    position of the round + (new sum of weights + end of the round - position) / weight

and goes to ``next`` if that lies beyond the round; servers go ahead by the new sum of weights at
once. When the weight of a server changes that warms up by ``slowstart``
(`lbbench.balancers.haproxy_slowstart`), its place in ``init`` follows the weight; else it goes to
its last turn plus the new sum divided by its weight, not further back than it was, and if that is
not two positions ahead, to the present position plus the quotient.

Deviations: ``maxconn`` and its queue are not modelled. Retries and the order of the configuration:
see `lbbench.balancers.haproxy_servers`. Units: positions, weights times 16. Cost per pick:
O(log n), a change of a warming server's weight O(E).
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
    WEIGHT_SCALE,
    last_failed,
    redispatch_of,
    server_numbers,
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
from lbbench.core.queues import NOWHERE, empty_queues, first_of, put_in, take_out

CURRENT = 0
REDISPATCH, INIT, NEXT, POSITION, ROUND, NEXT_ROUND = range(6)
KEY_SCALE = 256  # SRV_UWGHT_RANGE
MASK = 2**32 - 1  # the original divides unsigned numbers of 32 bits


class RoundRobin(NamedTuple):
    """The trees of one process; E endpoints exist in the run. Servers go by their ids."""

    number: np.ndarray  # int64[6]: see the names above; INIT and NEXT are queues 1 and 2
    order: np.ndarray  # int64[E] endpoint ids in order of the configuration
    place: np.ndarray  # int64[E] by id: position in the list, NOWHERE when it is not listed
    position: np.ndarray  # int64[E] by id: where its next turn is, 0 before the first
    last: np.ndarray  # int64[E] by id: where its last turn was
    rest: np.ndarray  # int64[E] by id: what its divisions left over
    slow: np.ndarray  # int64[4] weights: see `lbbench.balancers.haproxy_slowstart`
    uweight: np.ndarray  # int64[E]
    eweight: np.ndarray  # int64[E]
    since: np.ndarray  # int64[E]
    due: np.ndarray  # int64[E]
    size: np.ndarray  # int64[3] the trees: see `lbbench.core.queues`
    heap: np.ndarray  # int64[3, E]
    queue: np.ndarray  # int64[E]
    seat: np.ndarray  # int64[E]
    key: np.ndarray  # int64[E]
    turn: np.ndarray  # int64[E]
    turns: np.ndarray  # int64[1]


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RoundRobin:
    """Return a process's trees before it has a list.

    Raises
    ------
    BalancerError
        When ``redispatch`` is neither true, false nor ``last``, ``slowstart`` is no time, or a
        weight is above HAProxy's 256.
    """
    n = len(endpoints)
    again = redispatch_of("haproxy_roundrobin", params)
    weights = server_weights("haproxy_roundrobin", endpoints)
    return RoundRobin(
        number=np.array([again, 1, 2, 0, 0, 0], np.int64),
        order=np.argsort(server_numbers(endpoints), kind="stable").astype(np.int64),
        place=np.full(n, NOWHERE, np.int64),
        position=np.zeros(n, np.int64),
        last=np.zeros(n, np.int64),
        rest=np.zeros(n, np.int64),
        **warming_fields("haproxy_roundrobin", params, weights),
        **empty_queues(3, n),
    )


def on_endpoints(
    state: RoundRobin, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """List the servers ``new``; one that comes waits for its position, or for the next round."""
    if is_due(state, now):
        _warm(state, now)
    is_first = starts(state)
    for k in range(len(old)):
        state.place[old[k]] = NOWHERE
    for k in range(len(new)):
        state.place[new[k]] = k
    total = 0
    for k in range(len(state.order)):
        server = state.order[k]
        if state.place[server] == NOWHERE:
            take_out(state, server)
        elif state.queue[server] != NOWHERE:
            total += state.eweight[server]
    state.number[NEXT_ROUND] = total
    for k in range(len(state.order)):
        server = state.order[k]
        if state.place[server] == NOWHERE or state.queue[server] != NOWHERE:
            continue
        if is_first:
            state.number[NEXT_ROUND] += state.eweight[server]
            put_in(state, state.number[INIT], server, HIGHEST_WEIGHT - state.eweight[server])
        else:
            come_up(state, server, now)
            state.number[NEXT_ROUND] += state.eweight[server]
            _join(state, server)
    if is_first:
        state.number[ROUND] = state.number[NEXT_ROUND]
        state.number[POSITION] = state.number[NEXT_ROUND]


def _join(state: RoundRobin, server: int) -> None:
    """Put in a server that comes up, with the sum of weights already raised by its own."""
    position = state.number[POSITION]
    left = (state.number[NEXT_ROUND] + state.number[ROUND] - position) & MASK
    state.position[server] = (position + left // state.eweight[server]) & MASK
    _queue_again(state, server)


def _warm(state: RoundRobin, now: float) -> None:
    """Move servers whose weight has grown up to ``now``."""
    server = next_run(state, now)
    while server != NOBODY:
        before = state.eweight[server]
        if run_task(state, server, state.queue[server] != NOWHERE):
            state.number[NEXT_ROUND] += state.eweight[server] - before
            _move(state, server)
        server = next_run(state, now)


def _move(state: RoundRobin, server: int) -> None:
    """Let a listed server's place follow its new weight."""
    weight = state.eweight[server]
    if state.queue[server] == state.number[INIT]:
        put_in(state, state.number[INIT], server, HIGHEST_WEIGHT - weight)
        return
    if state.queue[server] == state.number[NEXT]:
        state.position[server] += state.number[ROUND]
    step = state.number[NEXT_ROUND] // weight
    state.position[server] = min(state.position[server], state.last[server] + step)
    state.rest[server] = 0
    if state.position[server] < state.number[POSITION] + 2:
        state.position[server] = state.number[POSITION] + step
    _queue_again(state, server)


def pick(
    state: RoundRobin,
    _rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the server whose turn it is, -1 without servers."""
    n = len(busy)
    if n == 0:
        return NOBODY
    if is_due(state, now):
        _warm(state, now)
    failed = last_failed(tried)
    if stays(tried, state.number[REDISPATCH]) or (failed != NOBODY and n == 1):
        return failed
    server = _next_server(state)
    if state.place[server] == failed:
        avoided = server
        server = _next_server(state)
        _queue_again(state, server)
        _queue_again(state, avoided)
    else:
        _queue_again(state, server)
    return state.place[server]


def _next_server(state: RoundRobin) -> int:
    """Take out the server whose turn it is, and let it go ahead to its next one."""
    if state.number[ROUND] == 0:
        state.number[ROUND] = state.number[NEXT_ROUND]
        state.number[POSITION] = state.number[NEXT_ROUND]
    server = _due(state)
    if server == NOWHERE:  # the round is over
        state.number[INIT], state.number[NEXT] = state.number[NEXT], state.number[INIT]
        state.number[ROUND] = state.number[NEXT_ROUND]
        state.number[POSITION] = state.number[ROUND]
        server = _due(state)
    weight = state.eweight[server]
    length = state.number[NEXT_ROUND]
    if state.position[server] == 0:
        state.position[server] = state.number[POSITION]
    state.last[server] = state.position[server]
    state.position[server] += length // weight
    state.rest[server] += length % weight
    if state.rest[server] >= weight:
        state.rest[server] -= weight
        state.position[server] += 1
    take_out(state, server)
    state.number[POSITION] += 1
    return server


def _due(state: RoundRobin) -> int:
    """Return the server whose turn it is in this round, NOWHERE when all had theirs."""
    server = first_of(state, CURRENT)
    if server != NOWHERE and state.position[server] <= state.number[POSITION]:
        return server
    begins = first_of(state, state.number[INIT])
    if begins == NOWHERE:
        return server
    state.position[begins] = 0
    state.rest[begins] = 0
    return begins


def _queue_again(state: RoundRobin, server: int) -> None:
    """Put a server in for its next turn: in this round, or in the next one."""
    position = state.position[server]
    length = state.number[ROUND]
    weight = state.eweight[server]
    if position >= 2 * length or position >= length + state.number[NEXT_ROUND]:
        state.position[server] = position - length
        put_in(state, state.number[NEXT], server, HIGHEST_WEIGHT - weight)
        return
    finer = (HIGHEST_WEIGHT + state.rest[server] - weight) // WEIGHT_SCALE
    put_in(state, CURRENT, server, KEY_SCALE * position + finer)


def shares(state: RoundRobin, n: int) -> np.ndarray:
    """Return the share of the weights of each of the ``n`` listed servers, float64[n]."""
    weights = np.zeros(n)
    is_listed = state.place != NOWHERE
    weights[state.place[is_listed]] = state.eweight[is_listed]
    return weights / weights.sum()


HAPROXY_ROUNDROBIN = Balancer(
    name="haproxy_roundrobin",
    level="l7",
    summary="HAProxy's roundrobin: weighted turns of all threads together",
    source="haproxy/haproxy src/lb_fwrr.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"redispatch": False, "slowstart": "0s"}),
    scope="replica",
    cost="O(log n)",
    differs=(
        (
            "nginx_round_robin",
            "all threads take turns together; a server that comes gets its turn further along",
        ),
        ("round_robin", "is one cycle per replica, not one per worker with a start of its own"),
    ),
)
