"""The fast engine's event loop: blocks of requests through the chain, in event order.

Nothing here allocates. The loop may stop before any event and be called again with the same
arguments: it returns what it ran out of, or `DONE` when the block's last request has come (at the
end of the run: when nothing is left to happen). Each step has one call site: what is called is
inlined, and compilation takes as long as the code is large.
"""

from __future__ import annotations

import math

from lbbench.core.heap import heap_pop, heap_push
from lbbench.engines.attempts import answer_at_worker, attempt, back_to_worker, reach_pod
from lbbench.engines.clients import (
    answer_at_client,
    come,
    reach_worker,
    record,
    send_answer,
    transmit,
)
from lbbench.engines.counters import Counters
from lbbench.engines.events import (
    ANSWER,
    CLIENT,
    FINISH,
    REACH_POD,
    REACH_WORKER,
    SEND,
    TAKE,
    event_kind,
    event_order,
)
from lbbench.engines.pods import is_overtaken, leave
from lbbench.engines.recording import Records, close_segments, count_latency
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import (
    N_CONN_FREE,
    N_CURSOR,
    N_FREE,
    N_HEAP,
    N_OUT,
    N_REQUEST,
    N_SEGMENT,
    N_STOPPED,
    T_ARRIVAL,
    T_DEADLINE,
    T_LAST,
    Facts,
    States,
    World,
)
from lbbench.model.tally import SEGMENTS
from lbbench.model.trace import Trace

DONE = 0
NEEDS_HEAP = 1
NEEDS_SLOTS = 2
NEEDS_CONNS = 3

HEAP_MARGIN = 8  # more than one event can schedule
NOTHING = -1


def run_block(
    f: Facts, w: World, c: Counters, s: States, records: Records, block: Trace, final: int
) -> int:
    """Run until every request of ``block`` has come; with ``final``, until nothing is left."""
    while True:
        if w.number[N_HEAP] > w.heap_time.size - HEAP_MARGIN:
            return NEEDS_HEAP
        if w.number[N_FREE] == 0:
            return NEEDS_SLOTS
        if w.number[N_CONN_FREE] == 0:
            return NEEDS_CONNS
        row = w.number[N_CURSOR]
        coming = row < block.arrival.size
        waiting = w.number[N_HEAP] > 0
        if not coming and final == 0:
            w.number[N_CURSOR] = 0
            return DONE
        kind = NOTHING
        if coming and (not waiting or _comes_first(w, block.arrival[row])):
            now = block.arrival[row]
            w.number[N_FREE] -= 1
            slot = w.free[w.number[N_FREE]]
            if come(f, w, c, s, block, row, slot):
                kind = SEND
            if w.request[slot].segment >= w.number[N_SEGMENT]:
                _open_segments(f, w, c, w.request[slot].segment, now)
            w.clock[T_ARRIVAL] = now
            w.number[N_CURSOR] += 1
            w.number[N_REQUEST] += 1
        else:
            now = w.heap_time[0] if waiting else math.inf
            if not coming and _is_over(f, w, c, now):
                _give_up(f, w, c, records)
                return DONE
            order = w.heap_order[0]
            slot = w.heap_load[0]
            w.number[N_HEAP] = heap_pop(w.heap_time, w.heap_order, w.heap_load, w.number[N_HEAP])
            kind = event_kind(order)
            if kind == FINISH and f.shared:
                if is_overtaken(w, now, order, slot):
                    continue
                slot = w.queue[slot].head
        _happen(f, w, c, s, records, kind, slot, now)
        for i in range(w.number[N_OUT]):
            w.number[N_HEAP] = heap_push(
                w.heap_time, w.heap_order, w.heap_load, w.number[N_HEAP],
                w.out_time[i], w.out_order[i], w.out_load[i],
            )  # fmt: skip
        w.number[N_OUT] = 0


def _happen(
    f: Facts,
    w: World,
    c: Counters,
    s: States,
    records: Records,
    kind: int,
    slot: int,
    now: float,
) -> None:
    """Let one event of class ``kind`` happen to the request in ``slot``."""
    leaves = math.nan  # when the next attempt leaves the worker, if there is one
    answered = False  # the pod has answered or refused
    answer = math.nan  # when the answer leaves towards the client, if it does
    if kind == SEND:
        transmit(f, w, c, slot, now)
    elif kind == REACH_WORKER:
        reach_worker(f, w, slot, now)
    elif kind == TAKE:
        leaves = now + f.worker_cpu
        w.request[slot].left = leaves
    elif kind == REACH_POD:
        answered = not reach_pod(f, w, c, slot, now)
    elif kind == FINISH:
        leave(f, w, slot, now)
        answered = True
    elif kind == ANSWER:
        if answer_at_worker(f, w, s, slot, now):
            leaves = now
        else:
            answer = now
    elif kind == CLIENT:
        w.clock[T_LAST] = now
        answer_at_client(f, w, c, records, slot, now)
    if answered:
        if f.ingress:
            back_to_worker(f, w, slot, now)
        else:
            answer = now
    if not math.isnan(leaves) and not attempt(f, w, c, s, slot, now, leaves):
        answer = leaves
    if not math.isnan(answer):
        send_answer(f, w, slot, answer)


def _comes_first(w: World, arrival: float) -> bool:
    """Tell whether the next arrival precedes the first event of the heap."""
    if arrival != w.heap_time[0]:
        return arrival < w.heap_time[0]
    return event_order(SEND, w.number[N_REQUEST], 0) < w.heap_order[0]


def _open_segments(f: Facts, w: World, c: Counters, last: int, now: float) -> None:
    close_segments(c, w.queue, w.in_system, f.pod, w.number[N_SEGMENT], last, now)
    w.number[N_SEGMENT] = last + 1


def _is_over(f: Facts, w: World, c: Counters, now: float) -> bool:
    """Tell whether nothing may happen any more; close the segments when arrivals have stopped.

    ``now`` is the time of the next event, infinite when there is none.
    """
    stop = f.duration if f.duration > 0.0 else w.clock[T_ARRIVAL]
    w.clock[T_DEADLINE] = stop + f.drain
    if w.number[N_STOPPED] == 0 and now > stop:
        w.number[N_STOPPED] = 1
        _open_segments(f, w, c, SEGMENTS, stop)
    return now > w.clock[T_DEADLINE]


def _give_up(f: Facts, w: World, c: Counters, records: Records) -> None:
    """Count what is still in flight when the drain ends, with its elapsed time."""
    for slot in range(w.request.size):
        if w.request[slot].number < 0:
            continue
        segment = w.request[slot].segment
        c.segment[segment].unfinished += 1
        elapsed = w.clock[T_DEADLINE] - w.request[slot].arrival
        count_latency(c, segment, nanoseconds(elapsed))
        if f.records:
            record(f, w, records, slot, -2)
