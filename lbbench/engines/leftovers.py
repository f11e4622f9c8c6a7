"""What is still under way when a run ends, in the fast engine."""

from __future__ import annotations

from typing import Any

from lbbench.core.held import apart
from lbbench.engines.clients import record
from lbbench.engines.counters import Counters
from lbbench.engines.flow import PODS, SYSTEM, UPSTREAM, WORKER, flow_stays
from lbbench.engines.parts import INGRESS
from lbbench.engines.recording import Records, count_latency
from lbbench.engines.tables import COMING, GHOST, QUEUED, SERVED, TRAVELLING, TRYING, UNCONNECTED
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import T_DEADLINE, Facts, World


@apart
def give_up(f: Facts, w: World, c: Counters, records: Records) -> None:
    """Count what is still in flight when the drain ends, with its elapsed time."""
    for slot in range(w.request.size):
        request = w.request[slot]
        if request.number < 0:
            continue
        if f.records:
            _stays(c, request)
        if request.phase in (GHOST, COMING):
            continue
        segment = request.segment
        c.segment[segment].unfinished += 1
        elapsed = w.clock[T_DEADLINE] - request.arrival
        count_latency(c, segment, nanoseconds(elapsed))
        if f.records:
            record(w, records, slot, -2)


def _stays(c: Counters, request: Any) -> None:
    """Count where a request, or a ghost, still is."""
    if request.place in (QUEUED, SERVED):
        flow_stays(c.flow, PODS, request.at_pod)
    if request.phase in (GHOST, COMING):
        return
    flow_stays(c.flow, SYSTEM, request.arrival)
    if INGRESS and request.phase in (TRYING, UNCONNECTED):
        flow_stays(c.flow, UPSTREAM, request.picked)
    if request.phase == TRAVELLING and request.at_worker >= 0.0:
        flow_stays(c.flow, WORKER, request.at_worker)
