"""When segments begin where requests come ahead of what happens to them.

A batch of requests is there before the events of its time, so the pods' integrals at the begin of a
segment are written when the events have come so far.
"""

from __future__ import annotations

import math

from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.recording import close_segments
from lbbench.engines.steady.pods import retire_all
from lbbench.engines.steady.world import (
    N_BEGUN,
    N_SEGMENT,
    N_STOPPED,
    T_ARRIVAL,
    T_BOUND,
    Steady,
)
from lbbench.engines.world import Facts
from lbbench.model.tally import SEGMENTS


def set_bound(f: Facts, w: Steady, final: int) -> None:
    """Note up to when only events happen: then a segment begins, or arrivals have stopped."""
    bound = math.inf
    if w.number[N_BEGUN] < w.number[N_SEGMENT]:
        bound = w.opening[w.number[N_BEGUN]]
    if final and w.number[N_STOPPED] == 0:
        bound = min(bound, stop_of(f, w))
    w.clock[T_BOUND] = bound


def stop_of(f: Facts, w: Steady) -> float:
    """Return when arrivals have stopped."""
    return f.duration if f.duration > 0.0 else w.clock[T_ARRIVAL]


@apart
def open_segments(f: Facts, w: Steady, c: Counters, time: float, final: int) -> None:
    """Begin the segments whose first request was sent before ``time``; at last, end the last."""
    while w.number[N_BEGUN] < w.number[N_SEGMENT] and w.opening[w.number[N_BEGUN]] < time:
        at = w.opening[w.number[N_BEGUN]]
        last = w.number[N_BEGUN]
        while last + 1 < w.number[N_SEGMENT] and w.opening[last + 1] == at:
            last += 1
        _write(f, w, c, last, at)
    stop = stop_of(f, w)
    if final and w.number[N_STOPPED] == 0 and time > stop:
        w.number[N_STOPPED] = 1
        _write(f, w, c, SEGMENTS, stop)
    set_bound(f, w, final)


def _write(f: Facts, w: Steady, c: Counters, last: int, now: float) -> None:
    retire_all(f, w, now)
    close_segments(c, w.pod, w.in_system, f.pod, w.number[N_BEGUN], last, now)
    w.number[N_BEGUN] = last + 1
