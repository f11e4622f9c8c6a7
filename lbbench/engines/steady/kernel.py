"""The steady kernel's event loop: blocks of requests through the chain, in event order.

An event has at most one successor. Where that comes before everything else it follows at once,
without the calendar; most do. Nothing here allocates; as in the general kernel the loop may stop
before any event and be called again.
"""

from __future__ import annotations

import math

from lbbench.core.calendar import NEAR, NEVER, add_event, day_of, drop_next, turn_to
from lbbench.core.held import apart, lend
from lbbench.engines.affinity import begin_session, remember
from lbbench.engines.counters import Counters
from lbbench.engines.events import (
    ANSWER,
    CLIENT,
    LAST_ORDER,
    REACH_POD,
    REACH_WORKER,
    SEND,
    TAKE,
    event_kind,
    event_order,
    is_before,
)
from lbbench.engines.parts import COOKIES, INGRESS
from lbbench.engines.recording import Records, close_segments
from lbbench.engines.steady.codes import (
    DONE,
    NEEDS_CONNS,
    NEEDS_SLOTS,
    NEEDS_STAYS,
    STAYS_AT_ONCE,
    STRAYED,
)
from lbbench.engines.steady.counting import arrive, count, fill_attempts, record
from lbbench.engines.steady.lines import answered, call_next, close_later, look_at_idle, send
from lbbench.engines.steady.pods import retire_all
from lbbench.engines.steady.ports import forget_closed
from lbbench.engines.steady.segments import stop_of
from lbbench.engines.steady.serving import serve
from lbbench.engines.steady.slots import free_slot
from lbbench.engines.steady.workers import log, reach_worker, rtt_of, take
from lbbench.engines.steady.world import (
    N_CONN_FREE,
    N_CURSOR,
    N_FREE,
    N_IDLE,
    N_REQUEST,
    N_SEGMENT,
    N_STAY_FREE,
    N_STOPPED,
    N_STRAYED,
    T_ARRIVAL,
    T_LAST,
    Steady,
)
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.tally import SEGMENTS
from lbbench.model.trace import Trace


def run_steady(
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
def _run(  # noqa: C901  (each step has one call site)
    f: Facts,
    lists: Lists,
    w: Steady,
    c: Counters,
    s: States,
    records: Records,
    block: Trace,
    final: int,
) -> int:
    near_time = w.calendar.near_time
    while True:
        if w.number[N_STRAYED]:
            return STRAYED
        row = w.number[N_CURSOR]
        coming = row < block.arrival.size
        time = math.inf
        order = LAST_ORDER
        day = NEVER
        if coming:
            if w.number[N_FREE] == 0:
                return NEEDS_SLOTS
            time = block.arrival[row]
            order = event_order(SEND, w.number[N_REQUEST], 0)
            day = day_of(w.calendar, time)
        elif final == 0:
            w.number[N_CURSOR] = 0
            return DONE
        if w.number[N_CONN_FREE] == 0:
            return NEEDS_CONNS
        if w.number[N_STAY_FREE] < STAYS_AT_ONCE:
            forget_closed(w, w.clock[T_ARRIVAL])
            if w.number[N_STAY_FREE] < STAYS_AT_ONCE:
                return NEEDS_STAYS
        turn_to(w.calendar, day)
        waits = w.calendar.number[NEAR] > 0 and is_before(
            near_time[0], w.calendar.near_order[0], time, order
        )
        if waits:
            time = near_time[0]
            order = w.calendar.near_order[0]
        if final and w.number[N_STOPPED] == 0 and time > stop_of(f, w):
            w.number[N_STOPPED] = 1
            _open_segments(f, w, c, SEGMENTS, stop_of(f, w))
        if time == math.inf:
            if w.clock[T_LAST] > stop_of(f, w) + f.drain:
                return STRAYED
            fill_attempts(c)
            return DONE
        if w.number[N_IDLE] > 0 and w.idle_time[0] < time:
            look_at_idle(f, w)
            continue
        if waits:
            slot = w.calendar.near_slot[0]
            drop_next(w.calendar)
        else:
            slot = _come(w, block, row)
            request = w.request[slot]
            request.segment, request.window = arrive(f, w, c, request.number, time)
            if request.session >= 0:
                begin_session(f, w, request.session, request.life, time)
            w.clock[T_ARRIVAL] = time
            if w.request[slot].segment >= w.number[N_SEGMENT]:
                _open_segments(f, w, c, w.request[slot].segment, time)
            row += 1
        until = math.inf if final else -math.inf
        if row < block.arrival.size:
            until = block.arrival[row]
        while True:
            kind = event_kind(order)
            number = w.request[slot].number
            if kind == SEND:
                time = send(f, lists, w, c, s, slot, time)
                order = event_order(REACH_WORKER, number, 0)
                if not INGRESS:
                    order = event_order(REACH_POD, number, 1)
            elif kind == REACH_WORKER:
                time = reach_worker(f, w, slot, time)
                order = event_order(TAKE, number, 0)
            elif kind == TAKE:
                time = take(f, w, c, s, slot, time)
                order = event_order(REACH_POD, number, 1)
            elif kind == REACH_POD:
                time = _serve(f, w, c, records, slot, time)
                order = event_order(ANSWER, number, 1)
                if not INGRESS:
                    order = event_order(CLIENT, number, 1)
            elif kind == ANSWER:
                request = w.request[slot]
                rtt = rtt_of(w, slot, time)
                log(f, w, c, s, request.worker, request.pod, request.served, rtt, time)
                time = w.request[slot].ends
                order = event_order(CLIENT, number, 1)
                if w.request[slot].seen == 0:
                    free_slot(w, slot)
                    break
            else:
                _reach_client(f, w, c, slot, time)
                break
            if time == math.inf:
                break
            if time >= until:
                add_event(w.calendar, time, order, slot)
                break
            day = day_of(w.calendar, time)
            turn_to(w.calendar, day)
            first = w.calendar.number[NEAR] == 0 or is_before(
                time, order, near_time[0], w.calendar.near_order[0]
            )
            first = first and (w.number[N_IDLE] == 0 or time <= w.idle_time[0])
            if not first or (final and time > stop_of(f, w)):
                add_event(w.calendar, time, order, slot)
                break


def _come(w: Steady, block: Trace, row: int) -> int:
    """Let the request in ``row`` of the block come; return its slot."""
    w.number[N_FREE] -= 1
    slot = w.free[w.number[N_FREE]]
    request = w.request[slot]
    request.number = w.number[N_REQUEST]
    request.arrival = block.arrival[row]
    request.work = block.work[row]
    request.client = block.client[row]
    request.lane = block.lane[row]
    request.key = block.key[row]
    request.session = block.session[row]
    request.last = block.last[row]
    request.given_node = block.node[row]
    request.life = block.life[row]
    request.conn = -1
    request.cookie = -1
    request.new_cookie = -1
    w.number[N_REQUEST] += 1
    w.number[N_CURSOR] += 1
    return slot


def _serve(f: Facts, w: Steady, c: Counters, records: Records, slot: int, now: float) -> float:
    """Let a request reach its pod; return when its answer is seen."""
    answer = serve(f, w, slot, now)
    count(f, w, c, slot)
    request = w.request[slot]
    if f.records:
        record(w, records, slot)
    conn = w.conn[request.conn]
    unit = request.key if f.by_key else request.session
    request.seen = 1 if unit >= 0 or conn.dying else 0
    if request.seen == 0:
        _release(f, w, slot)
        if not INGRESS:
            free_slot(w, slot)
            return math.inf
    return answer if INGRESS else request.ends


def _release(f: Facts, w: Steady, slot: int) -> None:
    """Take a request off its connection ahead of its answer, which nobody else sees."""
    request = w.request[slot]
    at = request.conn
    conn = w.conn[at]
    conn.users -= 1
    conn.free_at = request.ends
    if conn.ended and conn.users == 0:
        close_later(f, w, at, request.ends)
    else:
        call_next(w, at)


def _reach_client(f: Facts, w: Steady, c: Counters, slot: int, now: float) -> None:
    """Let an answer that is seen reach its client."""
    request = w.request[slot]
    if COOKIES and request.session >= 0 and request.new_cookie >= 0:
        w.jar[request.session].cookie = request.new_cookie
    remember(f, w, c, slot)
    conn = w.conn[request.conn]
    conn.users -= 1
    conn.free_at = now
    answered(w, slot, now)
    call_next(w, request.conn)
    free_slot(w, slot)


@apart
def _open_segments(f: Facts, w: Steady, c: Counters, last: int, now: float) -> None:
    retire_all(f, w, now)
    close_segments(c, w.pod, w.in_system, f.pod, w.number[N_SEGMENT], last, now)
    w.number[N_SEGMENT] = last + 1
