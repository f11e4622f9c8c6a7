"""How many connections are open from a node to a target at once: the ports that SNAT takes.

Only the peak is asked for. So a connection's end is not an event: it is put into a list of its node
and target, and the list is looked through only when, without that, the count would be a new peak.
"""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.l4 import PORTS_PER_TARGET
from lbbench.engines.steady.pods import new_stay
from lbbench.engines.steady.world import N_STAY_FREE, N_STRAYED, Steady


def open_port(w: Steady, c: Counters, node: int, target: int, now: float) -> None:
    """Count a connection that opens ``now``."""
    w.node_busy[node, target] += 1
    if w.node_busy[node, target] > c.snat_peak[0]:
        _look_through(w, node, target, now)
        if w.node_busy[node, target] > PORTS_PER_TARGET:
            w.number[N_STRAYED] = 1
        c.snat_peak[0] = max(c.snat_peak[0], w.node_busy[node, target])


def will_close(w: Steady, node: int, target: int, time: float) -> None:
    """Note that a connection closes at ``time``."""
    made = new_stay(w, time)
    w.stay[made].next = w.closing[node, target]
    w.closing[node, target] = made


def _look_through(w: Steady, node: int, target: int, now: float) -> None:
    """Count out what has closed by ``now``."""
    at = w.closing[node, target]
    kept = -1
    while at >= 0:
        after = w.stay[at].next
        if w.stay[at].end <= now:
            w.node_busy[node, target] -= 1
            w.stay_free[w.number[N_STAY_FREE]] = at
            w.number[N_STAY_FREE] += 1
        else:
            w.stay[at].next = kept
            kept = at
        at = after
    w.closing[node, target] = kept
