"""Pods in the fast engine: FIFO with any concurrency, processor sharing, finite queues."""

from __future__ import annotations

from lbbench.engines.events import FINISH, event_order
from lbbench.engines.recording import bring_up
from lbbench.engines.sharing import leaving_time, virtual_now
from lbbench.engines.world import N_OUT, Facts, World

VOID = -1


def plan_event(w: World, time: float, kind: int, slot: int, load: int) -> None:
    """Let the event ``kind`` of the request in ``slot`` happen at ``time``.

    It goes to the out tray; the loop puts the tray's events into the heap.
    """
    n = w.number[N_OUT]
    w.out_time[n] = time
    w.out_order[n] = event_order(kind, w.request[slot].number, w.request[slot].attempts)
    w.out_load[n] = load
    w.number[N_OUT] = n + 1


def join(f: Facts, w: World, slot: int, now: float) -> bool:
    """Let the attempt in ``slot`` join its pod; False: the pod's queue is full."""
    pod = w.request[slot].pod
    if w.in_system[pod] >= f.pod[pod].room:
        return False
    bring_up(w.queue, w.in_system, f.pod[pod].places, pod, now)
    queue = w.queue[pod]
    if f.shared:
        _bring_virtual(f, w, pod, now)
        w.request[slot].start = now
        w.request[slot].leaves_at = queue.virtual + w.request[slot].work
        _insert_by_leaving(w, pod, slot)
        w.in_system[pod] += 1
        _announce_next(f, w, pod, now)
    else:
        w.in_system[pod] += 1
        if queue.serving < f.pod[pod].places:
            queue.serving += 1
            _begin(f, w, slot, now)
        else:
            w.request[slot].next = -1
            if queue.head < 0:
                queue.head = slot
            else:
                w.request[queue.tail].next = slot
            queue.tail = slot
    queue.highest = max(queue.highest, w.in_system[pod])
    return True


def leave(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the finished attempt in ``slot`` leave its pod; the next in the queue begins."""
    pod = w.request[slot].pod
    bring_up(w.queue, w.in_system, f.pod[pod].places, pod, now)
    queue = w.queue[pod]
    if f.shared:
        _bring_virtual(f, w, pod, now)
        w.in_system[pod] -= 1
        queue.head = w.request[slot].next
        w.request[slot].end = now
        if w.in_system[pod] > 0:
            _announce_next(f, w, pod, now)
        else:
            queue.due_order = VOID
            queue.virtual = 0.0
        return
    w.in_system[pod] -= 1
    waiting = queue.head
    if waiting >= 0:
        queue.head = w.request[waiting].next
        _begin(f, w, waiting, now)
    else:
        queue.serving -= 1


def is_overtaken(w: World, time: float, order: int, pod: int) -> bool:
    """Tell whether a sharing pod's announced end was overtaken by an arrival or a departure."""
    return w.queue[pod].due_order != order or w.queue[pod].due_time != time


def _begin(f: Facts, w: World, slot: int, now: float) -> None:
    request = w.request[slot]
    request.start = now
    request.end = now + request.work / f.pod[request.pod].speed
    plan_event(w, request.end, FINISH, slot, slot)


def _bring_virtual(f: Facts, w: World, pod: int, now: float) -> None:
    queue = w.queue[pod]
    dt = now - queue.virtual_at
    queue.virtual = virtual_now(
        queue.virtual, dt, f.pod[pod].speed, f.pod[pod].places, w.in_system[pod]
    )
    queue.virtual_at = now


def _insert_by_leaving(w: World, pod: int, slot: int) -> None:
    """Keep the pod's jobs in order of (virtual time of leaving, request number)."""
    leaves_at, number = w.request[slot].leaves_at, w.request[slot].number
    before = -1
    place = w.queue[pod].head
    while place >= 0 and (
        w.request[place].leaves_at < leaves_at
        or (w.request[place].leaves_at == leaves_at and w.request[place].number < number)
    ):
        before = place
        place = w.request[place].next
    w.request[slot].next = place
    if before < 0:
        w.queue[pod].head = slot
    else:
        w.request[before].next = slot


def _announce_next(f: Facts, w: World, pod: int, now: float) -> None:
    """Announce the next end; an earlier announcement is void."""
    queue = w.queue[pod]
    slot = queue.head
    queue.due_time = leaving_time(
        now,
        queue.virtual,
        w.request[slot].leaves_at,
        f.pod[pod].speed,
        f.pod[pod].places,
        w.in_system[pod],
    )
    queue.due_order = event_order(FINISH, w.request[slot].number, w.request[slot].attempts)
    plan_event(w, queue.due_time, FINISH, slot, pod)
