"""Which endpoints a node's rules list: external traffic policy, topology, terminating endpoints.

References
----------
kubernetes/kubernetes, pkg/proxy/topology.go: CategorizeEndpoints, topologyModeFromHints.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from lbbench.engines.timeline.cluster import Endpoints


class NodeRules(NamedTuple):
    """What the rules of a node say about the Service."""

    listed: tuple[int, ...]  # numbers of the targets, ascending
    drops: bool = False  # nothing is listed and packets are dropped; else they are rejected
    ready_here: bool = False  # Local: healthCheckNodePort answers 200


class Policy:
    """Where everybody is, and how kube-proxy chooses among them.

    Parameters
    ----------
    target_node, zones
        The node of every target; the zone of every node, "" where there is none.
    local
        externalTrafficPolicy Local.
    topology
        ``zone`` (PreferSameZone) or ``node`` (PreferSameNode, which falls back to the zone).
    """

    def __init__(
        self,
        target_node: Sequence[int],
        zones: Sequence[str],
        *,
        local: bool,
        topology: Literal["none", "zone", "node"],
    ) -> None:
        self.target_node = target_node
        self.zones = zones
        self.local = local
        self.topology = topology

    def rules(self, endpoints: Endpoints, node: int) -> NodeRules:
        """Return what node ``node`` lists when the API lists ``endpoints``."""
        if self.local:
            return self._local(endpoints, node)
        if endpoints.ready:
            return NodeRules(self._near(endpoints.ready, node))
        return NodeRules(endpoints.draining)

    def _local(self, endpoints: Endpoints, node: int) -> NodeRules:
        """Only what is here. A Service with endpoints elsewhere drops, one without any rejects."""
        ready = self._on(endpoints.ready, node)
        listed = ready or self._on(endpoints.draining, node)
        somewhere = bool(endpoints.ready or endpoints.draining)
        return NodeRules(listed, drops=somewhere and not listed, ready_here=bool(ready))

    def _near(self, ready: tuple[int, ...], node: int) -> tuple[int, ...]:
        if self.topology == "node":
            here = self._on(ready, node)
            if here:
                return here
        if self.topology != "none":
            zones = [self.zones[self.target_node[number]] for number in ready]
            zone = self.zones[node]
            # one endpoint without a zone has no hint, and then no hint counts
            if zone in zones and "" not in zones:
                pairs = zip(ready, zones, strict=True)
                return tuple(number for number, its_zone in pairs if its_zone == zone)
        return ready

    def _on(self, numbers: tuple[int, ...], node: int) -> tuple[int, ...]:
        return tuple(number for number in numbers if self.target_node[number] == node)
