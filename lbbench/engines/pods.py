"""Pods in the fast engine: FIFO with any concurrency, processor sharing, finite queues, changes."""

from __future__ import annotations

import math

from lbbench.core.heap import heap_push
from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.events import CHANGE, FINISH, QUOTA_TIMER, event_order
from lbbench.engines.parts import QUOTA, SEES_WORK, SHARED
from lbbench.engines.recording import bring_up, count_stall
from lbbench.engines.sharing import leaving_time, virtual_now, work_left
from lbbench.engines.tables import AWAY, QUEUED, SERVED
from lbbench.engines.throttling import budget_left, next_turn, period_at
from lbbench.engines.timing import nanoseconds
from lbbench.engines.work import give_place, take_place
from lbbench.engines.world import N_HEAP, N_OUT, Facts, World

VOID = -1


def plan_event(w: World, time: float, kind: int, slot: int, load: int) -> None:
    """Let the event ``kind`` of the request in ``slot`` happen at ``time``.

    It goes to the out tray; the loop puts the tray's events into the heap.
    """
    plan_order(w, time, event_order(kind, w.request[slot].number, w.request[slot].attempts), load)


def plan_order(w: World, time: float, order: int, load: int) -> None:
    """Let an event of this order happen at ``time``."""
    n = w.number[N_OUT]
    w.out_time[n] = time
    w.out_order[n] = order
    w.out_load[n] = load
    w.number[N_OUT] = n + 1


def push_planned(w: World) -> None:
    """Put the events of the out tray into the heap."""
    for i in range(w.number[N_OUT]):
        w.number[N_HEAP] = heap_push(
            w.heap_time, w.heap_order, w.heap_load, w.number[N_HEAP],
            w.out_time[i], w.out_order[i], w.out_load[i],
        )  # fmt: skip
    w.number[N_OUT] = 0


def join(f: Facts, w: World, slot: int, now: float) -> bool:
    """Let the attempt in ``slot``, with ``todo`` to do, join its pod; False: its queue is full."""
    request = w.request[slot]
    pod = request.pod
    if w.in_system[pod] >= f.pod[pod].room:
        return False
    _bring(f, w, pod, now)
    queue = w.queue[pod]
    if SHARED:
        request.start = now
        request.place = SERVED
        request.leaves_at = queue.virtual + request.todo
        _insert_by_leaving(w, pod, slot)
        w.in_system[pod] += 1
        announce_next(f, w, pod, now)
    else:
        w.in_system[pod] += 1
        if queue.serving < f.pod[pod].places:
            queue.serving += 1
            if SEES_WORK:
                take_place(w, pod, slot)
            _begin(w, slot, now)
        else:
            request.place = QUEUED
            request.next = -1
            if queue.head < 0:
                queue.head = slot
            else:
                w.request[queue.tail].next = slot
            queue.tail = slot
    queue.highest = max(queue.highest, w.in_system[pod])
    if QUOTA:
        _announce_turn(f, w, pod, now)
    return True


def leave(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the finished attempt in ``slot`` leave its pod; the next in the queue begins."""
    pod = w.request[slot].pod
    _bring(f, w, pod, now)
    queue = w.queue[pod]
    w.request[slot].place = AWAY
    if SHARED:
        w.in_system[pod] -= 1
        queue.head = w.request[slot].next
        w.request[slot].end = now
        announce_next(f, w, pod, now)
    else:
        w.in_system[pod] -= 1
        if SEES_WORK:
            give_place(w, pod, slot)
        waiting = queue.head
        if waiting >= 0:
            queue.head = w.request[waiting].next
            if SEES_WORK:
                take_place(w, pod, waiting)
            _begin(w, waiting, now)
        else:
            queue.serving -= 1
    if QUOTA:
        _announce_turn(f, w, pod, now)


def is_overtaken(w: World, time: float, order: int, pod: int) -> bool:
    """Tell whether a sharing pod's announced end was overtaken by a later change of the pod."""
    return w.queue[pod].due_order != order or w.queue[pod].due_time != time


@apart
def set_speed(f: Facts, w: World, pod: int, speed: float, now: float) -> None:
    """Let the pod work at another speed from now on; what is in service ends at another time."""
    if speed != w.site[pod].speed:
        old = _pace(w, pod)
        _bring(f, w, pod, now)
        w.site[pod].speed = speed
        _change_pace(f, w, pod, old, now)
        if QUOTA:
            _announce_turn(f, w, pod, now)


@apart
def turn(f: Facts, w: World, c: Counters, pod: int, now: float) -> None:
    """Let the pod's CPU budget be used up, or renewed, unless its turn has moved."""
    queue = w.queue[pod]
    if queue.turn != now:
        return
    before = queue.period
    old = _pace(w, pod)
    _bring(f, w, pod, now)
    if queue.throttled:
        queue.throttled = 0
    elif queue.period == before:
        queue.throttled = 1
        count_stall(c, pod, nanoseconds((before + 1) * f.period - now))
    _change_pace(f, w, pod, old, now)
    if QUOTA:
        _announce_turn(f, w, pod, now)


@apart
def _change_pace(f: Facts, w: World, pod: int, old: float, now: float) -> None:
    """Let the ends of what is in service follow the pod's pace, which was ``old``."""
    if SHARED:
        announce_next(f, w, pod, now)
        return
    for slot in range(w.request.size):
        request = w.request[slot]
        if request.number >= 0 and request.place == SERVED and request.pod == pod:
            request.todo = work_left(request.todo, request.since, now, old)
            request.since = now
            _announce_end(w, slot)


def _pace(w: World, pod: int) -> float:
    """Return the speed at which the pod works at the moment."""
    return 0.0 if w.queue[pod].throttled else w.site[pod].speed


@apart
def empty(f: Facts, w: World, pod: int, now: float) -> None:
    """Take everything out of the pod; whose it was sees to what becomes of it."""
    _bring(f, w, pod, now)
    queue = w.queue[pod]
    w.in_system[pod] = 0
    queue.serving = 0
    queue.head = -1
    announce_next(f, w, pod, now)
    if QUOTA:
        _announce_turn(f, w, pod, now)


def _begin(w: World, slot: int, now: float) -> None:
    request = w.request[slot]
    request.start = now
    request.since = now
    request.place = SERVED
    _announce_end(w, slot)


def _announce_end(w: World, slot: int) -> None:
    request = w.request[slot]
    speed = _pace(w, request.pod)
    if speed > 0.0:
        request.end = request.since + request.todo / speed
        plan_event(w, request.end, FINISH, slot, slot)
    else:
        request.end = math.inf


def _bring(f: Facts, w: World, pod: int, now: float) -> None:
    """Bring the pod's integrals, virtual time and CPU budget up to now."""
    bring_up(w.queue, w.in_system, f.pod[pod].places, pod, now)
    queue = w.queue[pod]
    if SHARED:
        dt = now - queue.virtual_at
        queue.virtual = virtual_now(
            queue.virtual, dt, _pace(w, pod), f.pod[pod].places, w.in_system[pod]
        )
        queue.virtual_at = now
    if QUOTA:
        queue.budget = budget_left(
            queue.budget, queue.period, queue.budget_at, now, _running(f, w, pod), f.quota, f.period
        )
        queue.budget_at = now
        queue.period = period_at(f.period, now)


def _running(f: Facts, w: World, pod: int) -> int:
    """Return how many cores the pod uses."""
    if _pace(w, pod) <= 0.0:
        return 0
    if SHARED:
        return min(w.in_system[pod], f.pod[pod].places)
    return w.queue[pod].serving


@apart
def _announce_turn(f: Facts, w: World, pod: int, now: float) -> None:
    """Announce when the CPU budget ends or is renewed; an earlier announcement is void."""
    queue = w.queue[pod]
    if queue.throttled:
        queue.turn = (queue.period + 1) * f.period
    else:
        queue.turn = next_turn(
            queue.budget, queue.period, now, _running(f, w, pod), f.quota, f.period
        )
    if queue.turn < math.inf:
        plan_order(w, queue.turn, event_order(CHANGE, pod, QUOTA_TIMER), pod)


@apart
def _insert_by_leaving(w: World, pod: int, slot: int) -> None:
    """Keep the pod's jobs in order of (virtual time of leaving, request number, attempt)."""
    new = w.request[slot]
    before = -1
    place = w.queue[pod].head
    while place >= 0:
        there = w.request[place]
        if there.leaves_at > new.leaves_at:
            break
        if there.leaves_at == new.leaves_at and (
            there.number > new.number
            or (there.number == new.number and there.attempts > new.attempts)
        ):
            break
        before = place
        place = there.next
    new.next = place
    if before < 0:
        w.queue[pod].head = slot
    else:
        w.request[before].next = slot


@apart
def announce_next(f: Facts, w: World, pod: int, now: float) -> None:
    """Announce the next end of a sharing pod; an earlier announcement is void."""
    if SHARED == 0:
        return
    queue = w.queue[pod]
    queue.due_order = VOID
    if w.in_system[pod] == 0:
        queue.virtual = 0.0
        return
    speed = _pace(w, pod)
    if speed <= 0.0:
        return
    slot = queue.head
    queue.due_time = leaving_time(
        now, queue.virtual, w.request[slot].leaves_at, speed, f.pod[pod].places, w.in_system[pod]
    )
    queue.due_order = event_order(FINISH, w.request[slot].number, w.request[slot].attempts)
    plan_order(w, queue.due_time, queue.due_order, pod)
