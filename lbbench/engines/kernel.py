"""The fast engine's event loop: blocks of requests through the chain, in event order.

Nothing here allocates. The loop may stop before any event and be called again with the same
arguments: it returns what it ran out of, or `DONE` when the block's last request has come (at the
end of the run: when nothing is left to happen). Each step has one call site: what is called is
inlined, and compilation takes as long as the code is large.
"""

from __future__ import annotations

import math

from lbbench.core.heap import heap_pop
from lbbench.core.held import apart, lend
from lbbench.engines.attempts import (
    answer_at_worker,
    attempt,
    back_to_worker,
    end_attempt,
    set_read_timer,
    time_out,
    worker_is_gone,
)
from lbbench.engines.busy import tell_views
from lbbench.engines.clients import (
    REACHED,
    arrive,
    finish,
    free,
    reach_worker,
    send_answer,
    transmit,
    wait_in_silence,
    way,
)
from lbbench.engines.coming import chain, come, whose
from lbbench.engines.counters import Counters
from lbbench.engines.events import (
    ANSWER,
    ATTEMPT_MASK,
    CHANGE,
    CLIENT,
    FINISH,
    LAST_ORDER,
    REACH_POD,
    REACH_WORKER,
    SEND,
    TAKE,
    TIMER,
    event_kind,
    event_order,
    is_before,
)
from lbbench.engines.flow import PODS, SYSTEM, UPSTREAM, WORKER, flow_in, flow_out
from lbbench.engines.leftovers import give_up
from lbbench.engines.lines import GO, OPENS, idle_too_long, pump, set_idle_timer, take_line
from lbbench.engines.opening import open_line
from lbbench.engines.parts import INGRESS, SEES_PODS, take_step
from lbbench.engines.pods import leave, push_planned, turn
from lbbench.engines.recording import Records, close_segments
from lbbench.engines.tables import (
    COMING,
    GHOST,
    TRYING,
    UNCONNECTED,
)
from lbbench.engines.timers import ENDS, FLOW_ENDS, SENDS_SYN, TIMES_OUT, abandon, timer
from lbbench.engines.users import begin_users, follow_up, next_of_user
from lbbench.engines.visits import ANSWERED, NO_WAY, SILENT_POD, after_service, reach_pod
from lbbench.engines.world import (
    N_BEGUN,
    N_COMING,
    N_CONN_FREE,
    N_CURSOR,
    N_FREE,
    N_HEAP,
    N_IDLE_OLDEST,
    N_LANE_FREE,
    N_OLDEST,
    N_OUT,
    N_REQUEST,
    N_SEGMENT,
    N_STARVED,
    N_STEP,
    N_STOPPED,
    N_THINKING,
    T_ARRIVAL,
    T_DEADLINE,
    T_IDLE,
    T_LAST,
    T_READ,
    Facts,
    States,
    World,
)
from lbbench.model.tally import (
    SEGMENTS,
)
from lbbench.model.trace import Trace

DONE = 0
NEEDS_HEAP = 1
NEEDS_SLOTS = 2
NEEDS_CONNS = 3
NEEDS_LANES = 4
NEEDS_ROWS = 5

SLOTS_AT_ONCE = 2  # that one event takes: a request and its ghost


def run_block(
    f: Facts, w: World, c: Counters, s: States, records: Records, block: Trace, final: int
) -> int:
    """Run until every request of ``block`` has come; with ``final``, until nothing is left."""
    return _run(lend(f), lend(w), lend(c), lend(s), lend(records), lend(block), final)


@apart
def _run(  # noqa: C901  (each step has one call site)
    f: Facts, w: World, c: Counters, s: States, records: Records, block: Trace, final: int
) -> int:
    while True:
        if w.number[N_HEAP] + w.number[N_OUT] > w.heap_time.size:
            return NEEDS_HEAP
        if w.number[N_OUT] > 1:
            push_planned(w)
        if w.number[N_FREE] < SLOTS_AT_ONCE:
            return NEEDS_SLOTS
        if w.number[N_CONN_FREE] == 0:
            return NEEDS_CONNS
        if f.chained and w.number[N_LANE_FREE] == 0:
            return NEEDS_LANES
        if f.users > 0:
            if w.number[N_STARVED] > 0:
                return NEEDS_ROWS
            if w.number[N_BEGUN] == 0:
                w.number[N_BEGUN] = 1
                begin_users(f, w)
                continue
        row = w.number[N_CURSOR]
        coming = row < block.arrival.size
        if not coming and final == 0:
            w.number[N_CURSOR] = 0
            return DONE
        if coming and f.chained and block.gap[row] >= 0.0:
            chain(w, block, row)
            continue
        now = math.inf
        order = LAST_ORDER
        if coming:
            now = block.arrival[row]
            order = event_order(SEND, w.number[N_REQUEST], 0)
        from_heap = w.number[N_HEAP] > 0 and is_before(w.heap_time[0], w.heap_order[0], now, order)
        if from_heap:
            now = w.heap_time[0]
            order = w.heap_order[0]
        from_tray = False
        if w.number[N_OUT] == 1:  # often what was scheduled last is what comes next
            from_tray = is_before(w.out_time[0], w.out_order[0], now, order)
            if from_tray:
                now = w.out_time[0]
                order = w.out_order[0]
            else:
                push_planned(w)
        step = w.number[N_STEP]
        from_script = step < f.step.size and is_before(
            f.step[step].time, f.step[step].order, now, order
        )
        if from_script:
            now = f.step[step].time
        if w.number[N_OLDEST] >= 0 and w.clock[T_READ] <= now:
            set_read_timer(f, w)
            continue
        if w.number[N_IDLE_OLDEST] >= 0 and w.clock[T_IDLE] <= now:
            set_idle_timer(f, w)
            continue
        if not coming and _is_over(f, w, c, now):
            give_up(f, w, c, records)
            return DONE
        if from_script:
            take_step(f, w, c, s, now)
            continue
        if from_tray or from_heap:
            if from_tray:
                load = w.out_load[0]
                w.number[N_OUT] = 0
            else:
                load = w.heap_load[0]
                w.number[N_HEAP] = heap_pop(
                    w.heap_time, w.heap_order, w.heap_load, w.number[N_HEAP]
                )
            if event_kind(order) == CHANGE:
                turn(f, w, c, load, now)
                continue
            if load < 0:
                idle_too_long(f, w, -1 - load, order, now)
                continue
            slot = whose(w, order, load, now)
            if slot < 0:
                continue
        else:
            w.number[N_CURSOR] += 1
            slot = come(f, w, block, row)
        _happen(f, w, c, s, records, order, slot, now)


def _happen(  # noqa: C901  (each step has one call site)
    f: Facts,
    w: World,
    c: Counters,
    s: States,
    records: Records,
    order: int,
    slot: int,
    now: float,
) -> None:
    """Let one event happen to the request in ``slot``."""
    kind = event_kind(order)
    leaves = math.nan  # when the next attempt leaves the worker, if there is one
    answer = math.nan  # when the answer leaves towards the client, if it does
    answered = False  # the pod has answered or refused
    logged = False  # the attempt is over at its worker
    syn = False  # a SYN is sent
    goes = False  # the request goes on the wire
    silent = False  # nothing comes back
    ends = False  # the client has its answer, or has given up
    own = False  # the worker has one attempt fewer at its pod, which is not logged
    inside = False  # there are more or fewer at the pod
    pod = -1
    if kind == SEND:
        if w.request[slot].phase == COMING:
            w.number[N_THINKING] -= 1
            w.number[N_COMING] -= 1
            w.clock[T_ARRIVAL] = now
            arrive(f, w, c, slot, now)
            if f.records:
                flow_in(c.flow, SYSTEM, now)
            if w.request[slot].segment >= w.number[N_SEGMENT]:
                _open_segments(f, w, c, w.request[slot].segment, now)
        taken = take_line(f, w, slot, now)
        goes = taken == GO
        syn = taken == OPENS
    elif kind == TIMER:
        what = timer(f, w, slot, order & ATTEMPT_MASK, now)
        syn = what == SENDS_SYN
        ends = what == ENDS
        if what == TIMES_OUT:
            slot = time_out(f, w, slot)
            logged = True
        elif what == FLOW_ENDS:
            own = w.request[slot].phase in (TRYING, UNCONNECTED)
            slot = abandon(f, w, c, slot, now)
            ends = True
    elif kind == REACH_WORKER:
        if way(f, w, slot) == REACHED:
            reach_worker(f, w, c, slot, now)
        else:
            answer = now
    elif kind == TAKE:
        if f.records:
            flow_out(c.flow, WORKER, w.request[slot].at_worker, now)
        if worker_is_gone(f, w, slot):
            answer = now
        else:
            leaves = now + f.worker_cpu
            w.request[slot].left = leaves
    elif kind == REACH_POD:
        pod = w.request[slot].pod
        before = w.in_system[pod]
        what = reach_pod(f, w, c, slot, now)
        inside = w.in_system[pod] != before
        answered = what == ANSWERED
        silent = what == SILENT_POD
        if what == NO_WAY:
            answer = now
    elif kind == FINISH:
        pod = w.request[slot].pod
        leave(f, w, slot, now)
        inside = True
        if f.records:
            flow_out(c.flow, PODS, w.request[slot].at_pod, now)
        what = after_service(f, w, slot)
        answered = what == ANSWERED
        silent = what == SILENT_POD
    elif kind == ANSWER:
        if w.request[slot].phase == GHOST:
            free(w, slot)
        else:
            answer_at_worker(f, w, slot, now)
            logged = True
    elif kind == CLIENT:
        ends = True
    if logged:
        if f.records:
            flow_out(c.flow, UPSTREAM, w.request[slot].picked, now)
        if worker_is_gone(f, w, slot):
            request = w.request[slot]
            w.pod_busy[f.worker[w.conn[request.conn].worker].busy, request.pod] -= 1
            own = True
            answer = now
        elif end_attempt(f, w, c, s, slot, now):
            leaves = now
        else:
            answer = now
    if SEES_PODS:
        if inside:
            tell_views(s.pod, f.view_of, 0, f.view_of.size, pod, w.in_system[pod])
    elif own and INGRESS:
        pod = w.request[slot].pod
        desk = f.worker[w.conn[w.request[slot].conn].worker]
        tell_views(s.pod, f.view_of, desk.first, desk.views, pod, w.pod_busy[desk.busy, pod])
    if answered:
        if INGRESS:
            back_to_worker(f, w, slot, now)
        else:
            answer = now
    if not math.isnan(leaves) and not attempt(f, w, c, s, slot, now, leaves):
        answer = leaves
    if silent:
        wait_in_silence(f, w, slot, now)
    if not math.isnan(answer):
        send_answer(f, w, slot, answer)
    if syn:
        goes = open_line(f, w, c, s, slot, now)
    if goes:
        transmit(f, w, c, slot, now)
        if syn:
            pump(f, w, w.request[slot].conn, now)
    if ends:
        w.clock[T_LAST] = now
        finish(f, w, c, records, slot, now)
        if f.users > 0:
            next_of_user(f, w, w.request[slot].lane, now)
        elif f.chained:
            follow_up(f, w, slot, now)
        free(w, slot)


@apart
def _open_segments(f: Facts, w: World, c: Counters, last: int, now: float) -> None:
    close_segments(c, w.queue, w.in_system, f.pod, w.number[N_SEGMENT], last, now)
    w.number[N_SEGMENT] = last + 1


def _is_over(f: Facts, w: World, c: Counters, now: float) -> bool:
    """Tell whether nothing may happen any more; close the segments when arrivals have stopped.

    ``now`` is the time of the next event, infinite when there is none.
    """
    stop = f.duration if f.duration > 0.0 else w.clock[T_ARRIVAL]
    w.clock[T_DEADLINE] = stop + f.drain
    over = w.number[N_FREE] == w.request.size
    over = over or (now > w.clock[T_DEADLINE] and w.number[N_THINKING] == 0)
    stopped = now > stop and w.number[N_COMING] == 0
    if w.number[N_STOPPED] == 0 and (over or stopped):
        w.number[N_STOPPED] = 1
        _open_segments(f, w, c, SEGMENTS, stop)
    return over
