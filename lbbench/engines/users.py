"""Requests that follow an answer in the fast engine: closed users, and the gaps of a connection."""

from __future__ import annotations

from lbbench.core.held import apart
from lbbench.engines.clients import free, new_request
from lbbench.engines.events import SEND
from lbbench.engines.lines import part_with, settle
from lbbench.engines.pods import plan_event
from lbbench.engines.tables import COMING
from lbbench.engines.world import (
    N_COMING,
    N_HUNGRY,
    N_LANE_FREE,
    N_REQUEST,
    N_STARVED,
    N_THINKING,
    Facts,
    World,
)
from lbbench.traffic.closed import CHUNK


@apart
def begin_users(f: Facts, w: World) -> None:
    """Let every user of closed traffic think before the first request."""
    if f.n_requests > 0:
        w.number[N_COMING] = f.n_requests
    for user in range(f.users):
        next_of_user(f, w, user, 0.0)


def next_of_user(f: Facts, w: World, user: int, now: float) -> None:
    """Let a user think and then send the next request, unless the run has enough."""
    if f.n_requests > 0 and w.number[N_REQUEST] >= f.n_requests:
        return
    at = w.user_at[user]
    row = w.user_row[user, at % (2 * CHUNK)]
    comes = now + row.think
    if f.duration > 0.0 and comes >= f.duration:
        return
    slot = new_request(w)
    request = w.request[slot]
    request.number = w.number[N_REQUEST]
    w.number[N_REQUEST] += 1
    request.arrival = comes
    request.work = row.work
    request.client = f.user_client[user]
    request.lane = user
    request.key = row.key
    request.session = f.user_session[user]
    request.last = row.last
    request.life = row.life
    request.gap = -1.0
    _think(f, w, slot, comes)
    if f.n_requests == 0:
        w.number[N_COMING] += 1
    w.user_at[user] = at + 1
    if (at + 1) % CHUNK == 0:
        _end_chunk(w, user)


def _end_chunk(w: World, user: int) -> None:
    """Note that the user needs rows: some time while another chunk lasts, else at once."""
    if w.user_at[user] == w.user_fed[user] * CHUNK:
        w.number[N_STARVED] += 1
    else:
        w.hungry[w.number[N_HUNGRY]] = user
        w.number[N_HUNGRY] += 1


@apart
def follow_up(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the next request of the connection come after its gap; without one, free the lane."""
    request = w.request[slot]
    coming = request.follow
    if coming >= 0:
        comes = now + w.request[coming].gap
        if f.duration <= 0.0 or comes < f.duration:
            _think(f, w, coming, comes)
            return
    while coming >= 0:  # the run is over before they come
        after = w.request[coming].follow
        w.number[N_COMING] -= 1
        free(w, coming)
        coming = after
    at = w.lane_conn[request.lane]
    if at >= 0:
        part_with(w, at, now)
        settle(f, w, at, now)
    w.lane_free[w.number[N_LANE_FREE]] = request.lane
    w.number[N_LANE_FREE] += 1


def _think(f: Facts, w: World, slot: int, comes: float) -> None:  # noqa: ARG001
    w.request[slot].phase = COMING
    w.number[N_THINKING] += 1
    plan_event(w, comes, SEND, slot, slot)
