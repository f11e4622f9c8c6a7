"""What happens to the cluster, in the fast engine: one step of the script after the other."""

from __future__ import annotations

import math

from lbbench.core.held import apart, hold
from lbbench.engines.busy import tell_all, tell_views
from lbbench.engines.clients import free, send_answer, wait_in_silence
from lbbench.engines.counters import Counters
from lbbench.engines.events import ANSWER
from lbbench.engines.flow import PODS, flow_out
from lbbench.engines.keepalive import remove_idle
from lbbench.engines.lines import part_with, settle
from lbbench.engines.parts import (
    INGRESS,
    MS_CLOCK,
    SEES_PODS,
    azure_at,
    azure_changed,
    node_at,
    node_changed,
    node_reset,
    pod_at,
    pod_changed,
    pod_reset,
)
from lbbench.engines.pods import empty, plan_event, set_speed
from lbbench.engines.script import (
    CUT,
    DOOR,
    DROP_IDLE,
    EMPTY,
    LB_VIEW,
    MEMBER,
    NODE,
    NODE_VIEW,
    ROUTES,
    SPEED,
    WORKER_VIEW,
)
from lbbench.engines.script import RESET as WITH_RESET
from lbbench.engines.tables import AWAY, GHOST, QUEUED, SERVED, TO_WORKER
from lbbench.engines.timing import clock
from lbbench.engines.views import take_list
from lbbench.engines.world import N_ROUTES, N_STEP, T_CUT, Facts, States, World
from lbbench.model.tally import RESET


def no_step(f: Facts, w: World, c: Counters, s: States, now: float) -> None:
    """Stand in for `take_step` where the cluster does not change."""


@apart
def take_step(f: Facts, w: World, c: Counters, s: States, now: float) -> None:
    """Let the next step of the script happen."""
    step = f.step[w.number[N_STEP]]
    w.number[N_STEP] += 1
    listed = f.listed[step.first : step.first + step.count]
    a = step.a
    if step.op == SPEED:
        set_speed(f, w, a, step.value, now)
    elif step.op == DOOR:
        w.site[a].door = step.b
        w.site[a].error_after = step.value
    elif step.op == EMPTY:
        before = w.in_system[a]
        _clear(f, w, c, a, step.b, now)
        if SEES_PODS and before > 0:
            tell_views(s.pod, f.view_of, 0, f.view_of.size, a, 0)
    elif step.op == DROP_IDLE:
        if INGRESS:
            _drop_upstream(w, a)
        else:
            _part_with_all(f, w, a, now)
    elif step.op == MEMBER:
        w.site[a].member = step.b
    elif step.op == NODE:
        _node(f, w, s, a, step.b, now)
    elif step.op == ROUTES:
        w.number[N_ROUTES] = step.b
    elif step.op == CUT:
        w.clock[T_CUT] = now
    elif step.op == LB_VIEW:
        old = w.old_list[: take_list(w, w.lists.azure, w.lists.azure_seen, 0, listed, 0)]
        azure_changed(hold(azure_at(s.azure, 0, 0)), s.azure_rng[0], old, listed, now)
    elif step.op == NODE_VIEW:
        old = w.old_list[: take_list(w, w.lists.node, w.lists.node_seen, a, listed, step.b)]
        node_changed(hold(node_at(s.node, a, 0)), s.node_rng[a], old, listed, now)
    elif step.op == WORKER_VIEW:
        old = w.old_list[: take_list(w, w.lists.pod, w.lists.pod_seen, a, listed, 0)]
        w.lists.pod_seen[a].version = step.b
        of = f.view_of[a]
        state = hold(pod_at(s.pod, a, of.common))
        pod_changed(state, s.pod_rng[of.rng], old, listed, clock(now, MS_CLOCK))


@apart
def _clear(f: Facts, w: World, c: Counters, pod: int, how: int, now: float) -> None:
    """Take everything out of a pod that dies; ``how``: whether those who wait are told."""
    empty(f, w, pod, now)
    for slot in range(w.request.size):
        request = w.request[slot]
        inside = request.place in (QUEUED, SERVED)
        if request.number < 0 or request.pod != pod or not inside:
            continue
        if f.records:
            flow_out(c.flow, PODS, request.at_pod, now)
        request.place = AWAY
        if request.phase == GHOST:
            free(w, slot)
        elif how == WITH_RESET:
            request.error = RESET
            request.again = f.retry_on_error
            if INGRESS:
                rtt = f.hop_rtt[request.origin, f.pod[pod].node]
                request.place = TO_WORKER
                plan_event(w, now + 0.5 * rtt, ANSWER, slot, slot)
            else:
                request.breaks = 1
                send_answer(f, w, slot, now)
        elif INGRESS == 0:
            wait_in_silence(f, w, slot, now)
    if how == WITH_RESET and INGRESS == 0:
        _part_with_all(f, w, pod, now)


def _drop_upstream(w: World, pod: int) -> None:
    """Close the idle upstream connections of every worker to a pod."""
    for worker in range(w.desk.size):
        while w.idle_top[worker, pod] >= 0:
            remove_idle(w, worker, w.idle_top[worker, pod])


@apart
def _part_with_all(f: Facts, w: World, pod: int, now: float) -> None:
    """Close the client connections to a pod as soon as what is on them has ended."""
    for at in range(w.conn.size):
        conn = w.conn[at]
        if conn.lane >= 0 and conn.target == pod and conn.ready < math.inf and conn.dead == 0:
            part_with(w, at, now)
            settle(f, w, at, now)


@apart
def _node(f: Facts, w: World, s: States, node: int, up: int, now: float) -> None:
    """Let a node go down, or start anew: its kube-proxy and workers with nothing learnt."""
    w.host[node].up = up
    if up == 0:
        return
    w.host[node].boot += 1
    node_reset(s.node, s.new_node, node, 0)
    seen = w.lists.node_seen[node].n
    nothing = w.old_list[:0]
    listed = w.lists.node[node, :seen]
    node_changed(hold(node_at(s.node, node, 0)), s.node_rng[node], nothing, listed, now)
    for worker in range(f.worker.size):
        desk = f.worker[worker]
        if desk.node != node or INGRESS == 0:
            continue
        w.desk[worker].free_at = 0.0
        while w.desk[worker].first >= 0:
            remove_idle(w, worker, w.desk[worker].first)
        for view in range(desk.own, desk.own + f.backends):
            pod_reset(s.pod, s.new_pod, view, desk.common)
    for worker in range(f.worker.size):
        desk = f.worker[worker]
        if desk.node != node or INGRESS == 0:
            continue
        for view in range(desk.own, desk.own + f.backends):
            listed = w.lists.pod[view, : w.lists.pod_seen[view].n]
            of = f.view_of[view]
            by_id = w.in_system if SEES_PODS else w.pod_busy[desk.busy]
            tell_all(s.pod, view, of.common, by_id)
            state = hold(pod_at(s.pod, view, of.common))
            pod_changed(state, s.pod_rng[of.rng], nothing, listed, clock(now, MS_CLOCK))
