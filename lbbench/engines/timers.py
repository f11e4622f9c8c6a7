"""Timers of requests in the fast engine: SYNs, attempts, silence, flows without a packet."""

from __future__ import annotations

from lbbench.engines.attempts import expect_no_answer, leave_ghost
from lbbench.engines.counters import Counters
from lbbench.engines.events import FLOW_TIMER, GIVE_UP_TIMER, SYN_TIMER, TIMER, event_order
from lbbench.engines.flow import UPSTREAM, WORKER, flow_out
from lbbench.engines.pods import plan_order
from lbbench.engines.tables import OPENING, SILENCE, TRAVELLING, TRYING, UNCONNECTED
from lbbench.engines.world import Facts, World
from lbbench.model.tally import CLIENT_TIMEOUT, IDLE_RESET

NOTHING = 0
SENDS_SYN = 1
ENDS = 2
TIMES_OUT = 3
FLOW_ENDS = 4


def timer(f: Facts, w: World, slot: int, code: int, now: float) -> int:
    """Return what the timer of a request comes to."""
    request = w.request[slot]
    phase = request.phase
    if code == FLOW_TIMER:
        if phase not in (TRAVELLING, TRYING, UNCONNECTED, SILENCE):
            return NOTHING
        quiet = w.conn[request.conn].touched + f.flow_idle
        if quiet > now:
            plan_order(w, quiet, event_order(TIMER, request.number, FLOW_TIMER), slot)
            return NOTHING
        request.error = IDLE_RESET
        request.breaks = 1
        return FLOW_ENDS
    if request.due != now:
        return NOTHING
    if code == SYN_TIMER and phase == OPENING:
        if now < w.conn[request.conn].opened + f.client_timeout:
            return SENDS_SYN
        request.breaks = 1
        return ENDS
    if code == GIVE_UP_TIMER and phase == SILENCE:
        request.error = CLIENT_TIMEOUT
        request.breaks = 1
        return ENDS
    if code == request.attempts and phase in (TRYING, UNCONNECTED):
        return TIMES_OUT
    return NOTHING


def abandon(f: Facts, w: World, c: Counters, slot: int, now: float) -> int:
    """Let the client's connection end under a request; return the slot in which it goes on."""
    request = w.request[slot]
    if f.ingress and request.phase in (TRYING, UNCONNECTED):
        expect_no_answer(f, w, slot)
        if f.records:
            flow_out(c.flow, UPSTREAM, request.picked, now)
        w.pod_busy[f.worker[w.conn[request.conn].worker].busy, request.pod] -= 1
    if f.records and request.phase == TRAVELLING and request.at_worker >= 0.0:
        flow_out(c.flow, WORKER, request.at_worker, now)
    return leave_ghost(f, w, slot)
