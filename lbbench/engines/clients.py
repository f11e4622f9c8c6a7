"""The client side in the fast engine: arrivals, connections, waiting, answers."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.events import CLIENT, REACH_POD, REACH_WORKER, SEND, TAKE
from lbbench.engines.l4 import flow_hash, source_port, worker_of
from lbbench.engines.parts import azure_at, azure_pick, node_at, node_pick
from lbbench.engines.pods import plan_event
from lbbench.engines.recording import (
    Records,
    count_completed,
    count_failed,
    segment_of,
    window_of,
)
from lbbench.engines.timing import TO_BALANCER, TO_CLIENT, jitter
from lbbench.engines.world import N_CONN_FREE, N_FREE, N_REQUEST, Facts, States, World
from lbbench.model.trace import Trace

CONNECT_REFUSED = 0
LB_DROP = 6


def come(f: Facts, w: World, c: Counters, s: States, block: Trace, row: int, slot: int) -> bool:
    """Let the block's request ``row`` come into ``slot``; tell whether it can be sent at once."""
    now = block.arrival[row]
    number = w.number[N_REQUEST]
    segment = segment_of(number, now, f.n_requests, f.duration)
    request = w.request[slot]
    request.number = number
    request.arrival = now
    request.work = block.work[row]
    request.client = block.client[row]
    request.key = block.key[row]
    request.session = block.session[row]
    request.segment = segment
    request.attempts = 0
    request.pod = -1
    request.error = -1
    request.next = -1
    request.start = 0.0
    request.end = 0.0
    request.cookie = -1
    request.new_cookie = -1
    request.n_tried = 0
    c.segment[segment].offered += 1
    c.window[window_of(now, f.window, c.window.size)].offered += 1
    lane = block.lane[row]
    at = w.lane_conn[lane]
    if at < 0:
        at = open_connection(f, w, c, s, slot, block.node[row], now)
        w.lane_conn[lane] = at
    request.conn = at
    if at < 0:
        return False
    conn = w.conn[at]
    if block.last[row]:
        conn.closing = 1
        w.lane_conn[lane] = -1
    conn.users += 1
    c.node[segment, conn.node].requests += 1
    if f.ingress:
        c.replica[segment, conn.target].requests += 1
        c.worker[segment, conn.worker].requests += 1
    if conn.busy < f.streams:
        conn.busy += 1
        return True
    if conn.head < 0:
        conn.head = slot
    else:
        w.request[conn.tail].next = slot
    conn.tail = slot
    return False


def open_connection(
    f: Facts, w: World, c: Counters, s: States, slot: int, given_node: int, now: float
) -> int:
    """Open a connection for the request in ``slot``; return its slot, -1 when nothing takes it."""
    where = f.client_address[w.request[slot].client]
    address = f.address[where]
    port = source_port(address.salt, w.opened[where])
    w.opened[where] += 1
    nothing = w.tried[slot, :0]
    door = -1
    node = given_node
    if node < 0:
        key = flow_hash(address.hash, f.port_hash[address.family], port)
        busy = w.azure_busy[: f.node_member.size]
        door = azure_pick(azure_at(s.azure, 0), s.azure_rng[0], now, key, busy, nothing)
        if door < 0:
            w.request[slot].error = LB_DROP
            plan_event(w, now + f.client_rtt, CLIENT, slot, slot)
            return -1
        node = f.node_member[door]
    busy = w.node_busy[node, : f.node[node].targets]
    source = address.number
    seat = node_pick(node_at(s.node, node), s.node_rng[node], now, source, busy, nothing)
    if seat < 0:
        w.request[slot].error = CONNECT_REFUSED
        plan_event(w, now + f.client_rtt, CLIENT, slot, slot)
        return -1
    target = f.target_member[node, seat]
    segment = w.request[slot].segment
    w.number[N_CONN_FREE] -= 1
    at = w.conn_free[w.number[N_CONN_FREE]]
    conn = w.conn[at]
    conn.node = node
    conn.target = target
    conn.door = door
    conn.seat = seat
    conn.port = port
    conn.rtt = f.client_rtt + f.hop_rtt[node, f.target_node[target]]
    conn.ready = now + conn.rtt
    conn.users = 0
    conn.busy = 0
    conn.head = -1
    conn.tail = -1
    conn.closing = 0
    conn.worker = -1
    if door >= 0:
        w.azure_busy[door] += 1
    w.node_busy[node, seat] += 1
    c.totals[4] += 1
    c.node[segment, node].connections += 1
    if f.ingress == 0:
        c.pod[segment, target].connections += 1
        return at
    if f.local == 0:
        here = f.target_node[target] == node
        source = f.node[node].bridge if here else f.node[node].number
    conn.worker = target * f.replica_workers + worker_of(
        f.replica_salt[target], source, port, f.replica_workers
    )
    c.replica[segment, target].connections += 1
    c.worker[segment, conn.worker].connections += 1
    return at


def transmit(f: Facts, w: World, c: Counters, slot: int, now: float) -> None:
    """Let the client send: the request travels as soon as its connection is open."""
    request = w.request[slot]
    conn = w.conn[request.conn]
    request.sent = now
    request.written = max(now, conn.ready)
    delay = f.path_delay + jitter(f.jitter_salt[0], request.number, TO_BALANCER, f.path_jitter)
    arrives = (request.written + 0.5 * conn.rtt) + delay
    if f.ingress:
        if f.cookies and request.session >= 0:
            request.cookie = w.jar[request.session].cookie
        plan_event(w, arrives, REACH_WORKER, slot, slot)
        return
    pod = conn.target
    request.pod = pod
    request.attempts = 1
    c.totals[0] += 1
    if f.target_node[pod] != conn.node:
        c.totals[3] += 1
    served = c.pod[request.segment, pod]
    served.attempts += 1
    served.first += 1
    if c.window_pods.shape[1] > 0:
        c.window_pods[window_of(request.arrival, f.window, c.window.size), pod] += 1
    plan_event(w, arrives, REACH_POD, slot, slot)


def reach_worker(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the request queue at its worker, a FIFO server with constant work."""
    request = w.request[slot]
    desk = w.desk[w.conn[request.conn].worker]
    taken = max(now, desk.free_at)
    desk.free_at = taken + f.worker_cpu
    request.at_worker = now
    plan_event(w, taken, TAKE, slot, slot)


def send_answer(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the answer (or the failure) towards the client."""
    request = w.request[slot]
    back = now + 0.5 * w.conn[request.conn].rtt
    wait = jitter(f.jitter_salt[0], request.number, TO_CLIENT, 0.5 * f.path_jitter)
    plan_event(w, back + wait, CLIENT, slot, slot)


def answer_at_client(
    f: Facts, w: World, c: Counters, records: Records, slot: int, now: float
) -> None:
    """Finish a request: count it, store its cookie, let the connection's next request go."""
    request = w.request[slot]
    window = window_of(request.arrival, f.window, c.window.size)
    latency = now - request.arrival
    if request.error >= 0:
        count_failed(c, request.segment, window, request.error, latency)
    else:
        c.parts[0] = request.sent - request.arrival
        c.parts[1] = request.written - request.sent
        c.parts[3] = 0.0
        c.parts[6] = 0.0
        if f.ingress:
            c.parts[1] += request.connected - request.leave
            c.parts[3] = request.left - request.at_worker
            c.parts[6] = request.leave - request.left
        c.parts[4] = request.start - request.at_pod
        c.parts[5] = request.end - request.start
        count_completed(c, request.segment, f.settled, window, request.pod, latency)
        if request.session >= 0:
            jar = w.jar[request.session]
            if jar.pod >= 0:
                c.affinity[0] += 1
                c.affinity[1 if jar.pod == request.pod else 2] += 1
            jar.pod = request.pod
    if request.attempts > 1:
        c.totals[1] += 1
    if f.cookies and request.session >= 0 and request.new_cookie >= 0:
        w.jar[request.session].cookie = request.new_cookie
    if f.records:
        record(f, w, records, slot, request.error)
    if request.conn >= 0:
        _release(w, request.conn, now)
    request.number = -1
    w.free[w.number[N_FREE]] = slot
    w.number[N_FREE] += 1


def _release(w: World, at: int, now: float) -> None:
    """Take a finished request off its connection; close the connection after its last one."""
    conn = w.conn[at]
    conn.users -= 1
    waiting = conn.head
    if waiting >= 0:  # its place on the wire is kept, so that nobody overtakes it
        conn.head = w.request[waiting].next
        w.request[waiting].next = -1
        plan_event(w, now, SEND, waiting, waiting)
    else:
        conn.busy -= 1
    if conn.closing and conn.users == 0:
        if conn.door >= 0:
            w.azure_busy[conn.door] -= 1
        w.node_busy[conn.node, conn.seat] -= 1
        w.conn_free[w.number[N_CONN_FREE]] = at
        w.number[N_CONN_FREE] += 1


def record(f: Facts, w: World, records: Records, slot: int, error: int) -> None:
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
        if f.ingress:
            records.replica[row] = conn.target
            records.worker[row] = conn.worker
    records.pod[row] = request.pod
    records.attempts[row] = request.attempts
    records.start[row] = request.start
    records.end[row] = request.end
    records.error[row] = error
