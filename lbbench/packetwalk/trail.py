"""The packet under way: where its addresses, mark and clock stand, and the hops behind it."""

from __future__ import annotations

from collections.abc import Sequence

from lbbench.packetwalk.hop import (
    ConntrackEntry,
    Decision,
    Direction,
    Flow,
    Hop,
    Rule,
)
from lbbench.packetwalk.site import Site


class Trail:
    """Collects hops; ``flow``, ``mark`` and ``time`` are those of the packet after the last one."""

    def __init__(self, site: Site, seed: int, flow: Flow) -> None:
        self.site = site
        self.seed = seed
        self.flow = flow
        self.mark = 0
        self.time = 0.0
        self.hops: list[Hop] = []
        self.direction: Direction = "request"

    def add(
        self,
        kind: str,
        location: str,
        component: str,
        what: str,
        *,
        chain: str | None = None,
        rules: Sequence[Rule] = (),
        decision: Decision | None = None,
        flow: Flow | None = None,
        mark: int | None = None,
        conntrack: Sequence[ConntrackEntry] = (),
        latency: float = 0.0,
        notes: Sequence[str] = (),
    ) -> None:
        """Add a hop; ``flow`` and ``mark`` are the packet's after it, unchanged when None."""
        before = self.flow if self.hops else None
        self.flow = self.flow if flow is None else flow
        self.mark = self.mark if mark is None else mark
        self.time += latency
        self.hops.append(
            Hop(
                number=len(self.hops) + 1,
                kind=kind,
                direction=self.direction,
                location=location,
                component=component,
                chain=chain,
                what=what,
                rules=tuple(rules),
                decision=decision,
                before=before,
                after=self.flow,
                mark=self.mark,
                conntrack=tuple(conntrack),
                latency_s=latency,
                time_s=self.time,
                notes=(*notes, *self.site.notes(kind)),
            )
        )

    def tracked(
        self, node: int, original: Flow, translated: Flow, state: str, timeout_s: int
    ) -> ConntrackEntry:
        """Return the entry that ``node`` keeps of a flow."""
        return ConntrackEntry(
            self.site.nodes[node].name, state, timeout_s, original, translated.reversed()
        )

    def name(self, node: int) -> str:
        """Return a node's name."""
        return self.site.nodes[node].name

    def one_way(self, here: int, there: int) -> tuple[float, float]:
        """Return (seconds through the fabric, seconds on the last node) of one way.

        Their sum is half a round trip: of the same node, or of two nodes.
        """
        site = self.site
        if here == there:
            return 0.0, 0.5 * site.same_node_rtt_s
        last = 0.5 * min(site.same_node_rtt_s, site.cross_node_rtt_s)
        return 0.5 * site.cross_node_rtt_s - last, last

    def rtt(self, here: int, there: int) -> float:
        """Return the round trip between two places of the cluster."""
        return 2.0 * sum(self.one_way(here, there))
