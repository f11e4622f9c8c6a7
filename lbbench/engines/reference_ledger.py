"""What the reference engine counts: arrivals, attempts, ends, segments, what is left over."""

from __future__ import annotations

import numpy as np

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
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import QUEUE, table
from lbbench.model.tally import SEGMENTS


class Ledger:
    """The books of one run; what is counted, when, is in recording.py."""

    def __init__(self, plan: Plan, *, record: bool) -> None:
        self.facts = plan.facts
        self.counters = counters_for(plan)
        self.records = new_records(1024 if record else 0)
        self.recording = record
        self.in_system = np.zeros(len(self.facts.pod), np.int64)
        self.queue = table(QUEUE, len(self.facts.pod))
        self.session_pod: dict[int, int] = {}
        self.in_flight: set[Request] = set()
        self.next_segment = 0
        self.last_arrival = 0.0
        self.last_event = 0.0
        self.stopped = False

    def arrived(self, request: Request, now: float) -> None:
        """Count an arrival; the first one of a segment closes the segment before."""
        f, c = self.facts, self.counters
        request.segment = segment_of(request.number, now, f.n_requests, f.duration)
        request.window = window_of(now, f.window, len(c.window))
        self.in_flight.add(request)
        c.segment[request.segment].offered += 1
        c.window[request.window].offered += 1
        self.last_arrival = now
        if request.segment >= self.next_segment:
            self._close_segments(request.segment, now)

    def attempted(self, request: Request, *, crosses: bool) -> None:
        """Count an attempt at the request's pod; ``crosses`` tells whether it left its node."""
        c, first = self.counters, request.tries_begun == 0
        request.tries_begun += 1
        if self.facts.ingress:
            request.attempts += 1
        c.totals[0] += 1
        c.totals[3] += int(crosses)
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
            c.parts[:] = request.parts(ingress=bool(f.ingress))
            count_completed(c, request.segment, f.settled, request.window, request.pod, latency)
            self._remember_session(request)
        c.totals[1] += int(request.attempts > 1)
        self.in_flight.discard(request)
        if self.recording:
            self._record(request, request.error)

    def _remember_session(self, request: Request) -> None:
        if request.session < 0:
            return
        before = self.session_pod.get(request.session)
        if before is not None:
            self.counters.affinity[0] += 1
            self.counters.affinity[1 if before == request.pod else 2] += 1
        self.session_pod[request.session] = request.pod

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
        return self.facts.duration or self.last_arrival

    def stop(self, now: float) -> None:
        """Close the segments when the first event after the end of arrivals is due."""
        if not self.stopped and now > self.stop_time:
            self.stopped = True
            self._close_segments(SEGMENTS, self.stop_time)

    def give_up(self) -> None:
        """Count what is still in flight when the drain ends, with its elapsed time."""
        deadline = self.stop_time + self.facts.drain
        for request in self.in_flight:
            self.counters.segment[request.segment].unfinished += 1
            count_latency(self.counters, request.segment, nanoseconds(deadline - request.arrival))
            if self.recording:
                self._record(request, -2)
