"""Pods of a steady run: FIFO with any number of places; the end follows from the arrival.

A pod keeps the ends of those that are there in a list, and retires them when somebody looks: when
the next request comes, and at the end of a segment.
"""

from __future__ import annotations

import math

from lbbench.engines.recording import bring_up
from lbbench.engines.steady.world import N_STAY_FREE, Steady
from lbbench.engines.world import Facts


def retire(f: Facts, w: Steady, pod: int, now: float) -> None:
    """Let everybody leave whose service has ended by ``now``."""
    row = w.pod[pod]
    first = row.head
    while first >= 0:
        stay = w.stay[first]
        if stay.end > now:
            break
        bring_up(w.pod, w.in_system, f.pod[pod].places, pod, stay.end)
        w.in_system[pod] -= 1
        w.stay_free[w.number[N_STAY_FREE]] = first
        w.number[N_STAY_FREE] += 1
        first = stay.next
    row.head = first
    if first >= 0:
        w.stay[first].back = -1


def retire_all(f: Facts, w: Steady, now: float) -> None:
    """Bring every pod up to ``now``."""
    for pod in range(w.in_system.size):
        retire(f, w, pod, now)


def join(f: Facts, w: Steady, pod: int, work: float, now: float) -> tuple[float, float]:
    """Let a request join the pod; return (start, end) of its service, seconds."""
    retire(f, w, pod, now)
    given = f.pod[pod]
    bring_up(w.pod, w.in_system, given.places, pod, now)
    row = w.pod[pod]
    if given.places == 1:
        start = max(now, row.free_at)
        end = start + work / given.speed
        row.free_at = end
    else:
        start, end = _take_place(w, pod, given.places, work / given.speed, now)
    w.in_system[pod] += 1
    row.highest = max(row.highest, w.in_system[pod])
    _stay(w, pod, end)
    return start, end


def _take_place(w: Steady, pod: int, places: int, lasts: float, now: float) -> tuple[float, float]:
    """Take the place that is free first; return (start, end)."""
    chosen = 0
    earliest = math.inf
    for k in range(places):
        if w.place[pod, k] < earliest:
            earliest = w.place[pod, k]
            chosen = k
    start = max(now, earliest)
    w.place[pod, chosen] = start + lasts
    return start, start + lasts


def new_stay(w: Steady, end: float) -> int:
    """Return a free stay that ends at ``end``."""
    w.number[N_STAY_FREE] -= 1
    made = w.stay_free[w.number[N_STAY_FREE]]
    w.stay[made].end = end
    return int(made)


def _stay(w: Steady, pod: int, end: float) -> None:
    """Put an end into the pod's list, which is in order of the ends.

    Services begin in order of arrival, so fewer ends than there are places come after a new one.
    """
    made = new_stay(w, end)
    row = w.pod[pod]
    before = row.tail if row.head >= 0 else -1
    after = -1
    while before >= 0 and w.stay[before].end > end:
        after = before
        before = w.stay[before].back
    w.stay[made].back = before
    w.stay[made].next = after
    if before >= 0:
        w.stay[before].next = made
    else:
        row.head = made
    if after >= 0:
        w.stay[after].back = made
    else:
        row.tail = made
