"""Which event comes next, at a cost that does not grow with their number: a calendar queue.

Time is cut into days of equal width; a year has a power of two of them, each with an unsorted list.
What falls on today or before lies in a binary heap, so only the few events of one day are ever
compared. The order of removal is that of (time, order), whatever the width: a day holds *every*
event of its time, and rounding keeps the order of days that of times. The width only sets the cost.

Entries are numbered slots that the caller gives out; a slot has at most one event. Plain Python
that numba can compile; nothing is allocated.

References
----------
R. Brown, "Calendar queues: a fast O(1) priority queue implementation for the simulation event set
problem", CACM 31 (1988).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.core.heap import heap_pop, heap_push

TODAY, LATER, NEAR = range(3)
NEVER = 2**62
"""A day that is never reached."""

LEAST_DAYS = 1024
MOST_DAYS = 2**17


ENTRY = np.dtype([("time", np.float64), ("order", np.int64), ("next", np.int64)])


class Calendar(NamedTuple):
    """Q slots; D days in a year."""

    first: np.ndarray  # int64[D] first slot of each day's list, -1: none
    entry: np.ndarray  # ENTRY[Q]
    near_time: np.ndarray  # float64[Q] the heap of today
    near_order: np.ndarray  # int64[Q]
    near_slot: np.ndarray  # int64[Q]
    number: np.ndarray  # int64[3] today; events later than today; events in the heap
    days: np.ndarray  # float64[1] days per second


def new_calendar(
    slots: int, *, rate: float, inside: float, entry: np.dtype[Any] = ENTRY
) -> Calendar:
    """Return an empty calendar at time 0.

    Parameters
    ----------
    slots
        Room for so many events.
    rate
        Events per second that are expected: a day holds about one.
    inside
        How many are expected to wait at once: a year should be longer than most of them wait.
    entry
        What an entry holds: the fields of `ENTRY`, and others that the caller keeps there.
    """
    wanted = min(max(4.0 * inside, LEAST_DAYS), MOST_DAYS)
    days = 1 << int(np.ceil(np.log2(wanted)))
    return Calendar(
        first=np.full(days, -1, np.int64),
        entry=np.zeros(slots, entry).view(np.recarray),
        near_time=np.zeros(slots + 1),
        near_order=np.zeros(slots + 1, np.int64),
        near_slot=np.zeros(slots + 1, np.int64),
        number=np.zeros(3, np.int64),
        days=np.array([min(max(rate, 1e-3), 1e9)]),
    )


def grown_calendar(calendar: Calendar, slots: int) -> Calendar:
    """Return the calendar with room for ``slots`` events; what it holds stays."""
    entry = np.zeros(slots, calendar.entry.dtype).view(np.recarray)
    entry[: len(calendar.entry)] = calendar.entry
    heap = {}
    for name in ("near_time", "near_order", "near_slot"):
        old = getattr(calendar, name)
        heap[name] = np.zeros(slots + 1, old.dtype)
        heap[name][: len(old)] = old
    return calendar._replace(entry=entry, **heap)


def day_of(calendar: Calendar, time: float) -> int:
    """Return the day of a finite ``time``; `NEVER` for what lies too far ahead to count days."""
    days = time * calendar.days[0]
    return np.int64(days) if days < NEVER else NEVER  # type: ignore[return-value]


def add_event(calendar: Calendar, time: float, order: int, slot: int) -> None:
    """Put the event of ``slot`` at (``time``, ``order``); time must not lie before the last one."""
    day = day_of(calendar, time)
    number = calendar.number
    if day <= number[TODAY]:
        number[NEAR] = heap_push(
            calendar.near_time, calendar.near_order, calendar.near_slot, number[NEAR],
            time, order, slot,
        )  # fmt: skip
        return
    entry = calendar.entry[slot]
    entry.time = time
    entry.order = order
    at = day & (calendar.first.size - 1)
    entry.next = calendar.first[at]
    calendar.first[at] = slot
    number[LATER] += 1


def turn_to(calendar: Calendar, day: int) -> None:
    """Turn over days until today has an event or is ``day``; events keep their order."""
    number = calendar.number
    while number[NEAR] == 0 and number[LATER] > 0 and number[TODAY] < day:
        number[TODAY] += 1
        _open_day(calendar)
    if number[NEAR] == 0 and number[TODAY] < day < NEVER:
        number[TODAY] = day


def _open_day(calendar: Calendar) -> None:
    """Move today's events from their list to the heap; those of later years stay."""
    number = calendar.number
    today = number[TODAY]
    at = today & (calendar.first.size - 1)
    slot = calendar.first[at]
    if slot < 0:
        return
    kept = -1
    while slot >= 0:
        entry = calendar.entry[slot]
        after = entry.next
        if day_of(calendar, entry.time) == today:
            number[NEAR] = heap_push(
                calendar.near_time, calendar.near_order, calendar.near_slot, number[NEAR],
                entry.time, entry.order, slot,
            )  # fmt: skip
            number[LATER] -= 1
        else:
            entry.next = kept
            kept = slot
        slot = after
    calendar.first[at] = kept


def drop_next(calendar: Calendar) -> None:
    """Remove the first event of today, which the caller has read at index 0 of the heap."""
    calendar.number[NEAR] = heap_pop(
        calendar.near_time, calendar.near_order, calendar.near_slot, calendar.number[NEAR]
    )
