"""The steady loop where every request has a connection of its own: layer 4 by whole arrays.

Nobody waits for a connection, so what layer 4 does to a block does not depend on what comes of it:
the picks of a batch are made one after the other, before anything else of it. Who is on the way
comes in order of arrival by merging two queues, same node and cross node, each of which is in order
because all in it take the same time.

On the service path there is no event list at all: pods take whom they get. On the ingress path
there is one for what follows the worker.
"""

from __future__ import annotations

import math

from lbbench.core.calendar import NEAR, Calendar, add_event, day_of, drop_next, turn_to
from lbbench.core.held import apart, lend
from lbbench.engines.counters import Counters
from lbbench.engines.events import (
    ANSWER,
    REACH_POD,
    REACH_WORKER,
    TAKE,
    event_kind,
    event_order,
    is_before,
)
from lbbench.engines.parts import INGRESS
from lbbench.engines.recording import Records
from lbbench.engines.steady.arrays import FIRST, open_batch
from lbbench.engines.steady.codes import (
    DONE,
    NEEDS_REPLIES,
    NEEDS_SLOTS,
    NEEDS_STAYS,
    STAYS_AT_ONCE,
    STRAYED,
)
from lbbench.engines.steady.counting import count, fill_single, record
from lbbench.engines.steady.ports import forget_closed, open_port, will_close
from lbbench.engines.steady.segments import open_segments, set_bound, stop_of
from lbbench.engines.steady.serving import serve
from lbbench.engines.steady.slots import free_slot
from lbbench.engines.steady.workers import log, reach_worker, rtt_of, take
from lbbench.engines.steady.world import (
    BATCH,
    N_CURSOR,
    N_DONE,
    N_FREE,
    N_REPLY_FREE,
    N_STAY_FREE,
    N_STRAYED,
    T_ARRIVAL,
    T_BOUND,
    T_LAST,
    Steady,
)
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.trace import Trace

NOT_ON_THE_WAY = 2
AN_ANSWER = 3


def run_single(
    f: Facts,
    lists: Lists,
    w: Steady,
    c: Counters,
    s: States,
    records: Records,
    block: Trace,
    final: int,
) -> int:
    """Run until every request of ``block`` has come; with ``final``, until nothing is left."""
    return _run(lend(f), lend(lists), lend(w), lend(c), lend(s), lend(records), lend(block), final)


@apart
def _run(
    f: Facts,
    lists: Lists,
    w: Steady,
    c: Counters,
    s: States,
    records: Records,
    block: Trace,
    final: int,
) -> int:
    while True:
        row = w.number[N_CURSOR]
        end = min(row + BATCH, block.arrival.size)
        if w.number[N_FREE] < BATCH:
            return NEEDS_SLOTS
        alive = w.request.size - w.number[N_FREE] + end - row  # each will be at a pod once
        if w.number[N_STAY_FREE] < STAYS_AT_ONCE * alive:
            forget_closed(w, _safe(w, w.clock[T_ARRIVAL]))
            if w.number[N_STAY_FREE] < STAYS_AT_ONCE * alive:
                return NEEDS_STAYS
        if w.number[N_REPLY_FREE] < alive:
            return NEEDS_REPLIES
        open_batch(f, lists, w, c, s, block, row, end)
        w.number[N_CURSOR] = end
        until = math.inf
        if end < block.arrival.size:
            until = block.arrival[end]
        elif final == 0:
            until = w.clock[T_ARRIVAL]
        set_bound(f, w, final)
        if INGRESS:
            _chain(f, w, c, s, records, until, final)
        else:
            _serve(f, w, c, records, until, final)
        if w.number[N_STRAYED]:
            return STRAYED
        if end == block.arrival.size:
            _count(f, w, c, records)
            if final:
                fill_single(f, w, c)
                return STRAYED if w.clock[T_LAST] > stop_of(f, w) + f.drain else DONE
            w.number[N_CURSOR] = 0
            return DONE


def _next_on_the_way(w: Steady) -> int:
    """Return which of the two queues has the request that arrives first, -1 when both are empty."""
    a = w.way[0, FIRST]
    b = w.way[1, FIRST]
    if a < 0:
        return 1 if b >= 0 else -1
    if b < 0:
        return 0
    first, second = w.request[a], w.request[b]
    if first.at_worker == second.at_worker:
        return 0 if first.number < second.number else 1
    return 0 if first.at_worker < second.at_worker else 1


def _serve(f: Facts, w: Steady, c: Counters, records: Records, until: float, final: int) -> None:
    """Let everybody on the way arrive at their pods who does so before ``until``."""
    while True:
        way = _next_on_the_way(w)
        if way < 0:
            break
        slot = w.way[way, FIRST]
        time = w.request[slot].at_worker
        if time >= until:
            break
        if time > w.clock[T_BOUND]:
            open_segments(f, w, c, time, final)
        w.way[way, FIRST] = w.request[slot].next
        _arrive(f, w, c, slot)
        _reach_pod(f, w, slot, time)
        _finish(f, w, c, records, slot)
    open_segments(f, w, c, until, final)


def _chain(
    f: Facts, w: Steady, c: Counters, s: States, records: Records, until: float, final: int
) -> None:
    """Let everything happen that does so before ``until``, on the ingress path."""
    soon, replies = w.calendar, w.replies
    while True:
        way = _next_on_the_way(w)
        slot = -1
        time = until
        order = 0
        if way >= 0:
            slot = w.way[way, FIRST]
            time = min(until, w.request[slot].at_worker)
            order = event_order(REACH_WORKER, w.request[slot].number, 0)
        day = day_of(soon, time)
        turn_to(soon, day)
        turn_to(replies, day)
        if _is_first(soon, time, order):
            time = soon.near_time[0]
            order = soon.near_order[0]
            way = NOT_ON_THE_WAY
        if _is_first(replies, time, order):
            time = replies.near_time[0]
            way = AN_ANSWER
        if time >= until:
            open_segments(f, w, c, until, final)
            return
        if time > w.clock[T_BOUND]:
            open_segments(f, w, c, time, final)
        if way == AN_ANSWER:
            at = replies.near_slot[0]
            drop_next(replies)
            reply = replies.entry[at]
            log(f, w, c, s, reply.worker, reply.pod, reply.served, reply.rtt, time)
            w.reply_free[w.number[N_REPLY_FREE]] = at
            w.number[N_REPLY_FREE] += 1
            continue
        if way == NOT_ON_THE_WAY:
            slot = soon.near_slot[0]
            drop_next(soon)
        else:
            w.way[way, FIRST] = w.request[slot].next
            _arrive(f, w, c, slot)
        _go_on(f, w, c, s, records, slot, order, time, min(until, w.clock[T_BOUND]))


def _go_on(
    f: Facts,
    w: Steady,
    c: Counters,
    s: States,
    records: Records,
    slot: int,
    order: int,
    time: float,
    limit: float,
) -> None:
    """Let a request take its next step, and those after it that come before everything else."""
    way = _next_on_the_way(w)
    if way >= 0:
        limit = min(limit, w.request[w.way[way, FIRST]].at_worker)
    kind = event_kind(order)
    number = w.request[slot].number
    if kind == REACH_WORKER:
        time = reach_worker(f, w, slot, time)
        if not _comes_next(w, time, limit):
            add_event(w.calendar, time, event_order(TAKE, number, 0), slot)
            return
        kind = TAKE
    if kind == TAKE:
        time = take(f, w, c, s, slot, time)
        if not _comes_next(w, time, limit):
            add_event(w.calendar, time, event_order(REACH_POD, number, 1), slot)
            return
    answer = _reach_pod(f, w, slot, time)
    w.number[N_REPLY_FREE] -= 1
    at = w.reply_free[w.number[N_REPLY_FREE]]
    reply = w.replies.entry[at]
    request = w.request[slot]
    reply.rtt = rtt_of(w, slot, answer)
    reply.pod = request.pod
    reply.worker = request.worker
    reply.served = request.served
    add_event(w.replies, answer, event_order(ANSWER, number, 1), at)
    _finish(f, w, c, records, slot)


def _comes_next(w: Steady, time: float, limit: float) -> bool:
    """Tell whether nothing else happens up to ``time``."""
    if time >= limit:
        return False
    day = day_of(w.calendar, time)
    turn_to(w.calendar, day)
    turn_to(w.replies, day)
    return not (_is_up_to(w.calendar, time) or _is_up_to(w.replies, time))


def _is_up_to(calendar: Calendar, time: float) -> bool:
    return calendar.number[NEAR] > 0 and calendar.near_time[0] <= time


def _is_first(calendar: Calendar, time: float, order: int) -> bool:
    """Tell whether the next event of a calendar comes before (``time``, ``order``)."""
    if calendar.number[NEAR] == 0:
        return False
    return is_before(calendar.near_time[0], calendar.near_order[0], time, order)


def _reach_pod(f: Facts, w: Steady, slot: int, now: float) -> float:
    """Let a request reach its pod; return when its answer is seen."""
    answer = serve(f, w, slot, now)
    request = w.request[slot]
    if f.local == 0:
        will_close(w, request.node, request.target, request.ends)
    return answer


def _arrive(f: Facts, w: Steady, c: Counters, slot: int) -> None:
    """Let a request arrive that was on the way: by now is known how many ports were taken then."""
    request = w.request[slot]
    if f.local == 0:
        open_port(w, c, request.node, request.target, request.arrival, _safe(w, request.arrival))


def _safe(w: Steady, arrival: float) -> float:
    """Return a time before which nobody was sent whose port is not counted yet.

    That is ``arrival`` or that of the first in a queue: each is in order of arrival.
    """
    for way in range(2):
        first = w.way[way, FIRST]
        if first >= 0:
            arrival = min(arrival, w.request[first].arrival)
    return arrival


def _finish(f: Facts, w: Steady, c: Counters, records: Records, slot: int) -> None:
    """Put a request that nothing more happens to among those that are to be counted."""
    w.done[w.number[N_DONE]] = slot
    w.number[N_DONE] += 1
    if w.number[N_DONE] == w.done.size:
        _count(f, w, c, records)


def _count(f: Facts, w: Steady, c: Counters, records: Records) -> None:
    """Count what is done, and give the slots back."""
    for k in range(w.number[N_DONE]):
        slot = w.done[k]
        count(f, w, c, slot)
        if f.records:
            record(w, records, slot)
        free_slot(w, slot)
    w.number[N_DONE] = 0
