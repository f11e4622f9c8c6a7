"""From a node to a pod, on the same node or through the cloud's network."""

from __future__ import annotations

from lbbench.packetwalk.hop import ConntrackEntry, Flow
from lbbench.packetwalk.site import Target
from lbbench.packetwalk.trail import Trail


def routed(trail: Trail, here: int, target: Target, *, from_pod: bool = False) -> None:
    """Add the routing decision on node ``here`` for a packet to ``target``."""
    site = trail.site
    node = site.nodes[here]
    if target.node == here and from_pod:
        what = f"{target.ip} is on the same bridge: cbr0 switches it, nothing is routed."
    elif target.node == here:
        network = node.pod_network or f"{target.ip}/32"
        what = f"{network} is on this node: out through cbr0."
    else:
        via = f" via {site.gateway}" if site.gateway else ""
        what = (
            f"No route of this node covers {target.ip}: the default route{via} leads out through "
            "eth0 into the cloud's network. No encapsulation."
        )
    trail.add("route", node.name, "routing", what)


def fabric(trail: Trail, here: int, there: int, *, reply: bool = False) -> None:
    """Add the way through the cloud's network between two nodes."""
    site = trail.site
    node = site.nodes[there]
    if reply:
        what = f"{trail.flow.destination} is the node's own address: delivered to {node.name}."
    elif node.pod_network:
        table = f" {site.route_table}" if site.route_table else ""
        what = (
            f"Route table{table} on the subnet: {node.pod_network} -> VirtualAppliance "
            f"{node.address}, which is {node.name}."
        )
    else:
        what = f"The network delivers to {node.name} ({node.address}), which has this pod."
    notes: tuple[str, ...] = ()
    if not reply and site.route_table:
        notes = ("Without this route table on the subnet, pods of two nodes cannot talk.",)
    trail.add(
        "fabric",
        "Azure network",
        "route table" if not reply else "network",
        what,
        latency=trail.one_way(here, there)[0],
        notes=notes,
    )


def forwarded(trail: Trail, node: int, entry: ConntrackEntry | None, *, into: str) -> None:
    """Add the plain forwarding on the pod's node; ``entry`` None: an answer."""
    why = (
        "The destination is no Service address: no rule matches, no NAT."
        if entry
        else "It belongs to a tracked flow: no rule is evaluated."
    )
    trail.add(
        "forward",
        trail.name(node),
        "forwarding",
        f"Forwarded {into}. {why}",
        conntrack=[] if entry is None else [entry],
    )


def carried(trail: Trail, here: int, target: Target, state: str, timeout_s: int) -> None:
    """Take a packet from node ``here`` to the doorstep of ``target``: fabric and forwarding.

    The other node keeps an entry of its own, with the same addresses in both directions.
    """
    if target.node == here:
        return
    fabric(trail, here, target.node)
    flow: Flow = trail.flow
    entry = trail.tracked(target.node, flow, flow, state, timeout_s)
    forwarded(trail, target.node, entry, into="eth0 -> cbr0")
