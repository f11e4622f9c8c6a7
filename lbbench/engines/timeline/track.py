"""A value that changes at known times, with the changes of the timeline that are behind it."""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")

Notes = frozenset[int]
"""Numbers of the timeline's changes (see `occurrence.py`) that something goes back to."""

NOBODY: Notes = frozenset()


class Track(Generic[T]):
    """A piecewise constant value: what was put at a time holds from that time on.

    Attributes
    ----------
    times
        When a value begins, seconds, ascending; the first is -inf.
    values, notes
        The values, and for each what brought it about.
    """

    def __init__(self, first: T) -> None:
        self.times: list[float] = [-math.inf]
        self.values: list[T] = [first]
        self.notes: list[Notes] = [NOBODY]

    @property
    def last(self) -> T:
        """The value that was put last."""
        return self.values[-1]

    def put(self, time: float, value: T, notes: Notes) -> None:
        """Let ``value`` hold from ``time`` on; ``time`` is not before the last one."""
        if time == self.times[-1]:
            self.values[-1] = value
            self.notes[-1] |= notes
            if value == self.values[-2]:  # there and back in no time
                del self.times[-1], self.values[-1], self.notes[-1]
        elif value != self.values[-1]:
            self.times.append(time)
            self.values.append(value)
            self.notes.append(notes)

    def index(self, time: float) -> int:
        """Return the number of the value that holds at ``time``."""
        return bisect_right(self.times, time) - 1

    def at(self, time: float) -> T:
        """Return the value that holds at ``time``."""
        return self.values[self.index(time)]

    def changes(self) -> Iterator[tuple[float, T, Notes]]:
        """Yield (time, value, notes) of every change."""
        yield from zip(self.times[1:], self.values[1:], self.notes[1:], strict=True)


def periods(track: Track[bool], horizon: float) -> list[tuple[float, float]]:
    """Return the (begin, end) of the times at which ``track`` holds True, up to ``horizon``.

    The first may begin at -inf; what lasts to the horizon ends at inf.
    """
    ends = [*track.times[1:], math.inf]
    spans = zip(track.times, ends, track.values, strict=True)
    return [(begin, end) for begin, end, value in spans if value and begin <= horizon]


def tick_from(phase: float, period: float, time: float) -> int:
    """Return the least k >= 0 with ``phase + k * period >= time``: a clock's next tick."""
    k = max(0, math.ceil((time - phase) / period))
    while k > 0 and phase + (k - 1) * period >= time:
        k -= 1  # the division rounds; the product decides, since it gives the tick's time
    while phase + k * period < time:
        k += 1
    return k


def next_from(times: list[float], time: float) -> float:
    """Return the first of the ascending ``times`` that is at least ``time``, inf: there is none."""
    i = bisect_left(times, time)
    return times[i] if i < len(times) else math.inf
