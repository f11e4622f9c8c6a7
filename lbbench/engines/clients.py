"""The client side in the fast engine: arrivals, connections, waiting, answers."""

from __future__ import annotations

from lbbench.core.rng import mix64  # noqa: F401  (reached through timing)
from lbbench.engines.events import CLIENT, REACH_POD, REACH_WORKER, SEND, TAKE
from lbbench.engines.l4 import flow_hash, source_port, worker_of
from lbbench.engines.parts import azure_at, azure_pick, node_at, node_pick
from lbbench.engines.pods import push
from lbbench.engines.recording import count_completed, count_failed, segment_of, window_of
from lbbench.engines.timing import TO_BALANCER, TO_CLIENT, jitter
from lbbench.engines.world import (
    N_CONN_FREE,
    N_FREE,
    N_REQUEST,
    Facts,
    Records,
    States,
    World,
)
from lbbench.model.tally import Tally
from lbbench.model.trace import Trace

CONNECT_REFUSED = 0
LB_DROP = 6


def come(f: Facts, w: World, y: Tally, s: States, block: Trace, row: int) -> int:
    """Let the block's request ``row`` come: give it a slot and a connection; return the slot."""
    w.count[N_FREE] -= 1
    slot = w.free[w.count[N_FREE]]
    now = block.arrival[row]
    segment = segment_of(w.count[N_REQUEST], now, f.n_requests, f.duration)
    w.number[slot] = w.count[N_REQUEST]
    w.arrival[slot] = now
    w.work[slot] = block.work[row]
    w.client[slot] = block.client[row]
    w.key[slot] = block.key[row]
    w.session[slot] = block.session[row]
    w.segment[slot] = segment
    w.attempts[slot] = 0
    w.n_tried[slot] = 0
    w.error[slot] = -1
    w.new_cookie[slot] = -1
    w.next_one[slot] = -1
    w.pod[slot] = -1
    w.sent[slot] = now
    w.start[slot] = 0.0
    w.end[slot] = 0.0
    y.offered[segment] += 1
    y.window_offered[window_of(now, f.window, y.window_offered.size)] += 1
    lane = block.lane[row]
    conn = w.lane_conn[lane]
    if conn < 0:
        conn = open_connection(f, w, y, s, slot, block.node[row], now)
        w.lane_conn[lane] = conn
    w.conn[slot] = conn
    if conn < 0:
        return slot
    if block.last[row]:
        w.conn_closing[conn] = 1
        w.lane_conn[lane] = -1
    w.conn_users[conn] += 1
    y.node_requests[segment, w.conn_node[conn]] += 1
    if f.ingress:
        y.replica_requests[segment, w.conn_target[conn]] += 1
        y.worker_requests[segment, w.conn_worker[conn]] += 1
    if w.conn_busy[conn] < f.streams:
        w.conn_busy[conn] += 1
        transmit(f, w, y, slot, now)
    elif w.conn_head[conn] < 0:
        w.conn_head[conn] = slot
        w.conn_tail[conn] = slot
    else:
        w.next_one[w.conn_tail[conn]] = slot
        w.conn_tail[conn] = slot
    return slot


def open_connection(
    f: Facts, w: World, y: Tally, s: States, slot: int, given_node: int, now: float
) -> int:
    """Open a connection for the request in ``slot``; return its slot, -1 when nothing takes it."""
    address = f.client_address[w.client[slot]]
    port = source_port(f.address_salt[address], w.port_counter[address])
    w.port_counter[address] += 1
    door = -1
    node = given_node
    if node < 0:
        key = flow_hash(f.address_hash[address], f.port_hash[f.address_family[address]], port)
        busy = w.azure_busy[: f.node_member.size]
        tried = w.tried[slot, :0]
        door = azure_pick(azure_at(s.azure, 0), s.azure_rng[0], now, key, busy, tried)
        if door < 0:
            w.error[slot] = LB_DROP
            push(w, now + f.client_rtt, CLIENT, slot, slot)
            return -1
        node = f.node_member[door]
    busy = w.node_busy[node, : f.target_count[node]]
    seat = node_pick(
        node_at(s.node, node), s.node_rng[node], now, f.address_number[address], busy,
        w.tried[slot, :0],
    )  # fmt: skip
    if seat < 0:
        w.error[slot] = CONNECT_REFUSED
        push(w, now + f.client_rtt, CLIENT, slot, slot)
        return -1
    target = f.target_member[node, seat]
    segment = w.segment[slot]
    w.count[N_CONN_FREE] -= 1
    conn = w.conn_free[w.count[N_CONN_FREE]]
    w.conn_node[conn] = node
    w.conn_target[conn] = target
    w.conn_door[conn] = door
    w.conn_seat[conn] = seat
    w.conn_port[conn] = port
    w.conn_rtt[conn] = f.client_rtt + f.hop_rtt[node, f.target_node[target]]
    w.conn_ready[conn] = now + w.conn_rtt[conn]
    w.conn_users[conn] = 0
    w.conn_busy[conn] = 0
    w.conn_head[conn] = -1
    w.conn_tail[conn] = -1
    w.conn_closing[conn] = 0
    w.conn_worker[conn] = -1
    if door >= 0:
        w.azure_busy[door] += 1
    w.node_busy[node, seat] += 1
    y.totals[4] += 1
    y.node_connections[segment, node] += 1
    if f.ingress:
        source = f.address_number[address]
        if f.local == 0:
            here = f.target_node[target] == node
            source = f.bridge_number[node] if here else f.node_number[node]
        number = worker_of(f.replica_salt[target], source, port, f.replica_workers)
        w.conn_worker[conn] = target * f.replica_workers + number
        y.replica_connections[segment, target] += 1
        y.worker_connections[segment, w.conn_worker[conn]] += 1
    else:
        y.pod_connections[segment, target] += 1
    return conn


def transmit(f: Facts, w: World, y: Tally, slot: int, now: float) -> None:
    """Let the client send: the request travels as soon as its connection is open."""
    conn = w.conn[slot]
    w.sent[slot] = now
    written = max(now, w.conn_ready[conn])
    w.written[slot] = written
    delay = f.path_delay + jitter(f.jitter_salt[0], w.number[slot], TO_BALANCER, f.path_jitter)
    arrives = (written + 0.5 * w.conn_rtt[conn]) + delay
    if f.ingress:
        if f.cookies:
            session = w.session[slot]
            w.cookie[slot] = w.jar[session] if session >= 0 else -1
        push(w, arrives, REACH_WORKER, slot, slot)
        return
    pod = w.conn_target[conn]
    segment = w.segment[slot]
    w.pod[slot] = pod
    w.attempts[slot] = 1
    y.totals[0] += 1
    y.pod_attempts[segment, pod] += 1
    y.pod_first[segment, pod] += 1
    if y.window_pods.shape[1] > 0:
        y.window_pods[window_of(w.arrival[slot], f.window, y.window_offered.size), pod] += 1
    if f.target_node[pod] != w.conn_node[conn]:
        y.totals[3] += 1
    push(w, arrives, REACH_POD, slot, slot)


def reach_worker(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the request queue at its worker, a FIFO server with constant work."""
    worker = w.conn_worker[w.conn[slot]]
    taken = max(now, w.worker_free[worker])
    w.worker_free[worker] = taken + f.worker_cpu
    w.at_worker[slot] = now
    push(w, taken, TAKE, slot, slot)


def send_answer(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the answer (or the failure) towards the client."""
    back = now + 0.5 * w.conn_rtt[w.conn[slot]]
    wait = jitter(f.jitter_salt[0], w.number[slot], TO_CLIENT, 0.5 * f.path_jitter)
    push(w, back + wait, CLIENT, slot, slot)


def answer_at_client(
    f: Facts, w: World, y: Tally, records: Records, slot: int, now: float
) -> None:
    """Finish a request: count it, store its cookie, let the connection's next request go."""
    segment = w.segment[slot]
    window = window_of(w.arrival[slot], f.window, y.window_offered.size)
    conn = w.conn[slot]
    latency = now - w.arrival[slot]
    if w.error[slot] >= 0:
        count_failed(y, segment, window, w.error[slot], latency)
    else:
        wait = w.sent[slot] - w.arrival[slot]
        opening = w.written[slot] - w.sent[slot]
        at_worker = 0.0
        retries = 0.0
        if f.ingress:
            opening += w.connected[slot] - w.leave[slot]
            at_worker = w.left[slot] - w.at_worker[slot]
            retries = w.leave[slot] - w.left[slot]
        in_queue = w.start[slot] - w.at_pod[slot]
        service = w.end[slot] - w.start[slot]
        count_completed(
            y, segment, f.settled, window, w.pod[slot], latency, wait, opening, at_worker,
            in_queue, service, retries,
        )  # fmt: skip
        _remember_session(w, y, slot)
    if w.attempts[slot] > 1:
        y.totals[1] += 1
    if f.cookies and w.session[slot] >= 0 and w.new_cookie[slot] >= 0:
        w.jar[w.session[slot]] = w.new_cookie[slot]
    if f.records:
        record(f, w, records, slot, w.error[slot])
    if conn >= 0:
        _release(w, conn, now)
    w.number[slot] = -1
    w.free[w.count[N_FREE]] = slot
    w.count[N_FREE] += 1


def _remember_session(w: World, y: Tally, slot: int) -> None:
    session = w.session[slot]
    if session < 0:
        return
    before = w.session_pod[session]
    if before >= 0:
        y.affinity[0] += 1
        if before == w.pod[slot]:
            y.affinity[1] += 1
        else:
            y.affinity[2] += 1
    w.session_pod[session] = w.pod[slot]


def _release(w: World, conn: int, now: float) -> None:
    """Take a finished request off its connection; close the connection after its last one."""
    w.conn_users[conn] -= 1
    waiting = w.conn_head[conn]
    if waiting >= 0:  # its place on the wire is kept, so that nobody overtakes it
        w.conn_head[conn] = w.next_one[waiting]
        w.next_one[waiting] = -1
        push(w, now, SEND, waiting, waiting)
    else:
        w.conn_busy[conn] -= 1
    if w.conn_closing[conn] and w.conn_users[conn] == 0:
        if w.conn_door[conn] >= 0:
            w.azure_busy[w.conn_door[conn]] -= 1
        w.node_busy[w.conn_node[conn], w.conn_seat[conn]] -= 1
        w.conn_free[w.count[N_CONN_FREE]] = conn
        w.count[N_CONN_FREE] += 1


def record(f: Facts, w: World, records: Records, slot: int, error: int) -> None:
    """Write the row of the request in ``slot``; ``error`` -1: none, -2: unfinished."""
    row = w.number[slot]
    conn = w.conn[slot]
    records.arrival[row] = w.arrival[slot]
    records.client[row] = w.client[slot]
    records.key[row] = w.key[slot]
    records.session[row] = w.session[slot]
    records.node[row] = -1
    records.replica[row] = -1
    records.worker[row] = -1
    records.port[row] = -1
    if conn >= 0:
        records.node[row] = w.conn_node[conn]
        records.port[row] = w.conn_port[conn]
        if f.ingress:
            records.replica[row] = w.conn_target[conn]
            records.worker[row] = w.conn_worker[conn]
    records.pod[row] = w.pod[slot]
    records.attempts[row] = w.attempts[slot]
    records.start[row] = w.start[slot]
    records.end[row] = w.end[slot]
    records.error[row] = error
