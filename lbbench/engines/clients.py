"""The client side in the fast engine: arrivals, sending, answers, silence."""

from __future__ import annotations

from lbbench.core.held import apart
from lbbench.engines.affinity import begin_session, remember
from lbbench.engines.condition import is_cut_off
from lbbench.engines.counters import Counters
from lbbench.engines.events import (
    CLIENT,
    FLOW_TIMER,
    GIVE_UP_TIMER,
    REACH_POD,
    REACH_WORKER,
    TAKE,
    TIMER,
    event_order,
)
from lbbench.engines.flow import SYSTEM, WORKER, flow_in, flow_out
from lbbench.engines.lines import release
from lbbench.engines.parts import CHANGES, COOKIES, INGRESS
from lbbench.engines.pods import plan_event, plan_order
from lbbench.engines.recording import (
    Records,
    count_completed,
    count_failed,
    segment_of,
    window_of,
)
from lbbench.engines.tables import (
    AWAY,
    RETURNING,
    SILENCE,
    TO_POD,
    TRAVELLING,
    TRYING,
)
from lbbench.engines.timing import TO_BALANCER, TO_CLIENT, jitter
from lbbench.engines.world import N_FREE, T_CUT, Facts, World
from lbbench.model.tally import ATTEMPTS, CROSS_NODE, RESET, RETRIED, SAVED
from lbbench.model.trace import Trace

REACHED = 0
BROKEN = 1  # a node has started anew since: it answers with a reset
LOST = 2


def new_request(w: World) -> int:
    """Take a free slot for a request that will come."""
    w.number[N_FREE] -= 1
    slot = w.free[w.number[N_FREE]]
    request = w.request[slot]
    request.conn = -1
    request.attempts = 0
    request.pod = -1
    request.place = AWAY
    request.error = -1
    request.again = 0
    request.breaks = 0
    request.next = -1
    request.sent = 0.0
    request.written = 0.0
    request.at_worker = -1.0
    request.left = 0.0
    request.leave = 0.0
    request.connected = 0.0
    request.at_pod = 0.0
    request.start = 0.0
    request.end = 0.0
    request.due = -1.0
    request.cookie = -1
    request.new_cookie = -1
    request.backend = -1
    request.version = 0
    request.served = 0
    request.n_tried = 0
    request.given_node = -1
    request.follow = -1
    request.expects = 0
    return slot


def fill(w: World, slot: int, block: Trace, row: int, number: int) -> None:
    """Let the request in ``slot`` be the one in ``row`` of ``block``."""
    request = w.request[slot]
    request.number = number
    request.arrival = block.arrival[row]
    request.work = block.work[row]
    request.client = block.client[row]
    request.lane = block.lane[row]
    request.key = block.key[row]
    request.session = block.session[row]
    request.last = block.last[row]
    request.given_node = block.node[row]
    request.gap = block.gap[row]
    request.life = block.life[row]


def arrive(f: Facts, w: World, c: Counters, slot: int, now: float) -> None:
    """Count an arrival; a session whose life is over begins anew."""
    request = w.request[slot]
    request.arrival = now
    segment = segment_of(request.number, now, f.n_requests, f.duration)
    request.segment = segment
    c.segment[segment].offered += 1
    c.window[window_of(now, f.window, c.window.size)].offered += 1
    if request.session >= 0:
        begin_session(f, w, request.session, request.life, now)


def transmit(f: Facts, w: World, c: Counters, slot: int, now: float) -> None:
    """Let the client send: the request travels as soon as its connection is open."""
    request = w.request[slot]
    conn = w.conn[request.conn]
    segment = request.segment
    if conn.carried > 0 or request.sent == 0.0:
        request.sent = now
    conn.carried += 1
    request.written = max(now, conn.ready)
    conn.touched = max(conn.touched, request.written)
    c.node[segment, conn.node].requests += 1
    if INGRESS:
        c.replica[segment, conn.target].requests += 1
        c.worker[segment, conn.worker].requests += 1
    if conn.cut or (CHANGES and conn.opened < w.clock[T_CUT]):
        wait_in_silence(f, w, slot, request.written)
        return
    request.phase = TRAVELLING
    if f.flow_reset:
        order = event_order(TIMER, request.number, FLOW_TIMER)
        plan_order(w, request.written + f.flow_idle, order, slot)
    delay = f.path_delay + jitter(f.jitter_salt[0], request.number, TO_BALANCER, f.path_jitter)
    arrives = (request.written + 0.5 * conn.rtt) + delay
    if INGRESS:
        if COOKIES and request.session >= 0:
            jar = w.jar[request.session]
            request.cookie = jar.cookie
            if jar.cookie >= 0:
                request.backend = jar.backend
        plan_event(w, arrives, REACH_WORKER, slot, slot)
        return
    pod = conn.target
    request.phase = TRYING
    request.place = TO_POD
    request.pod = pod
    request.origin = conn.node
    request.attempts = 1
    c.totals[ATTEMPTS] += 1
    if f.target_node[pod] != conn.node:
        c.totals[CROSS_NODE] += 1
    served = c.pod[segment, pod]
    served.attempts += 1
    served.first += 1
    if c.window_pods.shape[1] > 0:
        c.window_pods[window_of(request.arrival, f.window, c.window.size), pod] += 1
    plan_event(w, arrives, REACH_POD, slot, slot)


def way(f: Facts, w: World, slot: int) -> int:
    """Return whether packets pass on the request's connection: REACHED, BROKEN or LOST."""
    if not CHANGES:
        return REACHED
    conn = w.conn[w.request[slot].conn]
    there = f.target_node[conn.target]
    if w.host[conn.node].up == 0 or w.host[there].up == 0:
        return LOST
    if is_cut_off(w, there, conn.node):
        return LOST
    if w.host[conn.node].boot != conn.node_boot or w.host[there].boot != conn.target_boot:
        return BROKEN
    return REACHED


def reach_worker(f: Facts, w: World, c: Counters, slot: int, now: float) -> None:
    """Let the request queue at its worker, a FIFO server with constant work."""
    request = w.request[slot]
    desk = w.desk[w.conn[request.conn].worker]
    taken = max(now, desk.free_at)
    desk.free_at = taken + f.worker_cpu
    request.at_worker = now
    if f.records:
        flow_in(c.flow, WORKER, now)
    plan_event(w, taken, TAKE, slot, slot)


@apart
def wait_in_silence(f: Facts, w: World, slot: int, since: float) -> None:
    """Let the client wait for an answer that will not come, until it gives up."""
    request = w.request[slot]
    request.phase = SILENCE
    request.due = since + f.client_timeout
    plan_order(w, request.due, event_order(TIMER, request.number, GIVE_UP_TIMER), slot)


def send_answer(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the answer (or the failure) towards the client."""
    request = w.request[slot]
    fate = way(f, w, slot)
    if fate == LOST:
        wait_in_silence(f, w, slot, now)
        return
    if fate == BROKEN:
        request.error = RESET
        request.breaks = 1
    request.phase = RETURNING
    back = now + 0.5 * w.conn[request.conn].rtt
    wait = jitter(f.jitter_salt[0], request.number, TO_CLIENT, 0.5 * f.path_jitter)
    plan_event(w, back + wait, CLIENT, slot, slot)


def finish(f: Facts, w: World, c: Counters, records: Records, slot: int, now: float) -> None:
    """End a request at its client: count it, store its cookie, free its connection."""
    request = w.request[slot]
    window = window_of(request.arrival, f.window, c.window.size)
    latency = now - request.arrival
    if request.error >= 0:
        count_failed(c, request.segment, window, request.error, latency)
    else:
        conn = w.conn[request.conn]
        opening = request.written - request.sent
        at_worker = 0.0
        retries = 0.0
        if INGRESS:
            opening += request.connected - request.leave
            at_worker = request.left - request.at_worker
            retries = request.leave - request.left
        count_completed(
            c,
            request.segment,
            f.settled,
            window,
            conn.node,
            conn.worker if INGRESS else -1,
            request.pod,
            latency,
            request.sent - request.arrival,
            opening,
            at_worker,
            request.start - request.at_pod,
            request.end - request.start,
            retries,
        )
        if request.attempts > 1:
            c.totals[SAVED] += 1
    if INGRESS == 0 and request.error >= 0 and request.pod >= 0:
        c.pod[request.segment, request.pod].errors += 1
    if request.attempts > 1:
        c.totals[RETRIED] += 1
    if COOKIES and request.session >= 0 and request.new_cookie >= 0:
        w.jar[request.session].cookie = request.new_cookie
        w.jar[request.session].backend = request.backend
    if request.error < 0 and (f.by_key or request.session >= 0):
        remember(f, w, c, slot)
    if f.records:
        flow_out(c.flow, SYSTEM, request.arrival, now)
        record(w, records, slot, request.error)
    release(f, w, slot, now)


def free(w: World, slot: int) -> None:
    """Give the slot back."""
    w.request[slot].number = -1
    w.free[w.number[N_FREE]] = slot
    w.number[N_FREE] += 1


@apart
def record(w: World, records: Records, slot: int, error: int) -> None:
    """Write the row of the request in ``slot``; ``error`` -1: none, -2: unfinished."""
    request = w.request[slot]
    row = request.number
    records.arrival[row] = request.arrival
    records.client[row] = request.client
    records.key[row] = request.key
    records.session[row] = request.session
    records.node[row] = -1
    records.replica[row] = -1
    records.worker[row] = -1
    records.port[row] = -1
    if request.conn >= 0:
        conn = w.conn[request.conn]
        records.node[row] = conn.node
        records.port[row] = conn.port
        if INGRESS:
            records.replica[row] = conn.target
            records.worker[row] = conn.worker
    records.pod[row] = request.pod
    records.attempts[row] = request.attempts
    records.start[row] = request.start
    records.end[row] = request.end
    records.error[row] = error
