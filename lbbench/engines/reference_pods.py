"""Pods in the reference engine: FIFO with any concurrency, processor sharing, finite queues."""

from __future__ import annotations

from collections import deque

from lbbench.engines.events import FINISH
from lbbench.engines.recording import bring_up
from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Request
from lbbench.engines.sharing import leaving_time, virtual_now
from lbbench.engines.world import Facts


class Pod:
    """What all pods share: room, and the integrals of what is there."""

    def __init__(self, facts: Facts, calendar: Calendar, ledger: Ledger, index: int) -> None:
        self.calendar = calendar
        self.ledger = ledger
        self.index = index
        self.speed = float(facts.pod[index].speed)
        self.places = int(facts.pod[index].places)
        self.room = int(facts.pod[index].room)

    def present(self) -> int:
        """Return the number of requests at the pod."""
        return int(self.ledger.in_system[self.index])

    def bring_up(self) -> None:
        """Bring the pod's integrals up to now."""
        ledger = self.ledger
        bring_up(ledger.queue, ledger.in_system, self.places, self.index, self.calendar.now)

    def enter(self) -> None:
        """Count one request in."""
        self.ledger.in_system[self.index] += 1
        row = self.ledger.queue[self.index]
        row.highest = max(row.highest, self.present())

    def exit(self) -> None:
        """Count one request out."""
        self.ledger.in_system[self.index] -= 1


class FifoPod(Pod):
    """First in, first out, with ``places`` servers."""

    def __init__(self, facts: Facts, calendar: Calendar, ledger: Ledger, index: int) -> None:
        super().__init__(facts, calendar, ledger, index)
        self.queue: deque[Request] = deque()
        self.serving = 0

    def join(self, request: Request) -> Event | None:
        """Return the event of the request's end, or None when the queue is full."""
        if self.present() >= self.room:
            return None
        self.bring_up()
        self.enter()
        finished = self.calendar.event()
        request.finished = finished
        if self.serving < self.places:
            self.serving += 1
            self._begin(request)
        else:
            self.queue.append(request)
        return finished

    def leave(self, _request: Request) -> None:
        """Free the place of a finished request for the next in the queue."""
        self.bring_up()
        self.exit()
        if self.queue:
            self._begin(self.queue.popleft())
        else:
            self.serving -= 1

    def _begin(self, request: Request) -> None:
        request.start = self.calendar.now
        request.end = request.start + request.work / self.speed
        self.calendar.schedule(request.finished, request.end, FINISH, request)


class SharingPod(Pod):
    """Processor sharing by virtual time (sharing.py)."""

    def __init__(self, facts: Facts, calendar: Calendar, ledger: Ledger, index: int) -> None:
        super().__init__(facts, calendar, ledger, index)
        self.jobs: list[Request] = []
        self.virtual = 0.0
        self.virtual_at = 0.0
        self.version = 0

    def join(self, request: Request) -> Event | None:
        """Return the event of the request's end, or None when the pod is full."""
        if self.present() >= self.room:
            return None
        self.bring_up()
        self._bring_virtual()
        self.enter()
        finished = self.calendar.event()
        request.finished = finished
        request.start = self.calendar.now
        request.leaves_at = self.virtual + request.work
        self.jobs.append(request)
        self._schedule_next()
        return finished

    def leave(self, request: Request) -> None:
        """Take a finished request out; the others go faster from now on."""
        self.bring_up()
        self._bring_virtual()
        self.exit()
        self.jobs.remove(request)
        request.end = self.calendar.now
        if self.jobs:
            self._schedule_next()
        else:
            self.version += 1
            self.virtual = 0.0

    def _bring_virtual(self) -> None:
        now = self.calendar.now
        dt = now - self.virtual_at
        self.virtual = virtual_now(self.virtual, dt, self.speed, self.places, self.present())
        self.virtual_at = now

    def _schedule_next(self) -> None:
        """Announce the next end; an earlier announcement is void."""
        self.version += 1
        version = self.version
        request = min(self.jobs, key=lambda job: (job.leaves_at, job.number))
        now = self.calendar.now
        time = leaving_time(
            now, self.virtual, request.leaves_at, self.speed, self.places, self.present()
        )
        announced = self.calendar.at(time, FINISH, request)

        def end_now(_event: Event) -> None:
            if version == self.version:
                self.calendar.at_once(request.finished)

        announced.callbacks.append(end_now)
