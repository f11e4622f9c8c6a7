"""From the client to the Service's endpoint: load balancer, kube-proxy, NAT, delivery."""

from __future__ import annotations

from dataclasses import replace

from lbbench.packetwalk import rules
from lbbench.packetwalk.choices import masquerade_port, pick_endpoint, pick_node
from lbbench.packetwalk.hop import Decision, Flow
from lbbench.packetwalk.names import some
from lbbench.packetwalk.site import Target
from lbbench.packetwalk.trail import Trail
from lbbench.packetwalk.transit import carried, routed

SYN_RETRIES_S = (1, 3, 7, 15, 31, 63)  # Linux: the time-out doubles from 1 s

MODEL = "Azure's hash and its mapping to nodes are not public: what is computed here is a model."

CHAINED = ("iptables", "iptables_nth")

DATA_PLANE = {
    "nftables": "kube-proxy (nftables)",
    "ipvs": "kube-proxy (IPVS)",
    "maglev": "kube-proxy replacement (Maglev)",
}


def sent(trail: Trail, dns: str | None) -> None:
    """Add the client's SYN."""
    looked_up = f"{dns} resolves to {trail.flow.destination}. " if dns else ""
    trail.add(
        "client",
        "client",
        "TCP",
        f"{looked_up}SYN to the load balancer's address.",
    )


def balanced(trail: Trail, given: tuple[int, str] | None) -> int:
    """Add the load balancer's choice; return the entry node, -1 when none is healthy."""
    site = trail.site
    node, decision = pick_node(site, trail.flow, trail.seed, given)
    if decision.given is not None and node not in site.healthy():
        decision = replace(decision, given=f"{decision.given}, although its probe fails")
    trail.add(
        "azure_lb",
        "Azure Load Balancer",
        f"rule {site.front.rule}",
        "A new flow gets a node; its later packets stay there. Floating IP (DSR) is on: no address "
        "is rewritten, the node sees the VIP.",
        decision=decision,
        latency=0.5 * site.client_rtt_s,
        notes=[_probe(trail), *([MODEL] if site.front.balancer.name == "azure_lb" else [])],
    )
    return node


def _probe(trail: Trail) -> str:
    site, front = trail.site, trail.site.front
    healthy = site.healthy()
    out = [node.name for i, node in enumerate(site.nodes) if i not in healthy]
    every = f"every {front.interval_s:g} s"
    if front.probe == "http":
        port = front.probe_port or "of the Service's health check"
        answers = f"200 from {some([site.nodes[i].name for i in healthy])}"
        if out:
            answers += f", 503 from {some(out)} (no local endpoint)"
        return f"Probe: HTTP port {port} /healthz {every}; {answers}."
    port = front.probe_port or "of the Service on the node"
    return (
        f"Probe: TCP port {port} {every}, {front.threshold} in a row decide; "
        f"healthy: {some([site.nodes[i].name for i in healthy])}."
    )


def served(trail: Trail, node: int, given: tuple[str, str] | None) -> tuple[Target, Flow] | None:
    """Add kube-proxy's hops on ``node``; return the endpoint and the translated flow.

    None: the packet was dropped, because the node has no endpoint that it may use.
    """
    service = trail.site.service
    listed = trail.site.endpoints(node)
    chained = service.mode in CHAINED
    if chained:
        _entered(trail, node, has_endpoints=bool(listed))
    if not listed:
        _dropped(trail, node)
        return None
    position, decision = pick_endpoint(trail.site, node, trail.flow, trail.seed, given)
    if position < 0:
        _unmatched(trail, node, decision)
        return None
    target = listed[position]
    original = trail.flow
    translated = replace(original, destination=target.ip, destination_port=target.port)
    if chained:
        trail.add(
            "endpoints",
            trail.name(node),
            "kube-proxy (iptables)",
            "Chooses an endpoint for the new flow"
            + (", among those of this node only." if trail.site.local else "."),
            chain=rules.balancing_chain(service),
            rules=rules.balancing(service, listed, position),
            decision=decision,
        )
        trail.add(
            "dnat",
            trail.name(node),
            "kube-proxy (iptables)",
            "DNAT: the destination becomes the endpoint.",
            chain=rules.endpoint(service, target),
            rules=rules.translating(service, target),
            flow=translated,
        )
    else:
        _chosen_otherwise(trail, node, decision, translated)
    routed(trail, node, target)
    _left(trail, node, target, original)
    return target, original


def _entered(trail: Trail, node: int, *, has_endpoints: bool) -> None:
    """Add KUBE-SERVICES and the chain for traffic from outside, which marks or does not."""
    service = trail.site.service
    trail.add(
        "services",
        trail.name(node),
        "kube-proxy (iptables)",
        "nat PREROUTING -> KUBE-SERVICES: only the first packet of a flow comes here, conntrack "
        "repeats the result for all others.",
        chain="KUBE-SERVICES",
        rules=[rules.entrance(service)],
    )
    local = trail.site.local
    trail.add(
        "external",
        trail.name(node),
        "kube-proxy (iptables)",
        "externalTrafficPolicy Local: no mark, so no SNAT; the client's address stays visible."
        if local
        else "externalTrafficPolicy Cluster: marked 0x4000 for SNAT, because the pod may be on "
        "another node and its answer must come back through this one.",
        chain=rules.chain(service, "FW" if service.naming == "old" else "EXT"),
        rules=rules.external(service, has_endpoints=has_endpoints),
        mark=None if local else rules.MASQUERADE_MARK,
        notes=() if local else trail.site.notes("mark"),
    )


def _chosen_otherwise(trail: Trail, node: int, decision: Decision, translated: Flow) -> None:
    """Add the one hop of a data plane that is not made of chains."""
    service = trail.site.service
    trail.add(
        "endpoints",
        trail.name(node),
        DATA_PLANE[service.mode],
        f"{service.vip}:{service.port} is looked up, an endpoint chosen for the new flow, the "
        "destination rewritten (DNAT).",
        decision=decision,
        flow=translated,
        mark=0 if trail.site.local else rules.MASQUERADE_MARK,
        notes=[]
        if service.mode != "maglev"
        else [
            "Such a data plane keeps flows in a table of its own; conntrack's format is used here."
        ],
    )


def _dropped(trail: Trail, node: int) -> None:
    service = trail.site.service
    old = service.naming == "old"
    what = "This node has no local endpoint: DROP, without an RST."
    if old and service.mode in CHAINED:
        chain: str | None = rules.chain(service, "XLB")
    else:
        chain = "KUBE-EXTERNAL-SERVICES" if service.mode in CHAINED else None
    trail.add(
        "dropped",
        trail.name(node),
        "kube-proxy (iptables)" if service.mode in CHAINED else DATA_PLANE[service.mode],
        what,
        chain=chain,
        rules=rules.dropping(service) if service.mode in CHAINED else (),
        mark=rules.DROP_MARK if old else None,
        notes=[
            "A dropped packet leaves no conntrack entry.",
            *(trail.site.notes("mark") if old else ()),
        ],
    )
    _given_up(trail)


def _unmatched(trail: Trail, node: int, decision: Decision) -> None:
    """Add the end of a packet that no rule of a chain matched."""
    service = trail.site.service
    trail.add(
        "dropped",
        trail.name(node),
        "kube-proxy (iptables)",
        "No rule matched: the probabilities as written leave a rest. The packet keeps the VIP as "
        "its destination, which nobody answers.",
        chain=rules.balancing_chain(service),
        rules=rules.balancing(service, trail.site.endpoints(node), len(decision.draws)),
        decision=decision,
    )
    _given_up(trail)


def _given_up(trail: Trail) -> None:
    limit = trail.site.connect_timeout_s
    retries = [str(at) for at in SYN_RETRIES_S if at < limit]
    again = f"sends its SYN again after {', '.join(retries)} s and " if retries else ""
    trail.add(
        "timeout",
        "client",
        "TCP",
        f"Nothing comes back. The client {again}gives up after {limit:g} s.",
        mark=0,
        latency=limit - trail.time,
    )


def _left(trail: Trail, node: int, target: Target, original: Flow) -> None:
    """Add POSTROUTING and the way to the endpoint; the entry node's entry is confirmed here."""
    site, service = trail.site, trail.site.service
    listing = site.listing
    here = site.nodes[node]
    marked = not site.local
    flow = trail.flow
    notes: list[str] = []
    if marked:
        source = here.bridge if target.node == node else here.address
        port = masquerade_port(site, node, flow.source_port, trail.seed)
        flow = replace(flow, source=source, source_port=port)
        interface = "cbr0" if target.node == node else "eth0"
        what = f"MASQUERADE: the source becomes {source}, the address of {interface}. "
        if port == original.source_port:
            what += "The source port is free and kept."
        else:
            what += "The source port is drawn (--random-fully)."
        notes = ["The mark belongs to the packet; mark=0 in the entry is the connection's own."]
    else:
        what = "No mark, no SNAT: the source stays the client."
    entry = trail.tracked(node, original, flow, "ESTABLISHED", listing.established_s)
    trail.add(
        "postrouting",
        here.name,
        "kube-proxy (iptables)" if service.mode in CHAINED else DATA_PLANE[service.mode],
        what,
        chain="KUBE-POSTROUTING" if service.mode in CHAINED else None,
        rules=rules.postrouting(service, marked=marked) if service.mode in CHAINED else (),
        flow=flow,
        mark=0 if service.naming == "new" else None,
        conntrack=[entry],
        notes=[*notes, "The conntrack entry is shown as it stands once the connection is in use."],
    )
    carried(trail, node, target, "ESTABLISHED", listing.established_s)
    inner = trail.one_way(node, target.node)[1]
    seen = "the client" if not marked else "this node" if target.node == node else f"{here.name}"
    pod = site.controller is None
    trail.add(
        "pod" if pod else "nginx",
        trail.name(target.node),
        f"{'pod' if pod else 'nginx pod'} {target.name}",
        f"SYN at {target.address}; the peer is {trail.flow.source} ({seen})"
        + (", never the client." if marked else "."),
        latency=inner,
        mark=0,
        notes=[target.remark] if target.remark else [],
    )
