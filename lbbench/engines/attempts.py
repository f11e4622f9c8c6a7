"""The ingress worker in the fast engine: picks, upstream connections, answers, retries."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.events import ANSWER, REACH_POD
from lbbench.engines.hashkey import hash_key
from lbbench.engines.keepalive import put_idle, take_idle
from lbbench.engines.parts import pod_at, pod_cookie, pod_done, pod_pick
from lbbench.engines.pods import join, plan_event
from lbbench.engines.recording import window_of
from lbbench.engines.timing import clock, observed_rtt
from lbbench.engines.world import Facts, States, World

NO_ENDPOINT = 5
QUEUE_REJECT = 8


def attempt(
    f: Facts, w: World, c: Counters, s: States, slot: int, now: float, leave: float
) -> bool:
    """Pick a pod at ``now`` and send the attempt at ``leave``; False: there is no endpoint."""
    request = w.request[slot]
    conn = w.conn[request.conn]
    desk = f.worker[conn.worker]
    key = request.cookie
    if f.cookies == 0:
        here = 1 if f.target_node[conn.target] == conn.node else 0
        key = hash_key(f, request.client, conn.node, here, request.key)
    state = pod_at(s.pod, desk.state)
    busy = w.in_system if f.sees_pods else w.pod_busy[desk.busy]
    tried = w.tried[slot, : request.n_tried]
    pod = pod_pick(state, s.pod_rng[desk.rng], clock(now, f.ms_clock), key, busy, tried)
    cookie = pod_cookie(state)
    if cookie >= 0:
        request.new_cookie = cookie
    request.picked = now
    request.leave = leave
    if pod < 0:
        request.error = NO_ENDPOINT
        return False
    request.error = -1
    request.pod = pod
    w.pod_busy[desk.busy, pod] += 1
    c.totals[0] += 1
    served = c.pod[request.segment, pod]
    served.attempts += 1
    if request.attempts == 0:
        served.first += 1
        if c.window_pods.shape[1] > 0:
            c.window_pods[window_of(request.arrival, f.window, c.window.size), pod] += 1
    request.attempts += 1
    if f.pod[pod].node != desk.node:
        c.totals[3] += 1
    rtt = f.hop_rtt[desk.node, f.pod[pod].node]
    carried = take_idle(f, w, conn.worker, pod, now)
    request.connected = leave
    if carried < 0:
        carried = 0
        c.totals[2] += 1
        request.connected = leave + rtt
    request.served = carried + 1
    plan_event(w, request.connected + 0.5 * rtt, REACH_POD, slot, slot)
    return True


def reach_pod(f: Facts, w: World, c: Counters, slot: int, now: float) -> bool:
    """Let the attempt reach its pod; False: a full queue refuses it."""
    request = w.request[slot]
    request.at_pod = now
    if join(f, w, slot, now):
        return True
    request.error = QUEUE_REJECT
    c.pod[request.segment, request.pod].errors += 1
    return False


def back_to_worker(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the pod's answer (or its refusal) back to the worker."""
    request = w.request[slot]
    node = f.worker[w.conn[request.conn].worker].node
    rtt = f.hop_rtt[node, f.pod[request.pod].node]
    plan_event(w, now + 0.5 * rtt, ANSWER, slot, slot)


def answer_at_worker(f: Facts, w: World, s: States, slot: int, now: float) -> bool:
    """Let the answer reach the worker: keep the connection, log; True: try another pod."""
    request = w.request[slot]
    worker = w.conn[request.conn].worker
    desk = f.worker[worker]
    w.pod_busy[desk.busy, request.pod] -= 1
    failed = request.error >= 0
    if not failed:
        put_idle(f, w, worker, request.pod, request.served, now)
    elif f.retry_on_error and request.attempts < f.tries:
        w.tried[slot, request.n_tried] = request.pod
        request.n_tried += 1
        return True
    kept = 1 if request.served > 1 else 0
    rtt = observed_rtt(request.picked, request.connected, kept, now, f.ms_clock)
    state = pod_at(s.pod, desk.state)
    pod_done(state, request.pod, clock(now, f.ms_clock), rtt, not failed)
    return False
