"""What the reference engine counts: arrivals, attempts, ends, segments, what is left over."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lbbench.engines.affinity import (
    COMPARED,
    FORCED_LOSS,
    KEPT,
    MOVED,
    MOVED_BY_FORCE,
    REQUESTS,
    SESSION_LOSS,
)
from lbbench.engines.flow import (
    PODS,
    SYSTEM,
    UPSTREAM,
    WORKER,
    flow_in,
    flow_out,
    flow_stays,
)
from lbbench.engines.outcome import counters_for, grown_records, new_records
from lbbench.engines.plan import Plan
from lbbench.engines.recording import (
    close_segments,
    count_completed,
    count_failed,
    count_latency,
    segment_of,
    window_of,
)
from lbbench.engines.reference_parts import Request
from lbbench.engines.tables import QUEUE, table
from lbbench.engines.timing import nanoseconds
from lbbench.model.tally import ATTEMPTS, CROSS_NODE, RETRIED, SAVED, SEGMENTS


class Ledger:
    """The books of one run; what is counted, when, is in recording.py and affinity.py."""

    pods: Sequence[Any]

    def __init__(self, plan: Plan, *, record: bool) -> None:
        self.facts = plan.facts
        self.counters = counters_for(plan)
        self.records = new_records(1024 if record else 0)
        self.recording = record
        self.in_system = np.zeros(len(self.facts.pod), np.int64)
        self.queue = table(QUEUE, len(self.facts.pod))
        self.last_pod: dict[int, int] = {}  # of a session's last answer
        self.units: dict[int, tuple[int, int, int]] = {}  # see affinity.py: pod, before, version
        self.in_flight: dict[Request, None] = {}
        self.thinking = 0  # requests whose arrival is known
        self.to_come = 0  # requests that will arrive, as far as is known
        self.ghosts = 0  # attempts that nobody waits for, but which are somewhere
        self.next_segment = 0
        self.last_arrival = 0.0
        self.last_event = 0.0
        self.stopped = False

    def arrived(self, request: Request, now: float) -> None:
        """Count an arrival; the first one of a segment closes the segment before."""
        f, c = self.facts, self.counters
        self.thinking -= 1
        self.to_come -= 1
        request.arrival = now
        request.segment = segment_of(request.number, now, f.n_requests, f.duration)
        request.window = window_of(now, f.window, len(c.window))
        self.in_flight[request] = None
        self.enters(SYSTEM, now)
        c.segment[request.segment].offered += 1
        c.window[request.window].offered += 1
        self.last_arrival = now
        if request.segment >= self.next_segment:
            self._close_segments(request.segment, now)

    def enters(self, stage: int, now: float) -> None:
        """Count one more in a stage of flow.py."""
        if self.recording:
            flow_in(self.counters.flow, stage, now)

    def leaves(self, stage: int, entered: float, now: float) -> None:
        """Count one less in a stage of flow.py."""
        if self.recording:
            flow_out(self.counters.flow, stage, entered, now)

    def attempted(self, request: Request, *, crosses: bool) -> None:
        """Count an attempt at the request's pod; ``crosses`` tells whether it left its node."""
        c = self.counters
        first = request.attempts == 0 or not self.facts.ingress
        if self.facts.ingress:
            request.attempts += 1
        c.totals[ATTEMPTS] += 1
        c.totals[CROSS_NODE] += int(crosses)
        served = c.pod[request.segment, request.pod]
        served.attempts += 1
        if first:
            served.first += 1
            if c.window_pods.shape[1]:
                c.window_pods[request.window, request.pod] += 1

    def finished(self, request: Request, now: float) -> None:
        """Count the end of a request at its client."""
        f, c = self.facts, self.counters
        self.last_event = now
        latency = now - request.arrival
        if request.error >= 0:
            count_failed(c, request.segment, request.window, request.error, latency)
        else:
            parts = request.parts(ingress=bool(f.ingress))
            conn = request.connection
            assert conn is not None
            worker = conn.worker if f.ingress else -1
            way = conn.node, worker, request.pod
            count_completed(c, request.segment, f.settled, request.window, *way, latency, *parts)
            c.totals[SAVED] += int(request.attempts > 1)
        if not f.ingress and request.error >= 0 and request.pod >= 0:
            c.pod[request.segment, request.pod].errors += 1
        c.totals[RETRIED] += int(request.attempts > 1)
        del self.in_flight[request]
        self.leaves(SYSTEM, request.arrival, now)
        if self.recording:
            self._record(request, request.error)

    def forget_session(self, session: int) -> None:
        """Let a session begin anew."""
        if not self.facts.by_key:
            self.last_pod.pop(session, None)
            _, _, version = self.units.get(session, (-1, -1, 0))
            self.units[session] = (-1, -1, version)

    def remember(self, request: Request, jar: int) -> None:
        """Compare the pod of an answer with those before it of the same session or key.

        ``jar`` is the cookie that its session keeps now. Where cookies make the session, a request
        without one belongs to none yet, and one whose cookie has been replaced to another.
        """
        which = request.key if self.facts.by_key else request.session
        if which < 0 or request.error >= 0:
            return
        comparable = True
        if self.facts.cookies:
            if jar != (request.new_cookie if request.new_cookie >= 0 else request.cookie):
                return
            comparable = request.cookie >= 0
        affinity, pod = self.counters.affinity, request.pod
        last = self.last_pod.get(which)
        if comparable and last is not None and not self.facts.by_key:
            affinity[REQUESTS] += 1
            lost = SESSION_LOSS if self.pods[last].is_member else FORCED_LOSS
            affinity[KEPT if last == pod else lost] += 1
        self.last_pod[which] = pod
        there, before, version = self.units.get(which, (-1, -1, 0))
        if request.version < version:  # its worker does not know the newest list yet
            return
        if request.version > version:
            before = there
        if comparable and before >= 0:
            affinity[COMPARED] += 1
            if before != pod:
                affinity[MOVED] += 1
                affinity[MOVED_BY_FORCE] += int(not self.pods[before].is_member)
        self.units[which] = (pod, before, request.version)

    def _record(self, request: Request, error: int) -> None:
        self.records = grown_records(self.records, request.number + 1)
        for name, value in request.row(error, ingress=bool(self.facts.ingress)).items():
            getattr(self.records, name)[request.number] = value

    def _close_segments(self, last: int, now: float) -> None:
        first, pods = self.next_segment, self.facts.pod
        close_segments(self.counters, self.queue, self.in_system, pods, first, last, now)
        self.next_segment = last + 1

    @property
    def stop_time(self) -> float:
        """When arrivals stop, in seconds."""
        return float(self.facts.duration or self.last_arrival)

    def is_over(self, now: float) -> bool:
        """Tell whether nothing may happen any more; close the segments when arrivals have stopped.

        ``now`` is the time of the next event.
        """
        pending = len(self.in_flight) + self.thinking + self.ghosts
        over = pending == 0 or (now > self.stop_time + self.facts.drain and self.thinking == 0)
        if not self.stopped and (over or (now > self.stop_time and self.to_come == 0)):
            self.stopped = True
            self._close_segments(SEGMENTS, self.stop_time)
        return over

    def _stays(self, request: Request) -> None:
        """Count where a request still is."""
        flow, attempt = self.counters.flow, request.attempt
        flow_stays(flow, SYSTEM, request.arrival)
        if request.at_desk:
            flow_stays(flow, WORKER, request.at_worker)
        if self.facts.ingress and attempt is not None and not attempt.is_over:
            flow_stays(flow, UPSTREAM, attempt.picked)

    def give_up(self) -> None:
        """Count what is still in flight when the drain ends, with its elapsed time."""
        if self.recording:
            for attempt in (attempt for pod in self.pods for attempt in pod.inside()):
                flow_stays(self.counters.flow, PODS, attempt.at_pod)
        deadline = self.stop_time + self.facts.drain
        for request in self.in_flight:
            self.counters.segment[request.segment].unfinished += 1
            count_latency(self.counters, request.segment, nanoseconds(deadline - request.arrival))
            if self.recording:
                if request.attempt is not None and not request.attempt.is_over:
                    request.attempt.tell_times()
                self._record(request, -2)
                self._stays(request)
