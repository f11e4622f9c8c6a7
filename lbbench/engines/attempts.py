"""The ingress worker in the fast engine: picks, connections to pods, answers, timeouts, retries."""

from __future__ import annotations

import math

from lbbench.core.held import apart, hold
from lbbench.core.rng import lua_random
from lbbench.engines.busy import tell_views
from lbbench.engines.condition import door_of, is_cut_off
from lbbench.engines.counters import Counters
from lbbench.engines.events import ANSWER, FLOW_TIMER, REACH_POD, TIMER, event_order
from lbbench.engines.flow import UPSTREAM, flow_in
from lbbench.engines.hashkey import hash_key
from lbbench.engines.keepalive import put_idle, take_idle
from lbbench.engines.parts import (
    CHANGES,
    COOKIES,
    FIRST_COUNTS,
    MS_CLOCK,
    SEES_PODS,
    SEES_WORK,
    pod_at,
    pod_cookie,
    pod_done,
    pod_pick,
)
from lbbench.engines.pods import plan_event, plan_order
from lbbench.engines.recording import count_dead, window_of
from lbbench.engines.script import REFUSE, SILENT
from lbbench.engines.tables import AWAY, GHOST, TO_POD, TO_WORKER, TRYING, UNCONNECTED
from lbbench.engines.timing import clock, observed_rtt
from lbbench.engines.views import see_busy, see_tried
from lbbench.engines.work import see_work
from lbbench.engines.world import (
    N_FREE,
    N_NEWEST,
    N_OLDEST,
    T_READ,
    Facts,
    States,
    World,
)
from lbbench.model.tally import (
    ATTEMPTS,
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECTS,
    CROSS_NODE,
    DROPPED_SAMPLES,
    ERROR_5XX,
    NO_ENDPOINT,
    READ_TIMEOUT,
)

NOTHING = 0
LISTED = 1  # among the attempts that wait for their answer
TIMED = 2  # its timer is set


def worker_is_gone(f: Facts, w: World, slot: int) -> bool:
    """Tell whether the worker that had the request has died, perhaps to start anew."""
    if not CHANGES:
        return False
    conn = w.conn[w.request[slot].conn]
    host = w.host[f.target_node[conn.target]]
    return host.up == 0 or host.boot != conn.target_boot


def choose_backend(f: Facts, s: States, w: World, slot: int) -> None:
    """Draw once per request between the main backend and the canary, unless a cookie says it."""
    request = w.request[slot]
    if request.backend >= 0:
        return
    request.backend = 0
    if f.backends > 1:
        desk = f.worker[w.conn[request.conn].worker]
        drawn = lua_random(s.pod_rng[desk.rng], 1, f.canary_total)
        request.backend = 1 if drawn <= f.canary_weight else 0


def attempt(
    f: Facts, w: World, c: Counters, s: States, slot: int, now: float, leave: float
) -> bool:
    """Pick a pod at ``now`` and send the attempt at ``leave``; False: there is no endpoint.

    Whether a new connection comes about is decided by the pod's condition at the pick.
    """
    request = w.request[slot]
    conn = w.conn[request.conn]
    desk = f.worker[conn.worker]
    choose_backend(f, s, w, slot)
    view = desk.own + request.backend
    n = w.lists.pod_seen[view].n
    listed = w.lists.pod[view]
    key = request.cookie
    if COOKIES == 0:
        here = 1 if f.target_node[conn.target] == conn.node else 0
        key = hash_key(f, request.client, conn.node, here, request.key)
    state = hold(pod_at(s.pod, view, desk.common))
    by_id = w.in_system if SEES_PODS else w.pod_busy[desk.busy]
    if SEES_WORK:
        see_work(f, w, listed, n, now)
        busy = w.busy_seen[:n]
    else:
        see_busy(w, by_id, listed, n)
        busy = by_id if n == by_id.size else w.busy_seen[:n]
    tried = w.tried_seen[: see_tried(w, w.tried[slot], request.n_tried, listed, n)]
    place = pod_pick(state, s.pod_rng[desk.rng], clock(now, MS_CLOCK), key, busy, tried)
    cookie = pod_cookie(state)
    if cookie >= 0:
        request.new_cookie = cookie
    request.picked = now
    request.leave = leave
    request.version = w.lists.pod_seen[view].version
    if place < 0:
        request.error = NO_ENDPOINT
        return False
    pod = listed[place]
    request.error = -1
    request.pod = pod
    request.origin = desk.node
    w.pod_busy[desk.busy, pod] += 1
    if not SEES_PODS:
        tell_views(s.pod, f.view_of, desk.first, desk.views, pod, w.pod_busy[desk.busy, pod])
    if f.records:
        flow_in(c.flow, UPSTREAM, now)
    c.totals[ATTEMPTS] += 1
    served = c.pod[request.segment, pod]
    served.attempts += 1
    if request.attempts == 0:
        served.first += 1
        if c.window_pods.shape[1] > 0:
            c.window_pods[window_of(request.arrival, f.window, c.window.size), pod] += 1
    request.attempts += 1
    there = f.pod[pod].node
    if there != desk.node:
        c.totals[CROSS_NODE] += 1
    rtt = f.hop_rtt[desk.node, there]
    carried = take_idle(f, w, conn.worker, pod, now)
    door = door_of(w, pod)
    silent = door == SILENT or is_cut_off(w, there, desk.node)
    if silent or door == REFUSE:
        count_dead(c, pod, now)
    request.place = AWAY
    request.connected = leave
    request.served = carried + 1
    if carried < 0:
        c.totals[CONNECTS] += 1
        if silent:
            request.phase = UNCONNECTED
            request.due = leave + f.connect_timeout
            plan_event(w, request.due, TIMER, slot, slot)
            return True
        request.connected = leave + rtt
        if door == REFUSE:
            request.error = CONNECT_REFUSED
            request.again = f.retry_on_error
            request.phase = TRYING
            request.place = TO_WORKER
            plan_event(w, request.connected, ANSWER, slot, slot)
            return True
        request.served = 1
    request.phase = TRYING
    request.place = TO_POD
    expect_answer(f, w, slot)
    plan_event(w, request.connected + 0.5 * rtt, REACH_POD, slot, slot)
    return True


def back_to_worker(f: Facts, w: World, slot: int, now: float) -> None:
    """Send the pod's answer (or its refusal) back to the worker."""
    request = w.request[slot]
    rtt = f.hop_rtt[request.origin, f.pod[request.pod].node]
    request.place = TO_WORKER
    plan_event(w, now + 0.5 * rtt, ANSWER, slot, slot)


def end_attempt(f: Facts, w: World, c: Counters, s: States, slot: int, now: float) -> bool:
    """End an attempt at its worker, with an answer or an error: log it; True: try again."""
    request = w.request[slot]
    worker = w.conn[request.conn].worker
    desk = f.worker[worker]
    pod = request.pod
    w.pod_busy[desk.busy, pod] -= 1
    if not SEES_PODS:
        tell_views(s.pod, f.view_of, desk.first, desk.views, pod, w.pod_busy[desk.busy, pod])
    failed = request.error >= 0
    if failed:
        c.pod[request.segment, pod].errors += 1
    kept = 0 if request.served == 1 else 1  # nothing to wait for, or never connected
    rtt = observed_rtt(request.picked, request.connected, kept, now, MS_CLOCK)
    if request.attempts == 1:
        request.first_pod = pod
        request.first_rtt = rtt
    if failed and request.again and request.attempts < f.tries:
        w.tried[slot, request.n_tried] = pod
        request.n_tried += 1
        return True
    if FIRST_COUNTS:
        pod = request.first_pod
        rtt = request.first_rtt
    if f.lock_hold > 0.0:
        if now < w.lock_until[desk.busy, pod] and w.lock_owner[desk.busy, pod] != worker:
            c.totals[DROPPED_SAMPLES] += 1
            return False
        w.lock_until[desk.busy, pod] = now + f.lock_hold
        w.lock_owner[desk.busy, pod] = worker
    state = hold(pod_at(s.pod, desk.own + request.backend, desk.common))
    answered = not failed or (f.any_answer == 1 and request.error == ERROR_5XX)
    pod_done(state, pod, clock(now, MS_CLOCK), rtt, answered)
    return False


@apart
def time_out(f: Facts, w: World, slot: int) -> int:
    """Give up the attempt in ``slot``; return the slot in which its request goes on.

    The attempt keeps its place and work at the pod, as a ghost.
    """
    request = w.request[slot]
    error = CONNECT_TIMEOUT if request.phase == UNCONNECTED else READ_TIMEOUT
    expect_no_answer(f, w, slot)
    at = leave_ghost(f, w, slot)
    w.request[at].error = error
    w.request[at].again = f.retry_on_timeout
    return at


@apart
def leave_ghost(f: Facts, w: World, slot: int) -> int:
    """Separate a request from its attempt, if that is anywhere; return the request's slot."""
    if w.request[slot].place == AWAY:
        return slot
    w.number[N_FREE] -= 1
    at = w.free[w.number[N_FREE]]
    w.request[at] = w.request[slot]
    for k in range(w.request[slot].n_tried):
        w.tried[at, k] = w.tried[slot, k]
    w.request[slot].phase = GHOST
    w.request[at].place = AWAY
    w.request[at].next = -1
    if f.flow_reset:  # its timer knows the old slot
        quiet = w.conn[w.request[at].conn].touched + f.flow_idle
        plan_order(w, quiet, event_order(TIMER, w.request[at].number, FLOW_TIMER), at)
    return at


def answer_at_worker(f: Facts, w: World, slot: int, now: float) -> None:
    """Let an answer or a failure reach its worker: an answered connection is kept."""
    request = w.request[slot]
    expect_no_answer(f, w, slot)
    request.place = AWAY
    if request.error < 0 or request.error == ERROR_5XX:
        put_idle(f, w, w.conn[request.conn].worker, request.pod, request.served, now)


# --- read timeouts: attempts in order of their picks ----------------------------------------------


def expect_answer(f: Facts, w: World, slot: int) -> None:
    """Put the attempt at the end of those that wait for their answer."""
    request = w.request[slot]
    newest = w.number[N_NEWEST]
    request.older = newest
    request.newer = -1
    if newest >= 0:
        w.request[newest].newer = slot
    else:
        w.number[N_OLDEST] = slot
        w.clock[T_READ] = request.picked + f.read_timeout
    w.number[N_NEWEST] = slot
    request.expects = LISTED


@apart
def set_read_timer(f: Facts, w: World) -> None:
    """Let the timer of the attempt that has waited longest go off when it is due."""
    slot = w.number[N_OLDEST]
    request = w.request[slot]
    expect_no_answer(f, w, slot)
    request.expects = TIMED
    request.due = request.connected + f.read_timeout
    plan_event(w, request.due, TIMER, slot, slot)


def expect_no_answer(f: Facts, w: World, slot: int) -> None:
    """Take the attempt out of those that wait, if it is among them."""
    request = w.request[slot]
    listed = request.expects == LISTED
    request.expects = NOTHING
    request.due = -1.0
    if not listed:
        return
    if request.older >= 0:
        w.request[request.older].newer = request.newer
    else:
        w.number[N_OLDEST] = request.newer
    if request.newer >= 0:
        w.request[request.newer].older = request.older
    else:
        w.number[N_NEWEST] = request.older
    oldest = w.number[N_OLDEST]
    w.clock[T_READ] = w.request[oldest].picked + f.read_timeout if oldest >= 0 else math.inf
