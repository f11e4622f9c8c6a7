"""How many connections are open from a node to a target at once: the ports that SNAT takes.

Only the peak is asked for. So a connection's end is not an event: it is entered on its day in a
calendar, and the calendar is gone through only when, without that, the count would be a new peak.
"""

from __future__ import annotations

from lbbench.core.calendar import day_of
from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.l4 import PORTS_PER_TARGET
from lbbench.engines.steady.pods import new_stay
from lbbench.engines.steady.slots import stray
from lbbench.engines.steady.world import N_CLOSING_DAY, N_STAY_FREE, Steady


def open_port(w: Steady, c: Counters, node: int, target: int, now: float, safe: float) -> None:
    """Count a connection that opened at ``now``; who is counted later opened at ``safe`` or later.

    All closings up to ``now`` are known by the time of the call.
    """
    w.node_busy[node, target] += 1
    if w.node_busy[node, target] > c.snat_peak[0]:
        closed = _count_closed(w, node, target, now, safe)
        open_then = w.node_busy[node, target] - closed
        if open_then > PORTS_PER_TARGET:
            stray(w)
        c.snat_peak[0] = max(c.snat_peak[0], open_then)


def will_close(w: Steady, node: int, target: int, time: float) -> None:
    """Enter that a connection closes at ``time``, which is after the last ``safe``."""
    made = new_stay(w, time)
    w.stay[made].node = node
    w.stay[made].target = target
    day = day_of(w.calendar, time) & (w.closing.size - 1)
    w.stay[made].next = w.closing[day]
    w.closing[day] = made


def forget_closed(w: Steady, safe: float) -> None:
    """Count out what has closed by ``safe``, to make room."""
    _count_closed(w, -1, -1, safe, safe)


@apart
def _count_closed(w: Steady, node: int, target: int, now: float, safe: float) -> int:
    """Count out what has closed by ``safe``; return how many of the pair did later, by ``now``."""
    closed = 0
    last = day_of(w.calendar, now)
    first = max(w.number[N_CLOSING_DAY], last + 1 - w.closing.size)
    for day in range(first, last + 1):
        place = day & (w.closing.size - 1)
        at = w.closing[place]
        if at < 0:
            continue
        kept = -1
        while at >= 0:
            stay = w.stay[at]
            after = stay.next
            if stay.end <= safe:
                w.node_busy[stay.node, stay.target] -= 1
                w.stay_free[w.number[N_STAY_FREE]] = at
                w.number[N_STAY_FREE] += 1
            else:
                if stay.node == node and stay.target == target and stay.end <= now:
                    closed += 1
                stay.next = kept
                kept = at
            at = after
        w.closing[place] = kept
    w.number[N_CLOSING_DAY] = max(day_of(w.calendar, max(safe, 0.0)), w.number[N_CLOSING_DAY])
    return closed
