"""Attempts at pods in the fast engine: arrival, the end of service, and what becomes of both."""

from __future__ import annotations

from lbbench.engines.clients import REACHED, free, way
from lbbench.engines.counters import Counters
from lbbench.engines.flow import PODS, flow_in
from lbbench.engines.pods import join
from lbbench.engines.recording import count_dead
from lbbench.engines.script import ERROR, ERROR_RETRIED, REFUSE, SILENT
from lbbench.engines.tables import AWAY, GHOST
from lbbench.engines.world import N_ROUTES, Facts, World
from lbbench.model.tally import ERROR_5XX, QUEUE_REJECT, RESET

NOTHING = 0
ANSWERED = 1
SILENT_POD = 2
NO_WAY = 3


def reach_pod(f: Facts, w: World, c: Counters, slot: int, now: float) -> int:
    """Let the attempt reach its pod; return what comes of it at once."""
    request = w.request[slot]
    pod = request.pod
    site = w.site[pod]
    ghost = request.phase == GHOST
    request.at_pod = now
    request.place = AWAY
    if f.ingress == 0 and not ghost and way(f, w, slot) != REACHED:
        return NO_WAY
    if _is_unreachable(f, w, slot) or (ghost and site.door == REFUSE):
        if ghost:
            free(w, slot)
        elif f.ingress == 0:
            count_dead(c, pod, now)
            return SILENT_POD
        return NOTHING
    if site.door == REFUSE:
        request.error = RESET
        request.again = f.retry_on_error
        request.breaks = 1 - f.ingress
        return ANSWERED
    request.todo = request.work
    if site.door >= ERROR:
        request.todo = site.error_after
        request.error = ERROR_5XX
        request.again = 1 if site.door == ERROR_RETRIED else 0
    if join(f, w, slot, now):
        if f.records:
            flow_in(c.flow, PODS, now)
        return NOTHING
    if ghost:
        free(w, slot)
        return NOTHING
    request.error = QUEUE_REJECT
    request.again = f.retry_on_error
    return ANSWERED


def after_service(f: Facts, w: World, slot: int) -> int:
    """Return what becomes of the answer to the attempt that its pod has just finished."""
    if w.request[slot].phase == GHOST:
        free(w, slot)
        return NOTHING
    if _is_unreachable(f, w, slot):
        return NOTHING if f.ingress else SILENT_POD
    return ANSWERED


def _is_unreachable(f: Facts, w: World, slot: int) -> bool:
    """Tell whether no packet passes between the attempt's pod and where it comes from."""
    request = w.request[slot]
    if w.site[request.pod].door == SILENT:
        return True
    return f.pod[request.pod].node != request.origin and w.number[N_ROUTES] == 0
