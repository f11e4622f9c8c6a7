"""Pods in the reference engine: FIFO with any concurrency, processor sharing, finite queues."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

import numpy as np

from lbbench.engines.events import CHANGE, FINISH, QUOTA_TIMER
from lbbench.engines.flow import PODS
from lbbench.engines.recording import bring_up, count_stall
from lbbench.engines.reference_calendar import Calendar
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Attempt
from lbbench.engines.script import OPEN
from lbbench.engines.sharing import leaving_time, virtual_now, work_left
from lbbench.engines.throttling import budget_left, next_turn, period_at
from lbbench.engines.timing import nanoseconds
from lbbench.engines.work import NEVER, put_in_line, soonest, time_for
from lbbench.engines.world import Facts


class Pod:
    """What all pods share: condition, room, and the integrals of what is there.

    ``served`` is called when an attempt has been served, ``counted`` with the pod's number when
    attempts have come or gone.
    """

    def __init__(
        self,
        facts: Facts,
        calendar: Calendar,
        ledger: Ledger,
        index: int,
        served: Callable[[Attempt], None],
        counted: Callable[[int], None],
    ) -> None:
        self.calendar = calendar
        self.ledger = ledger
        self.index = index
        self.served = served
        self.counted = counted
        self.node = int(facts.pod[index].node)
        self.speed = float(facts.pod[index].speed)
        self.places = int(facts.pod[index].places)
        self.room = int(facts.pod[index].room)
        self.door = OPEN
        self.error_after = 0.0
        self.is_member = False
        self.throttled = False  # its CPU quota is used up
        self.quota, self.period = float(facts.quota), float(facts.period)
        self.budget, self.budget_at, self.number = self.quota, 0.0, 0  # see throttling.py
        self.turn_at = math.inf

    @property
    def present(self) -> int:
        """The number of attempts at the pod."""
        return int(self.ledger.in_system[self.index])

    @property
    def pace(self) -> float:
        """The speed at which the pod works at the moment."""
        return 0.0 if self.throttled else self.speed

    def join(self, attempt: Attempt) -> bool:
        """Take an attempt with ``todo`` to do; False: the queue is full."""
        if self.present >= self.room:
            return False
        self.bring_up()
        self.enter(attempt)
        self.ledger.enters(PODS, self.calendar.now)
        row = self.ledger.queue[self.index]
        row.highest = max(row.highest, self.present)
        self._announce_turn()
        return True

    def set_speed(self, speed: float) -> None:
        """Work at another speed from now on."""
        if speed != self.speed:
            old = self.pace
            self.bring_up()
            self.speed = speed
            self.change_pace(old)
            self._announce_turn()

    def empty(self) -> list[Attempt]:
        """Lose everything; return what was here."""
        self.bring_up()
        lost = self.inside()
        self.lose_all()
        self.count(-len(lost))
        self.announce_next()
        self._announce_turn()
        return lost

    def bring_up(self) -> None:
        """Bring the pod's integrals, and its CPU budget, up to now."""
        ledger, now = self.ledger, self.calendar.now
        bring_up(ledger.queue, ledger.in_system, self.places, self.index, now)
        if self.quota > 0.0:
            self.budget = budget_left(
                self.budget,
                self.number,
                self.budget_at,
                now,
                self._cores(),
                self.quota,
                self.period,
            )
            self.budget_at = now
            self.number = period_at(self.period, now)

    def _cores(self) -> int:
        return self.running() if self.pace > 0.0 else 0

    def _announce_turn(self) -> None:
        """Announce when the CPU budget ends or is renewed; an earlier announcement is void."""
        if self.quota <= 0.0:
            return
        now = self.calendar.now
        if self.throttled:
            self.turn_at = (self.number + 1) * self.period
        else:
            self.turn_at = next_turn(
                self.budget, self.number, now, self._cores(), self.quota, self.period
            )
        if self.turn_at < math.inf:
            self.calendar.call(self.turn_at, CHANGE, self.index, QUOTA_TIMER, self._turn)

    def _turn(self) -> None:
        """Let the CPU budget be used up, or renewed, unless the turn has moved."""
        now = self.calendar.now
        if self.turn_at != now:
            return
        before, old = self.number, self.pace
        self.bring_up()
        if self.throttled:
            self.throttled = False
        elif self.number == before:
            self.throttled = True
            stall = nanoseconds((before + 1) * self.period - now)
            count_stall(self.ledger.counters, self.index, stall)
        self.change_pace(old)
        self._announce_turn()

    def to_do(self, *, until_free: bool) -> int:
        """Return the nanoseconds that the work left here takes, or until a place is free."""
        if self.present == 0 or (until_free and self.has_place()):
            return 0
        if self.pace <= 0.0:
            return NEVER
        left, waiting = self.work()
        if not until_free or waiting is None:
            return int(time_for(sum(left) + sum(waiting or ()), self.pace, self.places))
        free_at = np.array([time_for(each, self.pace, 1) for each in left])
        for each in waiting:
            put_in_line(free_at, self.places, time_for(each, self.pace, 1))
        return soonest(free_at, self.places)

    def count(self, change: int) -> None:
        """Count attempts in or out."""
        if change:
            self.ledger.in_system[self.index] += change
            self.counted(self.index)

    def end(self, attempt: Attempt) -> None:
        """Count the time that an attempt has spent here and let its answer leave."""
        self._announce_turn()
        self.left(attempt)
        self.served(attempt)

    def left(self, attempt: Attempt) -> None:
        """Count the time that an attempt has spent here."""
        self.ledger.leaves(PODS, attempt.at_pod, self.calendar.now)

    # --- what differs -----------------------------------------------------------------------------

    def enter(self, attempt: Attempt) -> None:
        """Take an attempt for which there is room."""
        raise NotImplementedError

    def change_pace(self, old: float) -> None:
        """Let the ends of what is in service follow the pace, which was ``old``."""
        raise NotImplementedError

    def inside(self) -> list[Attempt]:
        """Return all that is here."""
        raise NotImplementedError

    def lose_all(self) -> None:
        """Forget all that is here."""
        raise NotImplementedError

    def running(self) -> int:
        """Return how many cores are in use when the pod does not stand still."""
        raise NotImplementedError

    def announce_next(self) -> None:
        """Announce the next end, where ends depend on each other."""

    def has_place(self) -> bool:
        """Tell whether one more request would begin at once and slow down nobody."""
        raise NotImplementedError

    def work(self) -> tuple[list[int], list[int] | None]:
        """Return the nanoseconds of work left of what is in service, and of what waits in turn.

        None: nothing ever waits.
        """
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
        if self.pace > 0.0:
            attempt.end = attempt.since + attempt.todo / self.pace
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
        self.end(attempt)

    def change_pace(self, old: float) -> None:
        """Let what is in service end at another time."""
        now = self.calendar.now
        for attempt in self.serving:
            attempt.todo = work_left(attempt.todo, attempt.since, now, old)
            attempt.since = now
            self._announce(attempt)

    def inside(self) -> list[Attempt]:
        """Return what is in service and what waits."""
        return [*self.serving, *self.queue]

    def lose_all(self) -> None:
        """Forget the queue and what is in service."""
        self.serving = []
        self.queue = deque()

    def running(self) -> int:
        """Return how many places are taken."""
        return len(self.serving)

    def has_place(self) -> bool:
        """Tell whether not all places are taken."""
        return len(self.serving) < self.places

    def work(self) -> tuple[list[int], list[int] | None]:
        """Return what is left of those in service, and the work of those that wait."""
        now, pace = self.calendar.now, self.pace
        left = [work_left(attempt.todo, attempt.since, now, pace) for attempt in self.serving]
        waiting = [int(nanoseconds(attempt.todo)) for attempt in self.queue]
        return [int(nanoseconds(each)) for each in left], waiting


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
        attempt.start = self.calendar.now
        attempt.leaves_at = self.virtual + attempt.todo
        self.jobs.append(attempt)
        self.count(+1)
        self.announce_next()

    def bring_up(self) -> None:
        """Bring virtual time up to now too."""
        now = self.calendar.now
        dt = now - self.virtual_at
        self.virtual = virtual_now(self.virtual, dt, self.pace, self.places, self.present)
        self.virtual_at = now
        super().bring_up()

    def announce_next(self) -> None:
        """Announce the next end; an earlier announcement is void."""
        self.version += 1
        if not self.jobs:
            self.virtual = 0.0
            return
        if self.pace <= 0.0:
            return
        version = self.version
        attempt = min(self.jobs, key=lambda job: (job.leaves_at, job.number, job.attempt))
        time = leaving_time(
            self.calendar.now, self.virtual, attempt.leaves_at, self.pace, self.places, self.present
        )

        def end() -> None:
            if version == self.version:
                self._end(attempt)

        self.calendar.call(time, FINISH, attempt.number, attempt.attempt, end)

    def _end(self, attempt: Attempt) -> None:
        """Let a finished attempt go; the others are faster from now on."""
        self.bring_up()
        self.count(-1)
        self.jobs.remove(attempt)
        attempt.end = self.calendar.now
        self.announce_next()
        self.end(attempt)

    def change_pace(self, old: float) -> None:  # noqa: ARG002  (virtual time has it)
        """Let virtual time run at another rate."""
        self.announce_next()

    def inside(self) -> list[Attempt]:
        """Return the jobs."""
        return list(self.jobs)

    def lose_all(self) -> None:
        """Forget all jobs."""
        self.jobs = []

    def running(self) -> int:
        """Return how many cores the jobs use."""
        return min(self.present, self.places)

    def has_place(self) -> bool:
        """Tell that nobody has a place of his own: all share."""
        return False

    def work(self) -> tuple[list[int], list[int] | None]:
        """Return what is left of all jobs, by virtual time."""
        dt = self.calendar.now - self.virtual_at
        virtual = virtual_now(self.virtual, dt, self.pace, self.places, self.present)
        return [int(nanoseconds(max(job.leaves_at - virtual, 0.0))) for job in self.jobs], None
