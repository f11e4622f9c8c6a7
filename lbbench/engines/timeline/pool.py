"""The load balancer's pool: which nodes are eligible, from verdicts and admin states.

Admin state up makes a node eligible whatever its probes say, down never. With every node probed
down a Standard balancer refuses new flows (`on_all_down: all_up`: it takes all nodes); a Basic one,
`drop_all`, or a pool of one node also ends the established flows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal

from lbbench.engines.script import CUT, LB_VIEW, Step
from lbbench.engines.timeline.track import NOBODY, Notes, Track
from lbbench.engines.timeline.view import View

Admin = Literal["up", "down", "none"]


@dataclass(frozen=True)
class Pool:
    """The rules by which nodes are eligible."""

    sku: Literal["Standard", "Basic"]
    on_all_down: Literal["drop_new", "all_up", "drop_all"]

    def eligible(self, verdicts: Sequence[bool], admin: Sequence[Admin]) -> tuple[int, ...]:
        """Return the numbers of the nodes that new connections may go to."""
        pairs = list(zip(verdicts, admin, strict=True))
        found = tuple(
            i
            for i, (is_up, state) in enumerate(pairs)
            if state == "up" or (is_up and state == "none")
        )
        if not found and self.sku == "Standard" and self.on_all_down == "all_up":
            return tuple(i for i, state in enumerate(admin) if state != "down")
        return found

    def cuts(self, nodes: int) -> bool:
        """Tell whether established flows end when every node is probed down."""
        return self.sku == "Basic" or self.on_all_down == "drop_all" or nodes == 1


def pool_views(
    pool: Pool, verdicts: Sequence[Track[bool]], admin: Sequence[Track[Admin]]
) -> tuple[tuple[int, ...], list[View]]:
    """Return the nodes eligible at the start, and the steps by which that changes."""
    held = [track.values[0] for track in verdicts]
    states = [track.values[0] for track in admin]
    present = first = pool.eligible(held, states)
    views: list[View] = []
    for time, group in groupby(_news(verdicts, admin), key=itemgetter(0)):
        notes: Notes = NOBODY
        probed = False
        for _, node, verdict, state, its_notes in group:
            held[node] = held[node] if verdict is None else verdict
            states[node] = state or states[node]
            probed = probed or verdict is not None
            notes |= its_notes
        found = pool.eligible(held, states)
        if found == present:
            continue
        present = found
        # an admin state down drains: what is established goes on
        if not found and probed and pool.cuts(len(held)):
            views.append(View(Step(time=time, op=CUT), notes))
        views.append(View(Step(time=time, op=LB_VIEW, listed=found), notes))
    return first, views


def _news(
    verdicts: Sequence[Track[bool]], admin: Sequence[Track[Admin]]
) -> list[tuple[float, int, bool | None, Admin | None, Notes]]:
    """Return (time, node, verdict or None, admin state or None, notes) by time and node."""
    found: list[tuple[float, int, bool | None, Admin | None, Notes]] = []
    for node, track in enumerate(verdicts):
        found += [(time, node, value, None, notes) for time, value, notes in track.changes()]
    for node, states in enumerate(admin):
        found += [(time, node, None, value, notes) for time, value, notes in states.changes()]
    return sorted(found, key=itemgetter(0, 1))
