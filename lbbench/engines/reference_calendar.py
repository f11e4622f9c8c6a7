"""The reference engine's time: SimPy's queue, in the order that events.py defines."""

from __future__ import annotations

from heapq import heappush
from typing import TYPE_CHECKING, TypeAlias

import simpy

from lbbench.engines.events import ATTEMPT_BITS

if TYPE_CHECKING:
    from lbbench.engines.reference_parts import Request

Event: TypeAlias = simpy.Event

CLASS_STEP = 2**48
AT_ONCE = 0  # before every other event of the same time


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

    def at(self, time: float, kind: int, request: Request) -> Event:
        """Return an event of class ``kind`` at ``time``."""
        return self.schedule(self.event(), time, kind, request)

    def schedule(self, event: Event, time: float, kind: int, request: Request) -> Event:
        """Let ``event`` happen at ``time``, in its class and by its request's number."""
        number = (request.number << ATTEMPT_BITS) | request.attempts
        return self._put(event, time, kind * CLASS_STEP + number + 2)

    def at_once(self, event: Event) -> Event:
        """Let ``event`` happen now, before anything else."""
        return self._put(event, self.now, AT_ONCE)

    def _put(self, event: Event, time: float, priority: int) -> Event:
        event._ok, event._value = True, None  # noqa: SLF001
        heappush(self.env._queue, (time, priority, next(self.env._eid), event))  # noqa: SLF001
        return event

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is left to happen."""
        return not self.env._queue  # noqa: SLF001
