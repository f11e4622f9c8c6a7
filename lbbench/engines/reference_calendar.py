"""The reference engine's time: SimPy's queue, in the order that events.py defines."""

from __future__ import annotations

from collections.abc import Callable
from heapq import heappush
from typing import Any, TypeAlias

import simpy

from lbbench.engines.events import ATTEMPT_BITS, CLASS_BITS

Event: TypeAlias = simpy.Event

AT_ONCE = 0  # before every other event of the same time
FIRST = 2  # what the others begin with


class Calendar:
    """Events at absolute times, ordered by (time, class, request, attempt).

    SimPy's own ``timeout`` takes the detour over a delay, and now + (t - now) is not always t; its
    tie-break is the order of insertion.
    """

    def __init__(self) -> None:
        self.env = simpy.Environment()

    @property
    def now(self) -> float:
        """The time, in seconds."""
        return float(self.env.now)

    def event(self) -> Event:
        """Return an event that is not scheduled yet."""
        return self.env.event()

    def at(self, time: float, kind: int, number: int, attempt: int = 0) -> Event:
        """Return an event of class ``kind`` at ``time``, of a request's attempt or timer."""
        return self.schedule(self.event(), time, kind, number, attempt)

    def call(
        self, time: float, kind: int, number: int, attempt: int, what: Callable[[], Any]
    ) -> None:
        """Let ``what`` be called as an event of that order."""
        self.at(time, kind, number, attempt).callbacks.append(lambda _event: what())

    def schedule(
        self, event: Event, time: float, kind: int, number: int, attempt: int = 0
    ) -> Event:
        """Let ``event`` happen at ``time``, in its class and by its request's number."""
        owner = (number << ATTEMPT_BITS) | attempt
        return self._put(event, time, (kind << CLASS_BITS) + owner + FIRST)

    def at_once(self, event: Event, value: Any = None) -> Event:
        """Let ``event`` happen now, before anything else."""
        return self._put(event, self.now, AT_ONCE, value)

    def _put(self, event: Event, time: float, priority: int, value: Any = None) -> Event:
        event._ok, event._value = True, value  # noqa: SLF001
        heappush(self.env._queue, (time, priority, next(self.env._eid), event))  # noqa: SLF001
        return event
