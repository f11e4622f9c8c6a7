"""The ingress worker in the fast engine: picks, upstream connections, answers, retries."""

from __future__ import annotations

from lbbench.engines.clients import send_answer
from lbbench.engines.events import ANSWER, REACH_POD
from lbbench.engines.hashkey import hash_key
from lbbench.engines.keepalive import put_idle, take_idle
from lbbench.engines.parts import pod_at, pod_cookie, pod_done, pod_pick
from lbbench.engines.pods import join, push
from lbbench.engines.recording import window_of
from lbbench.engines.timing import clock, observed_rtt
from lbbench.engines.world import Facts, States, World
from lbbench.model.tally import Tally

NO_ENDPOINT = 5
QUEUE_REJECT = 8


def take(f: Facts, w: World, y: Tally, s: States, slot: int, now: float) -> None:
    """Let the worker take the request: it picks now, the attempt leaves after the worker's work."""
    w.left[slot] = now + f.worker_cpu
    attempt(f, w, y, s, slot, now, w.left[slot])


def attempt(
    f: Facts, w: World, y: Tally, s: States, slot: int, now: float, leave: float
) -> None:
    """Pick a pod at ``now`` and send the attempt at ``leave``."""
    conn = w.conn[slot]
    worker = w.conn_worker[conn]
    state = pod_at(s.pod, f.state_of[worker])
    row = f.busy_of[worker]
    if f.cookies:
        key = w.cookie[slot]
    else:
        node = w.conn_node[conn]
        here = 1 if f.target_node[w.conn_target[conn]] == node else 0
        key = hash_key(f, w.client[slot], node, here, w.key[slot])
    busy = w.in_system if f.sees_pods else w.pod_busy[row]
    tried = w.tried[slot, : w.n_tried[slot]]
    seen = clock(now, f.ms_clock)
    pod = pod_pick(state, s.pod_rng[f.rng_of[worker]], seen, key, busy, tried)
    cookie = pod_cookie(state)
    if cookie >= 0:
        w.new_cookie[slot] = cookie
    w.picked[slot] = now
    w.leave[slot] = leave
    if pod < 0:
        w.error[slot] = NO_ENDPOINT
        send_answer(f, w, slot, leave)
        return
    segment = w.segment[slot]
    w.error[slot] = -1
    w.pod[slot] = pod
    w.pod_busy[row, pod] += 1
    y.totals[0] += 1
    y.pod_attempts[segment, pod] += 1
    if w.attempts[slot] == 0:
        y.pod_first[segment, pod] += 1
        if y.window_pods.shape[1] > 0:
            y.window_pods[window_of(w.arrival[slot], f.window, y.window_offered.size), pod] += 1
    w.attempts[slot] += 1
    if f.pod_node[pod] != f.worker_node[worker]:
        y.totals[3] += 1
    rtt = f.hop_rtt[f.worker_node[worker], f.pod_node[pod]]
    served = take_idle(f, w, worker, pod, now)
    if served < 0:
        served = 0
        y.totals[2] += 1
        w.connected[slot] = leave + rtt
    else:
        w.connected[slot] = leave
    w.served[slot] = served + 1
    push(w, w.connected[slot] + 0.5 * rtt, REACH_POD, slot, slot)


def reach_pod(f: Facts, w: World, y: Tally, slot: int, now: float) -> None:
    """Let the attempt reach its pod; a full queue refuses it."""
    w.at_pod[slot] = now
    if join(f, w, y, slot, now):
        return
    w.error[slot] = QUEUE_REJECT
    y.pod_errors[w.segment[slot], w.pod[slot]] += 1
    go_back(f, w, slot, now)


def go_back(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the pod's answer back: to the worker, or on the service path to the client."""
    if f.ingress == 0:
        send_answer(f, w, slot, now)
        return
    worker = w.conn_worker[w.conn[slot]]
    rtt = f.hop_rtt[f.worker_node[worker], f.pod_node[w.pod[slot]]]
    push(w, now + 0.5 * rtt, ANSWER, slot, slot)


def answer_at_worker(f: Facts, w: World, y: Tally, s: States, slot: int, now: float) -> None:
    """Let the answer reach the worker: keep the connection, retry a failure, or log and answer."""
    worker = w.conn_worker[w.conn[slot]]
    pod = w.pod[slot]
    w.pod_busy[f.busy_of[worker], pod] -= 1
    failed = w.error[slot] >= 0
    if not failed:
        put_idle(f, w, worker, pod, w.served[slot], now)
    elif f.retry_on_error and w.attempts[slot] < f.tries:
        w.tried[slot, w.n_tried[slot]] = pod
        w.n_tried[slot] += 1
        attempt(f, w, y, s, slot, now, now)
        return
    kept = 1 if w.served[slot] > 1 else 0
    rtt = observed_rtt(w.picked[slot], w.connected[slot], kept, now, f.ms_clock)
    pod_done(pod_at(s.pod, f.state_of[worker]), pod, clock(now, f.ms_clock), rtt, not failed)
    send_answer(f, w, slot, now)
