"""How much there is to do at a pod, for balancers that know it: both engines' arithmetic, and more.

Numbers are whole nanoseconds, so that sums do not depend on the order of what is summed.
"""

from __future__ import annotations

import numpy as np

from lbbench.core.held import apart
from lbbench.engines.parts import SEES_WORK, SHARED
from lbbench.engines.sharing import virtual_now, work_left
from lbbench.engines.timing import nanoseconds
from lbbench.engines.world import Facts, World

NOTHING, WORK, FREE = range(3)  # what is seen: nothing; work left; when a place is free
SEEN = {"work": WORK, "free": FREE}
NEVER = 2**62  # nanoseconds at a pod that stands still


def time_for(work_ns: int, pace: float, places: int) -> int:
    """Return the nanoseconds that ``work_ns`` of work take with ``places`` working at ``pace``."""
    return np.int64(np.rint(work_ns / (pace * places)))  # type: ignore[return-value]


def put_in_line(free_at: np.ndarray, places: int, takes: int) -> None:
    """Let a request that takes so long begin at the place that is free first.

    ``free_at`` holds when each of the ``places`` is free, int64 nanoseconds from now.
    """
    first = 0
    for k in range(1, places):
        if free_at[k] < free_at[first]:
            first = k
    free_at[first] += takes


def soonest(free_at: np.ndarray, places: int) -> int:
    """Return when the first of the ``places`` is free."""
    least = free_at[0]
    for k in range(1, places):
        least = min(least, free_at[k])
    return int(least)


# --- the fast engine ------------------------------------------------------------------------------


@apart
def see_work(f: Facts, w: World, listed: np.ndarray, n: int, now: float) -> None:
    """Put what there is to do at each of the ``n`` listed pods into ``w.busy_seen``."""
    for k in range(n):
        w.busy_seen[k] = _to_do(f, w, listed[k], now)


def _to_do(f: Facts, w: World, pod: int, now: float) -> int:
    if w.in_system[pod] == 0:
        return 0
    queue = w.queue[pod]
    pace = 0.0 if queue.throttled else w.site[pod].speed
    places = f.pod[pod].places
    if SEES_WORK == FREE and SHARED == 0 and queue.serving < places:
        return 0
    if pace <= 0.0:
        return NEVER
    if SHARED:
        virtual = virtual_now(queue.virtual, now - queue.virtual_at, pace, places, w.in_system[pod])
        left = 0
        slot = queue.head
        while slot >= 0:
            left += nanoseconds(max(w.request[slot].leaves_at - virtual, 0.0))
            slot = w.request[slot].next
        return time_for(left, pace, places)
    if SEES_WORK == FREE:
        return _free_after(w, pod, pace, places, now)
    left = 0
    for k in range(queue.serving):
        request = w.request[w.served[pod, k]]
        left += nanoseconds(work_left(request.todo, request.since, now, pace))
    slot = queue.head
    while slot >= 0:
        left += nanoseconds(w.request[slot].todo)
        slot = w.request[slot].next
    return time_for(left, pace, places)


def _free_after(w: World, pod: int, pace: float, places: int, now: float) -> int:
    """Return when a place is free at a pod where all are taken."""
    for k in range(places):
        request = w.request[w.served[pod, k]]
        left = nanoseconds(work_left(request.todo, request.since, now, pace))
        w.free_at[k] = time_for(left, pace, 1)
    slot = w.queue[pod].head
    while slot >= 0:
        put_in_line(w.free_at, places, time_for(nanoseconds(w.request[slot].todo), pace, 1))
        slot = w.request[slot].next
    return soonest(w.free_at, places)


def take_place(w: World, pod: int, slot: int) -> None:
    """Note that the request in ``slot`` is the last of those that the pod serves."""
    w.served[pod, w.queue[pod].serving - 1] = slot


def give_place(w: World, pod: int, slot: int) -> None:
    """Note that the request in ``slot`` is none of those any more; the last one takes its entry."""
    last = w.queue[pod].serving - 1
    for k in range(last):
        if w.served[pod, k] == slot:
            w.served[pod, k] = w.served[pod, last]
            return
