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
)
from lbbench.engines.parts import INGRESS
from lbbench.engines.recording import Records, close_segments
from lbbench.engines.steady.codes import (
    DONE,
    NEEDS_REPLIES,
    NEEDS_SLOTS,
    NEEDS_STAYS,
    STAYS_AT_ONCE,
    STRAYED,
)
from lbbench.engines.steady.counting import arrive, count, fill_attempts, record
from lbbench.engines.steady.opening import pick_node, pick_port, pick_target, worker_for
from lbbench.engines.steady.pods import retire_all
from lbbench.engines.steady.ports import open_port, will_close
from lbbench.engines.steady.serving import serve
from lbbench.engines.steady.workers import log, reach_worker, rtt_of, take
from lbbench.engines.steady.world import (
    BATCH,
    N_BEGUN,
    N_CURSOR,
    N_DONE,
    N_FREE,
    N_REPLY_FREE,
    N_REQUEST,
    N_SEGMENT,
    N_STAY_FREE,
    N_STOPPED,
    N_STRAYED,
    T_ARRIVAL,
    T_BOUND,
    T_LAST,
    T_WAY,
    Steady,
)
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.tally import ATTEMPTS, CONNECTIONS, CROSS_NODE, SEGMENTS, SNAT
from lbbench.model.trace import Trace

FIRST, LAST = range(2)
MARGIN = 1.0 + 1e-9  # for rounding, at times of up to a day
TICK = 1e-9
NOT_ON_THE_WAY = 2
REPLY = 3


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
    w.clock[T_WAY] = _longest_way(f)
    while True:
        row = w.number[N_CURSOR]
        end = min(row + BATCH, block.arrival.size)
        if w.number[N_FREE] < BATCH:
            return NEEDS_SLOTS
        alive = w.request.size - w.number[N_FREE] + end - row  # each will be at a pod once
        if w.number[N_STAY_FREE] < STAYS_AT_ONCE * alive:
            return NEEDS_STAYS
        if w.number[N_REPLY_FREE] < alive:
            return NEEDS_REPLIES
        _open(f, lists, w, c, s, block, row, end)
        w.number[N_CURSOR] = end
        until = math.inf
        if end < block.arrival.size:
            until = block.arrival[end]
        elif final == 0:
            until = w.clock[T_ARRIVAL]
        _set_bound(f, w, final)
        if INGRESS:
            _chain(f, w, c, s, records, until, final)
        else:
            _serve(f, w, c, records, until, final)
        if w.number[N_STRAYED]:
            return STRAYED
        if end == block.arrival.size:
            _count(f, w, c, records)
            if final:
                return _end(f, w, c)
            w.number[N_CURSOR] = 0
            return DONE


def _open(
    f: Facts, lists: Lists, w: Steady, c: Counters, s: States, block: Trace, row: int, end: int
) -> None:
    """Let the requests in rows ``row`` .. ``end`` of the block come and open their connections.

    One step after the other for all of them: the processor works on several requests at a time
    where the code for one is short.
    """
    lot = w.lot
    for at in range(row, end):
        place = lot[at - row]
        place.where = f.client_address[block.client[at]]
        place.node = block.node[at]
        place.port = pick_port(f, w, place.where)
    for k in range(end - row):
        place = lot[k]
        if place.node < 0:
            place.node = pick_node(f, lists, w, s, place.where, place.port, block.arrival[row + k])
    for k in range(end - row):
        place = lot[k]
        address = f.address[place.where].number
        place.target = pick_target(lists, w, s, place.node, address, block.arrival[row + k])
    for k in range(end - row):
        _come(f, w, c, block, row + k, lot[k].node, lot[k].target, lot[k].port, lot[k].where)


def _come(
    f: Facts,
    w: Steady,
    c: Counters,
    block: Trace,
    row: int,
    node: int,
    target: int,
    port: int,
    where: int,
) -> None:
    """Let the request in ``row`` of the block come, on its connection; it goes on its way."""
    now = block.arrival[row]
    w.number[N_FREE] -= 1
    slot = w.free[w.number[N_FREE]]
    request = w.request[slot]
    request.number = w.number[N_REQUEST]
    request.arrival = now
    request.work = block.work[row]
    request.client = block.client[row]
    request.key = block.key[row]
    request.session = -1
    request.cookie = -1
    request.node = node
    request.target = target
    request.port = port
    w.number[N_REQUEST] += 1
    w.clock[T_ARRIVAL] = now
    segment, window = arrive(f, w, c, request.number, now)
    request.segment = segment
    request.window = window
    while w.number[N_SEGMENT] <= segment:
        w.opening[w.number[N_SEGMENT]] = now
        w.number[N_SEGMENT] += 1
    there = f.target_node[target]
    rtt = f.client_rtt + f.hop_rtt[node, there]
    c.node[segment, node].connections += 1
    if INGRESS:
        request.worker = worker_for(f, where, node, target, port)
        c.worker[segment, request.worker].connections += 1
    else:
        request.pod = target
        c.pod[segment, target].connections += 1
        if there != node:
            c.totals[CROSS_NODE] += 1
        if c.window_pods.shape[1] > 0:
            c.window_pods[window, target] += 1
    request.sent = now
    request.rtt = rtt
    request.written = now + rtt
    request.at_worker = _arrival(f, now, rtt)
    request.next = -1
    way = 0 if there == node else 1
    if w.way[way, FIRST] < 0:
        w.way[way, FIRST] = slot
    else:
        w.request[w.way[way, LAST]].next = slot
    w.way[way, LAST] = slot


def _arrival(f: Facts, sent: float, rtt: float) -> float:
    """Return when a request arrives whose connection is opened when it is ``sent``."""
    return ((sent + rtt) + 0.5 * rtt) + f.path_delay


@apart
def _longest_way(f: Facts) -> float:
    """Return a little more than the longest time that a request is on the way."""
    longest = 0.0
    for node in range(min(f.hop_rtt.shape[0], 2)):
        longest = max(longest, _arrival(f, 0.0, f.client_rtt + f.hop_rtt[0, node]))
    return longest * MARGIN + TICK


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
            _open_segments(f, w, c, time, final)
        w.way[way, FIRST] = w.request[slot].next
        _arrive(f, w, c, slot)
        _reach_pod(f, w, slot, time)
        _finish(f, w, c, records, slot)
    _open_segments(f, w, c, until, final)


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
            way = REPLY
        if time >= until:
            _open_segments(f, w, c, until, final)
            return
        if time > w.clock[T_BOUND]:
            _open_segments(f, w, c, time, final)
        if way == REPLY:
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
    first = calendar.near_time[0]
    return first < time or (first == time and calendar.near_order[0] < order)


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
        safe = request.at_worker - w.clock[T_WAY]
        open_port(w, c, request.node, request.target, request.arrival, safe)


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
        _free(w, slot)
    w.number[N_DONE] = 0


def _set_bound(f: Facts, w: Steady, final: int) -> None:
    """Note up to when only events happen: then a segment begins, or arrivals have stopped."""
    bound = math.inf
    if w.number[N_BEGUN] < w.number[N_SEGMENT]:
        bound = w.opening[w.number[N_BEGUN]]
    if final and w.number[N_STOPPED] == 0:
        bound = min(bound, _stop(f, w))
    w.clock[T_BOUND] = bound


def _stop(f: Facts, w: Steady) -> float:
    """Return when arrivals have stopped."""
    return f.duration if f.duration > 0.0 else w.clock[T_ARRIVAL]


def _free(w: Steady, slot: int) -> None:
    w.free[w.number[N_FREE]] = slot
    w.number[N_FREE] += 1


@apart
def _open_segments(f: Facts, w: Steady, c: Counters, time: float, final: int) -> None:
    """Begin the segments whose first request was sent before ``time``; at last, end the last."""
    while w.number[N_BEGUN] < w.number[N_SEGMENT] and w.opening[w.number[N_BEGUN]] < time:
        at = w.opening[w.number[N_BEGUN]]
        last = w.number[N_BEGUN]
        while last + 1 < w.number[N_SEGMENT] and w.opening[last + 1] == at:
            last += 1
        _write(f, w, c, last, at)
    stop = _stop(f, w)
    if final and w.number[N_STOPPED] == 0 and time > stop:
        w.number[N_STOPPED] = 1
        _write(f, w, c, SEGMENTS, stop)
    _set_bound(f, w, final)


def _write(f: Facts, w: Steady, c: Counters, last: int, now: float) -> None:
    retire_all(f, w, now)
    close_segments(c, w.pod, w.in_system, f.pod, w.number[N_BEGUN], last, now)
    w.number[N_BEGUN] = last + 1


@apart
def _end(f: Facts, w: Steady, c: Counters) -> int:
    """Fill in what follows from other counts; tell whether all was answered within the drain."""
    fill_attempts(c)
    n = w.number[N_REQUEST]
    c.totals[CONNECTIONS] = n
    c.totals[ATTEMPTS] = n
    c.totals[SNAT] = n * (1 - f.local)
    for segment in range(SEGMENTS):
        for node in range(c.node.shape[1]):
            c.node[segment, node].requests = c.node[segment, node].connections
        for worker in range(c.worker.shape[1]):
            connections = c.worker[segment, worker].connections
            c.worker[segment, worker].requests = connections
            replica = worker // f.replica_workers
            c.replica[segment, replica].connections += connections
            c.replica[segment, replica].requests += connections
    return STRAYED if w.clock[T_LAST] > _stop(f, w) + f.drain else DONE
