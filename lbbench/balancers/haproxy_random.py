"""haproxy_random: HAProxy's ``random(draws)``, the least loaded of servers drawn from its tree.

Original: haproxy/haproxy src/backend.c (get_server_rnd) and src/lb_chash.c at v2.6.12 (the version
of the recordings). A draw is a uniform 32-bit hash; it falls to the server with the nearest of 16
points per unit of weight (`lbbench.core.nearest`). So servers are drawn as unevenly as the tree is
cut: of ten servers one is drawn with 0.071 and one with 0.134, and two draws meet in one server
with 0.105. Draws are with replacement. Of ``draws`` (2) servers the one with fewer attempts in
flight per weight wins, by cross products. On a tie the later draw wins; with ``ties:
session_rate``, as in 3.5-dev5 (50872daa), the one with fewer new sessions per weight in the last
second, then the later draw. All threads of the process count together. With ``slowstart``
(`lbbench.balancers.haproxy_slowstart`) a server that comes later has only its first points in the
tree, as many as its effective weight, which also takes the place of its weight in the comparison.

That explains the recordings: at load 0.7 with ten pods 70.7 ms were measured where two distinct
uniform draws give 65.4.

Deviations: the session rate is that of picks, with HAProxy's sliding second of 1 ms clock ticks.
``maxconn`` and its queue are not modelled. Retries and server numbers: see
`lbbench.balancers.haproxy_servers`; a redispatch draws again until another server comes, at most
100 times (the original walks on over the tree). Units: attempts; seconds. Cost per pick: two draws,
O(log(16 n)) each; a change of the list or of a warming server's weight O(16 E).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.figures import whole
from lbbench.balancers.haproxy_servers import (
    NOBODY,
    last_failed,
    redispatch_of,
    server_numbers,
    server_weights,
    stays,
)
from lbbench.balancers.haproxy_slowstart import (
    MS,
    come_up,
    is_due,
    next_run,
    run_task,
    starts,
    warming_fields,
)
from lbbench.core.nearest import nearest, numbered_points
from lbbench.core.rng import uniform
from lbbench.errors import BalancerError

WHOLE = 2.0**32
DRAWS, REDISPATCH, BY_RATE, POINTS, LISTED = range(5)
MOST_DRAWN_AGAIN = 100


class RandomDraws(NamedTuple):
    """The tree of one process and its session counters; E endpoints exist, with M points."""

    number: np.ndarray  # int64[5]: draws; redispatch; 1: ties by session rate; points in use; n
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    all_hash: np.ndarray  # int64[M] ascending, of all servers that ever exist
    all_owner: np.ndarray  # int64[M] endpoint ids
    all_rank: np.ndarray  # int64[M] which of its owner's points each is, from 0
    hashes: np.ndarray  # int64[M] ascending, of those in the tree
    owners: np.ndarray  # int64[M] positions
    seat: np.ndarray  # int64[E] scratch: position by id, -1 between changes
    tick: np.ndarray  # int64[E] by id: millisecond at which the counted second began
    sessions: np.ndarray  # int64[E] by id: in that second
    before: np.ndarray  # int64[E] by id: in the second before it
    slow: np.ndarray  # int64[4] weights: see `lbbench.balancers.haproxy_slowstart`
    uweight: np.ndarray  # int64[E]
    eweight: np.ndarray  # int64[E]
    since: np.ndarray  # int64[E]
    due: np.ndarray  # int64[E]


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RandomDraws:
    """Return a process's tree before it has a list.

    Raises
    ------
    BalancerError
        When ``draws`` is no whole number from 1, ``ties`` neither ``later`` nor ``session_rate``,
        ``redispatch`` neither true, false nor ``last``, ``slowstart`` no time, or a weight is above
        HAProxy's 256.
    """
    draws, ties = whole("haproxy_random", params, "draws", 1), params["ties"]
    if ties not in {"later", "session_rate"}:
        raise BalancerError(f"haproxy_random: ties = {ties}: must be later or session_rate")
    weights = server_weights("haproxy_random", endpoints)
    all_hash, all_owner, all_rank = numbered_points(server_numbers(endpoints), weights)
    n = len(endpoints)
    again = redispatch_of("haproxy_random", params)
    return RandomDraws(
        number=np.array([draws, again, int(ties == "session_rate"), 0, 0], np.int64),
        ids=np.zeros(n, np.int64),
        all_hash=all_hash,
        all_owner=all_owner,
        all_rank=all_rank,
        hashes=np.zeros(len(all_hash), np.int64),
        owners=np.zeros(len(all_hash), np.int64),
        seat=np.full(n, NOBODY, np.int64),
        tick=np.zeros(n, np.int64),
        sessions=np.zeros(n, np.int64),
        before=np.zeros(n, np.int64),
        **warming_fields("haproxy_random", params, weights),
    )


def on_endpoints(
    state: RandomDraws, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Keep the points of the servers ``new``: a stretch of those of all, so nothing is sorted."""
    if is_due(state, now):
        _warm(state, now)
    if not starts(state):
        for k in range(len(old)):
            state.seat[old[k]] = k
        for k in range(len(new)):
            if state.seat[new[k]] == NOBODY:
                come_up(state, new[k], now)
        for k in range(len(old)):
            state.seat[old[k]] = NOBODY
    state.number[LISTED] = len(new)
    for k in range(len(new)):
        state.ids[k] = new[k]
    _keep_points(state)


def _keep_points(state: RandomDraws) -> None:
    """Let each listed server have as many of its points in the tree, the first, as it weighs."""
    for k in range(state.number[LISTED]):
        state.seat[state.ids[k]] = k
    size = 0
    for point in range(len(state.all_hash)):
        server = state.all_owner[point]
        place = state.seat[server]
        if place != NOBODY and state.all_rank[point] < state.eweight[server]:
            state.hashes[size] = state.all_hash[point]
            state.owners[size] = place
            size += 1
    for k in range(state.number[LISTED]):
        state.seat[state.ids[k]] = NOBODY
    state.number[POINTS] = size


def _warm(state: RandomDraws, now: float) -> None:
    """Give warming servers the weights that they have at ``now``."""
    for k in range(state.number[LISTED]):
        state.seat[state.ids[k]] = k
    server = next_run(state, now)
    while server != NOBODY:
        run_task(state, server, state.seat[server] != NOBODY)
        server = next_run(state, now)
    _keep_points(state)


def pick(
    state: RandomDraws,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the least loaded server of those drawn, -1 without servers."""
    if len(busy) == 0:
        return NOBODY
    if is_due(state, now):
        _warm(state, now)
    ms = int(MS * now)
    failed = last_failed(tried)
    best = failed
    is_drawn = failed == NOBODY or len(busy) > 1
    if is_drawn and not stays(tried, state.number[REDISPATCH]):
        best = _drawn(state, rng, failed)
        for _ in range(1, state.number[DRAWS]):
            drawn = _drawn(state, rng, failed)
            if drawn != best and not _loses(state, busy, drawn, best, ms):
                best = drawn
    _count_session(state, state.ids[best], ms)
    return best


def _drawn(state: RandomDraws, rng: np.ndarray, avoided: int) -> int:
    """Return the position of the server that a uniform hash falls to."""
    place = avoided
    for _ in range(MOST_DRAWN_AGAIN):
        point = nearest(state.hashes, state.number[POINTS], int(uniform(rng) * WHOLE))
        place = state.owners[point]
        if place != avoided:
            break
    return place


def _loses(state: RandomDraws, busy: np.ndarray, drawn: int, best: int, ms: int) -> bool:
    """Tell whether the later draw is worse than the best so far."""
    one = state.ids[drawn]
    two = state.ids[best]
    mine = busy[drawn] * state.eweight[two]
    other = busy[best] * state.eweight[one]
    if mine == other and state.number[BY_RATE] == 1:
        mine = session_rate(state, one, ms) * state.eweight[two]
        other = session_rate(state, two, ms) * state.eweight[one]
    return bool(mine > other)


def session_rate(state: RandomDraws, server: int, ms: int) -> int:
    """Return the sessions of the last second: this one's, and of the one before what overlaps."""
    remain = state.tick[server] + MS - ms
    current = state.sessions[server]
    before = state.before[server]
    if remain < 0:
        remain += MS
        before = current if remain >= 0 else 0
        current = 0
    if current == 0 and before <= 1:
        return before
    return (before * remain + current * MS) // MS


def _count_session(state: RandomDraws, server: int, ms: int) -> None:
    elapsed = ms - state.tick[server]
    if elapsed >= MS:
        state.before[server] = state.sessions[server] if elapsed < 2 * MS else 0
        state.sessions[server] = 0
        state.tick[server] = state.tick[server] + MS if elapsed < 2 * MS else ms
    state.sessions[server] += 1


HAPROXY_RANDOM = Balancer(
    name="haproxy_random",
    level="l7",
    summary="HAProxy's random(2): fewest outstanding in this process of two drawn from its tree",
    source="haproxy/haproxy src/backend.c, src/lb_chash.c@v2.6.12",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"draws": 2, "ties": "later", "redispatch": False, "slowstart": "0s"}),
    scope="replica",
    cost="O(log n), two draws",
    differs=(
        (
            "p2c",
            (
                "draws through its hash tree, so servers have unlike chances and both draws may "
                "meet in one; counts for all threads of the process"
            ),
        ),
        (
            "nginx_random_two",
            "draws with replacement and unlike chances; counts for all threads of the process",
        ),
    ),
)
