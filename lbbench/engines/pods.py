"""Pods in the fast engine: FIFO with any concurrency, processor sharing, finite queues."""

from __future__ import annotations

from lbbench.core.heap import heap_push
from lbbench.engines.events import FINISH, event_order
from lbbench.engines.recording import bring_up
from lbbench.engines.sharing import leaving_time, virtual_now
from lbbench.engines.world import N_HEAP, Facts, World
from lbbench.model.tally import Tally

VOID = -1


def push(w: World, time: float, kind: int, slot: int, load: int) -> None:
    """Schedule the event ``kind`` of the request in ``slot``."""
    order = event_order(kind, w.number[slot], w.attempts[slot])
    w.count[N_HEAP] = heap_push(
        w.heap_time, w.heap_order, w.heap_load, w.count[N_HEAP], time, order, load
    )


def join(f: Facts, w: World, y: Tally, slot: int, now: float) -> bool:
    """Let the attempt in ``slot`` join its pod; False: the pod's queue is full."""
    pod = w.pod[slot]
    if w.in_system[pod] >= f.pod_room[pod]:
        return False
    bring_up(w.busy_area, w.flight_area, w.since, w.in_system, f.pod_places, pod, now)
    if f.shared:
        _bring_virtual(f, w, pod, now)
        w.in_system[pod] += 1
        w.start[slot] = now
        w.leaves_at[slot] = w.virtual[pod] + w.work[slot]
        _insert_by_leaving(w, pod, slot)
        _schedule_leaving(f, w, pod, now)
    else:
        w.in_system[pod] += 1
        if w.serving[pod] < f.pod_places[pod]:
            w.serving[pod] += 1
            _begin(f, w, slot, now)
        else:
            w.next_one[slot] = -1
            if w.queue_head[pod] < 0:
                w.queue_head[pod] = slot
            else:
                w.next_one[w.queue_tail[pod]] = slot
            w.queue_tail[pod] = slot
    y.pod_flight_max[pod] = max(y.pod_flight_max[pod], w.in_system[pod])
    return True


def leave(f: Facts, w: World, slot: int, now: float) -> None:
    """Let the finished attempt in ``slot`` leave its pod; the next in the queue begins."""
    pod = w.pod[slot]
    bring_up(w.busy_area, w.flight_area, w.since, w.in_system, f.pod_places, pod, now)
    if f.shared:
        _bring_virtual(f, w, pod, now)
        w.in_system[pod] -= 1
        w.queue_head[pod] = w.next_one[slot]
        w.end[slot] = now
        if w.in_system[pod] > 0:
            _schedule_leaving(f, w, pod, now)
        else:
            w.due_order[pod] = VOID
            w.virtual[pod] = 0.0
        return
    w.in_system[pod] -= 1
    waiting = w.queue_head[pod]
    if waiting >= 0:
        w.queue_head[pod] = w.next_one[waiting]
        _begin(f, w, waiting, now)
    else:
        w.serving[pod] -= 1


def is_overtaken(f: Facts, w: World, time: float, order: int, load: int) -> bool:
    """Tell whether a sharing pod's announced end was overtaken by an arrival or a departure.

    The load of such an event is the pod; of a FIFO pod's it is the request's slot.
    """
    return f.shared != 0 and (w.due_order[load] != order or w.due_time[load] != time)


def _begin(f: Facts, w: World, slot: int, now: float) -> None:
    w.start[slot] = now
    w.end[slot] = now + w.work[slot] / f.pod_speed[w.pod[slot]]
    push(w, w.end[slot], FINISH, slot, slot)


def _bring_virtual(f: Facts, w: World, pod: int, now: float) -> None:
    w.virtual[pod] = virtual_now(
        w.virtual[pod],
        now - w.virtual_at[pod],
        f.pod_speed[pod],
        f.pod_places[pod],
        w.in_system[pod],
    )
    w.virtual_at[pod] = now


def _insert_by_leaving(w: World, pod: int, slot: int) -> None:
    """Keep the pod's jobs in order of (virtual time of leaving, request number)."""
    before, place = -1, w.queue_head[pod]
    while place >= 0 and (
        w.leaves_at[place] < w.leaves_at[slot]
        or (w.leaves_at[place] == w.leaves_at[slot] and w.number[place] < w.number[slot])
    ):
        before, place = place, w.next_one[place]
    w.next_one[slot] = place
    if before < 0:
        w.queue_head[pod] = slot
    else:
        w.next_one[before] = slot


def _schedule_leaving(f: Facts, w: World, pod: int, now: float) -> None:
    """Announce the next end; an earlier announcement is void."""
    slot = w.queue_head[pod]
    w.due_time[pod] = leaving_time(
        now,
        w.virtual[pod],
        w.leaves_at[slot],
        f.pod_speed[pod],
        f.pod_places[pod],
        w.in_system[pod],
    )
    w.due_order[pod] = event_order(FINISH, w.number[slot], w.attempts[slot])
    push(w, w.due_time[pod], FINISH, slot, pod)
