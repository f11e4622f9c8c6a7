"""The ingress worker of a steady run: a FIFO server that picks a pod and learns of its answers."""

from __future__ import annotations

from lbbench.engines.busy import tell_views
from lbbench.engines.counters import Counters
from lbbench.engines.hashkey import hash_key
from lbbench.engines.keepalive import put_idle, take_idle
from lbbench.engines.parts import (
    COOKIES,
    MS_CLOCK,
    pod_at,
    pod_cookie,
    pod_done,
    pod_pick,
)
from lbbench.engines.steady.slots import stray
from lbbench.engines.steady.world import Steady
from lbbench.engines.timing import clock, observed_rtt
from lbbench.engines.world import Facts, States
from lbbench.model.tally import ATTEMPTS, CONNECTS, CROSS_NODE, DROPPED_SAMPLES


def reach_worker(f: Facts, w: Steady, slot: int, now: float) -> float:
    """Let a request queue at its worker; return when the worker takes it."""
    request = w.request[slot]
    desk = w.desk[request.worker]
    taken = max(now, desk.free_at)
    desk.free_at = taken + f.worker_cpu
    request.at_worker = now
    return taken


def take(f: Facts, w: Steady, c: Counters, s: States, slot: int, now: float) -> float:
    """Let the worker take a request and pick a pod; return when the request reaches it."""
    request = w.request[slot]
    desk = f.worker[request.worker]
    key = request.cookie
    if not COOKIES:
        here = 1 if f.target_node[request.target] == request.node else 0
        key = hash_key(f, request.client, request.node, here, request.key)
    busy = w.pod_busy[desk.busy]
    state = pod_at(s.pod, desk.own, desk.common)
    pod = pod_pick(state, s.pod_rng[desk.rng], clock(now, MS_CLOCK), key, busy, w.unseen[:0])
    if pod < 0:
        stray(w)
        pod = 0
    cookie = pod_cookie(state)
    if cookie >= 0:
        request.new_cookie = cookie
    leaves = now + f.worker_cpu
    request.picked = now
    request.pod = pod
    w.pod_busy[desk.busy, pod] += 1
    tell_views(s.pod, f.view_of, desk.first, desk.views, pod, w.pod_busy[desk.busy, pod])
    c.totals[ATTEMPTS] += 1
    if c.window_pods.shape[1] > 0:
        c.window_pods[request.window, pod] += 1
    there = f.pod[pod].node
    if there != desk.node:
        c.totals[CROSS_NODE] += 1
    rtt = f.hop_rtt[desk.node, there]
    carried = take_idle(f, w, request.worker, pod, now)
    connected = leaves
    if carried < 0:
        c.totals[CONNECTS] += 1
        connected = leaves + rtt
        carried = 0
    request.served = carried + 1
    request.connected = connected
    return connected + 0.5 * rtt


def rtt_of(w: Steady, slot: int, answer: float) -> float:
    """Return what the balancer is told of a request whose answer comes at ``answer``, seconds."""
    request = w.request[slot]
    kept = 0 if request.served == 1 else 1
    return observed_rtt(request.picked, request.connected, kept, answer, MS_CLOCK)


def log(
    f: Facts,
    w: Steady,
    c: Counters,
    s: States,
    worker: int,
    pod: int,
    served: int,
    rtt: float,
    now: float,
) -> None:
    """Let an answer reach its worker: the connection is kept, the balancer learns of it."""
    desk = f.worker[worker]
    put_idle(f, w, worker, pod, served, now)
    w.pod_busy[desk.busy, pod] -= 1
    tell_views(s.pod, f.view_of, desk.first, desk.views, pod, w.pod_busy[desk.busy, pod])
    if f.lock_hold > 0.0:
        if now < w.lock_until[desk.busy, pod] and w.lock_owner[desk.busy, pod] != worker:
            c.totals[DROPPED_SAMPLES] += 1
            return
        w.lock_until[desk.busy, pod] = now + f.lock_hold
        w.lock_owner[desk.busy, pod] = worker
    state = pod_at(s.pod, desk.own, desk.common)
    pod_done(state, pod, clock(now, MS_CLOCK), rtt, True)
