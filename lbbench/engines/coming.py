"""Who comes next in the fast engine: a request of the block, or the one that an event is about."""

from __future__ import annotations

from lbbench.engines.clients import fill, new_request
from lbbench.engines.events import ATTEMPT_BITS, FINISH, TIMER, event_kind, event_owner, owner_of
from lbbench.engines.parts import SHARED
from lbbench.engines.pods import is_overtaken
from lbbench.engines.tables import COMING, SERVED
from lbbench.engines.world import (
    N_COMING,
    N_CURSOR,
    N_LANE_FREE,
    N_REQUEST,
    N_TAIL,
    N_THINKING,
    Facts,
    World,
)
from lbbench.model.trace import Trace


def come(f: Facts, w: World, block: Trace, row: int) -> int:
    """Let the request in ``row`` of the block come now; return its slot."""
    slot = new_request(w)
    fill(w, slot, block, row, w.number[N_REQUEST])
    w.number[N_REQUEST] += 1
    w.request[slot].phase = COMING
    w.number[N_COMING] += 1
    w.number[N_THINKING] += 1
    if f.chained:
        w.number[N_LANE_FREE] -= 1
        w.request[slot].lane = w.lane_free[w.number[N_LANE_FREE]]
        w.number[N_TAIL] = slot
    return slot


def chain(w: World, block: Trace, row: int) -> None:
    """Keep a request that will follow the one before it on its connection."""
    slot = new_request(w)
    fill(w, slot, block, row, w.number[N_REQUEST])
    w.number[N_REQUEST] += 1
    w.number[N_CURSOR] += 1
    w.number[N_COMING] += 1
    before = w.number[N_TAIL]
    w.request[slot].phase = COMING
    w.request[slot].lane = w.request[before].lane
    w.request[before].follow = slot
    w.number[N_TAIL] = slot


def whose(w: World, order: int, load: int, now: float) -> int:
    """Return the slot that an event of the heap is about, -1 when it is void by now."""
    kind = event_kind(order)
    if kind == FINISH and SHARED:
        if is_overtaken(w, now, order, load):
            return -1
        return w.queue[load].head
    request = w.request[load]
    if kind == TIMER:
        return load if event_owner(order) >> ATTEMPT_BITS == request.number else -1
    if event_owner(order) != owner_of(request.number, request.attempts):
        return -1
    if kind == FINISH and (request.place != SERVED or request.end != now):
        return -1
    return load
