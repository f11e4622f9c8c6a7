"""The fast engine's event loop: blocks of requests through the chain, in event order.

Nothing here allocates. The loop may stop before any event and be called again with the same
arguments: it returns what it ran out of, or `DONE` when the block's last request has come (at the
end of the run: when nothing is left to happen).
"""

from __future__ import annotations

import math

from lbbench.core.heap import heap_pop
from lbbench.engines.attempts import answer_at_worker, go_back, reach_pod, take
from lbbench.engines.clients import answer_at_client, come, reach_worker, record, transmit
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
from lbbench.engines.recording import close_segments, count_latency
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import (
    N_CONN_FREE,
    N_CURSOR,
    N_EVENTS,
    N_FREE,
    N_HEAP,
    N_REQUEST,
    N_SEGMENT,
    N_STOPPED,
    T_ARRIVAL,
    T_DEADLINE,
    T_LAST,
    T_STOP,
    Facts,
    Records,
    States,
    World,
)
from lbbench.model.tally import SEGMENTS, Tally
from lbbench.model.trace import Trace

DONE = 0
NEEDS_HEAP = 1
NEEDS_SLOTS = 2
NEEDS_CONNS = 3

HEAP_MARGIN = 8  # more than one event can schedule


def run_block(
    f: Facts, w: World, y: Tally, s: States, records: Records, block: Trace, final: int
) -> int:
    """Run until every request of ``block`` has come; with ``final``, until nothing is left."""
    while True:
        if w.count[N_HEAP] > w.heap_time.size - HEAP_MARGIN:
            return NEEDS_HEAP
        if w.count[N_FREE] == 0:
            return NEEDS_SLOTS
        if w.count[N_CONN_FREE] == 0:
            return NEEDS_CONNS
        row = w.count[N_CURSOR]
        coming = row < block.arrival.size
        waiting = w.count[N_HEAP] > 0
        if not coming and final == 0:
            w.count[N_CURSOR] = 0
            return DONE
        if coming and (not waiting or _comes_first(w, block.arrival[row])):
            now = block.arrival[row]
            slot = come(f, w, y, s, block, row)
            if w.segment[slot] >= w.count[N_SEGMENT]:
                _open_segments(f, w, y, w.segment[slot], now)
            w.clock[T_ARRIVAL] = now
            w.count[N_CURSOR] += 1
            w.count[N_REQUEST] += 1
            w.count[N_EVENTS] += 1
            continue
        if not waiting:
            _stop(f, w, y, math.inf)
            return DONE
        now = w.heap_time[0]
        if not coming:
            _stop(f, w, y, now)
            if now > w.clock[T_DEADLINE]:
                _give_up(f, w, y, records)
                return DONE
        order = w.heap_order[0]
        kind = event_kind(order)
        slot = w.heap_load[0]
        w.count[N_HEAP] = heap_pop(w.heap_time, w.heap_order, w.heap_load, w.count[N_HEAP])
        if kind == FINISH and f.shared:
            if is_overtaken(f, w, now, order, slot):
                continue
            slot = w.queue_head[slot]
        w.count[N_EVENTS] += 1
        _happen(f, w, y, s, records, kind, slot, now)


def _happen(
    f: Facts, w: World, y: Tally, s: States, records: Records, kind: int, slot: int, now: float
) -> None:
    if kind == FINISH:
        leave(f, w, slot, now)
        go_back(f, w, slot, now)
    elif kind == ANSWER:
        answer_at_worker(f, w, y, s, slot, now)
    elif kind == CLIENT:
        w.clock[T_LAST] = now
        answer_at_client(f, w, y, records, slot, now)
    elif kind == REACH_POD:
        reach_pod(f, w, y, slot, now)
    elif kind == REACH_WORKER:
        reach_worker(f, w, slot, now)
    elif kind == TAKE:
        take(f, w, y, s, slot, now)
    elif kind == SEND:
        transmit(f, w, y, slot, now)


def _comes_first(w: World, arrival: float) -> bool:
    """Tell whether the next arrival precedes the first event of the heap."""
    if arrival != w.heap_time[0]:
        return arrival < w.heap_time[0]
    return event_order(SEND, w.count[N_REQUEST], 0) < w.heap_order[0]


def _open_segments(f: Facts, w: World, y: Tally, last: int, now: float) -> None:
    close_segments(
        y, w.busy_area, w.flight_area, w.since, w.in_system, f.pod_places,
        w.count[N_SEGMENT], last, now,
    )  # fmt: skip
    w.count[N_SEGMENT] = last + 1


def _stop(f: Facts, w: World, y: Tally, now: float) -> None:
    """Close the segments when the first event after the end of arrivals is due."""
    if w.count[N_STOPPED]:
        return
    stop = f.duration if f.duration > 0.0 else w.clock[T_ARRIVAL]
    w.clock[T_STOP] = stop
    w.clock[T_DEADLINE] = stop + f.drain
    if now > stop:
        w.count[N_STOPPED] = 1
        _open_segments(f, w, y, SEGMENTS, stop)


def _give_up(f: Facts, w: World, y: Tally, records: Records) -> None:
    """Count what is still in flight when the drain ends, with its elapsed time."""
    for slot in range(w.number.size):
        if w.number[slot] < 0:
            continue
        segment = w.segment[slot]
        y.unfinished[segment] += 1
        count_latency(y, segment, nanoseconds(w.clock[T_DEADLINE] - w.arrival[slot]))
        if f.records:
            record(f, w, records, slot, -2)
