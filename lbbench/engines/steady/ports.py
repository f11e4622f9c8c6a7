"""How many connections are open from a node to a target at once: the ports that SNAT takes.

Only the peak is asked for. So a connection's end is not an event: it is written down when it is
known, in no order, and what is written down is gone through only when, without that, a count would
be a new peak, or when the page is full.
"""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.l4 import PORTS_PER_TARGET
from lbbench.engines.steady.world import N_CLOSINGS, N_STRAYED, Steady


def open_port(w: Steady, c: Counters, node: int, target: int, now: float, safe: float) -> None:
    """Count a connection that opened at ``now``; who is counted later opened at ``safe`` or later.

    All closings up to ``now`` are known by the time of the call.
    """
    w.node_busy[node, target] += 1
    if w.node_busy[node, target] > c.snat_peak[0]:
        count_closed(w, safe)
        pair = node * w.node_busy.shape[1] + target
        open_then = w.node_busy[node, target]
        for k in range(w.number[N_CLOSINGS]):
            if w.closing[k].of == pair and w.closing[k].time <= now:
                open_then -= 1
        if open_then > PORTS_PER_TARGET:
            w.number[N_STRAYED] = 1
        c.snat_peak[0] = max(c.snat_peak[0], open_then)


def will_close(w: Steady, node: int, target: int, time: float) -> None:
    """Write down that a connection closes at ``time``; there is room for it."""
    closing = w.closing[w.number[N_CLOSINGS]]
    closing.time = time
    closing.of = node * w.node_busy.shape[1] + target
    w.number[N_CLOSINGS] += 1


def count_closed(w: Steady, now: float) -> None:
    """Count out what has closed by ``now``."""
    kept = 0
    targets = w.node_busy.shape[1]
    for k in range(w.number[N_CLOSINGS]):
        closing = w.closing[k]
        if closing.time <= now:
            w.node_busy[closing.of // targets, closing.of % targets] -= 1
        else:
            w.closing[kept].time = closing.time
            w.closing[kept].of = closing.of
            kept += 1
    w.number[N_CLOSINGS] = kept


def is_full(w: Steady, now: float) -> bool:
    """Tell whether there is no room for another closing, even without those up to ``now``."""
    if w.number[N_CLOSINGS] < w.closing.size:
        return False
    count_closed(w, now)
    return w.number[N_CLOSINGS] > w.closing.size // 2
