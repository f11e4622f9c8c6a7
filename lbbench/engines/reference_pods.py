"""Pods in the reference engine: FIFO with any concurrency, processor sharing, finite queues."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from lbbench.engines.events import FINISH
from lbbench.engines.recording import bring_up
from lbbench.engines.reference_calendar import Calendar
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Attempt
from lbbench.engines.script import OPEN
from lbbench.engines.sharing import leaving_time, virtual_now, work_left
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import Facts


class Pod:
    """What all pods share: condition, room, and the integrals of what is there.

    ``served`` is called when an attempt has been served.
    """

    def __init__(
        self,
        facts: Facts,
        calendar: Calendar,
        ledger: Ledger,
        index: int,
        served: Callable[[Attempt], None],
    ) -> None:
        self.calendar = calendar
        self.ledger = ledger
        self.index = index
        self.served = served
        self.node = int(facts.pod[index].node)
        self.speed = float(facts.pod[index].speed)
        self.places = int(facts.pod[index].places)
        self.room = int(facts.pod[index].room)
        self.door = OPEN
        self.error_after = 0.0
        self.is_member = False

    @property
    def present(self) -> int:
        """The number of attempts at the pod."""
        return int(self.ledger.in_system[self.index])

    def join(self, attempt: Attempt) -> bool:
        """Take an attempt with ``todo`` to do; False: the queue is full."""
        if self.present >= self.room:
            return False
        self.bring_up()
        self.enter(attempt)
        row = self.ledger.queue[self.index]
        row.highest = max(row.highest, self.present)
        return True

    def bring_up(self) -> None:
        """Bring the pod's integrals up to now."""
        ledger = self.ledger
        bring_up(ledger.queue, ledger.in_system, self.places, self.index, self.calendar.now)

    def count(self, change: int) -> None:
        """Count attempts in or out."""
        self.ledger.in_system[self.index] += change

    def left(self, attempt: Attempt) -> None:
        """Count the time that an attempt has spent here."""
        spent = self.calendar.now - attempt.at_pod
        self.ledger.counters.sojourn[self.index] += nanoseconds(spent)

    def enter(self, attempt: Attempt) -> None:
        """Take an attempt for which there is room."""
        raise NotImplementedError

    def set_speed(self, speed: float) -> None:
        """Work at another speed from now on."""
        raise NotImplementedError

    def empty(self) -> list[Attempt]:
        """Lose everything; return what was here."""
        raise NotImplementedError


class FifoPod(Pod):
    """First in, first out, with ``places`` servers."""

    queue: deque[Attempt]
    serving: list[Attempt]

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.queue = deque()
        self.serving = []

    def enter(self, attempt: Attempt) -> None:
        """Serve it at once, or let it wait."""
        self.count(+1)
        if len(self.serving) < self.places:
            self._begin(attempt)
        else:
            self.queue.append(attempt)

    def _begin(self, attempt: Attempt) -> None:
        self.serving.append(attempt)
        attempt.start = attempt.since = self.calendar.now
        self._announce(attempt)

    def _announce(self, attempt: Attempt) -> None:
        attempt.end = math.inf
        if self.speed > 0.0:
            attempt.end = attempt.since + attempt.todo / self.speed
            self.calendar.call(
                attempt.end, FINISH, attempt.number, attempt.attempt, lambda: self._end(attempt)
            )

    def _end(self, attempt: Attempt) -> None:
        """Free the place of a finished attempt for the next one, unless its end has moved."""
        if attempt not in self.serving or attempt.end != self.calendar.now:
            return
        self.bring_up()
        self.serving.remove(attempt)
        self.count(-1)
        if self.queue:
            self._begin(self.queue.popleft())
        self.left(attempt)
        self.served(attempt)

    def set_speed(self, speed: float) -> None:
        """Let what is in service end at another time."""
        if speed == self.speed:
            return
        old, self.speed = self.speed, speed
        now = self.calendar.now
        for attempt in self.serving:
            attempt.todo = work_left(attempt.todo, attempt.since, now, old)
            attempt.since = now
            self._announce(attempt)

    def empty(self) -> list[Attempt]:
        """Lose the queue and what is in service."""
        self.bring_up()
        lost = [*self.serving, *self.queue]
        self.count(-len(lost))
        self.serving = []
        self.queue = deque()
        return lost


class SharingPod(Pod):
    """Processor sharing by virtual time (sharing.py)."""

    def __init__(self, *args: object) -> None:
        super().__init__(*args)  # type: ignore[arg-type]
        self.jobs: list[Attempt] = []
        self.virtual = 0.0
        self.virtual_at = 0.0
        self.version = 0

    def enter(self, attempt: Attempt) -> None:
        """Let it share from now on."""
        self._bring_virtual()
        attempt.start = self.calendar.now
        attempt.leaves_at = self.virtual + attempt.todo
        self.jobs.append(attempt)
        self.count(+1)
        self._announce_next()

    def _bring_virtual(self) -> None:
        now = self.calendar.now
        dt = now - self.virtual_at
        self.virtual = virtual_now(self.virtual, dt, self.speed, self.places, self.present)
        self.virtual_at = now

    def _announce_next(self) -> None:
        """Announce the next end; an earlier announcement is void."""
        self.version += 1
        if not self.jobs:
            self.virtual = 0.0
            return
        if self.speed <= 0.0:
            return
        version = self.version
        attempt = min(self.jobs, key=lambda job: (job.leaves_at, job.number, job.attempt))
        time = leaving_time(
            self.calendar.now,
            self.virtual,
            attempt.leaves_at,
            self.speed,
            self.places,
            self.present,
        )

        def end() -> None:
            if version == self.version:
                self._end(attempt)

        self.calendar.call(time, FINISH, attempt.number, attempt.attempt, end)

    def _end(self, attempt: Attempt) -> None:
        """Let a finished attempt go; the others are faster from now on."""
        self.bring_up()
        self._bring_virtual()
        self.count(-1)
        self.jobs.remove(attempt)
        attempt.end = self.calendar.now
        self._announce_next()
        self.left(attempt)
        self.served(attempt)

    def set_speed(self, speed: float) -> None:
        """Let virtual time run at another rate."""
        if speed == self.speed:
            return
        self._bring_virtual()
        self.speed = speed
        self._announce_next()

    def empty(self) -> list[Attempt]:
        """Lose all jobs."""
        self.bring_up()
        self._bring_virtual()
        lost, self.jobs = self.jobs, []
        self.count(-len(lost))
        self._announce_next()
        return lost
