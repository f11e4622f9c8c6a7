"""The walk of one packet: which hops it takes from the client to a pod and back.

``walk`` follows the first packet of a new connection through a ``Site`` (a preset of `seed`, or a
scenario by `scenario_site`) hop by hop: rules, choices, translations, conntrack entries, latency.
Nothing queues: it is the only packet in the system.
"""

from __future__ import annotations

from lbbench.errors import InputError
from lbbench.packetwalk.back import returned
from lbbench.packetwalk.entry import balanced, sent, served
from lbbench.packetwalk.hop import ConntrackEntry, Decision, Flow, Hop, Rule, Walk, join_address
from lbbench.packetwalk.names import client_of, node_of, pod_of, some
from lbbench.packetwalk.nginx import proxied
from lbbench.packetwalk.site import Site, Target
from lbbench.packetwalk.trail import Trail

__all__ = ["ConntrackEntry", "Decision", "Flow", "Hop", "Rule", "Walk", "walk"]


def walk(
    site: Site,
    *,
    client: str | None = None,
    node: str | None = None,
    pod: str | None = None,
    seed: int | None = None,
) -> Walk:
    """Return the walk of one packet through ``site``.

    What is not named is computed (the load balancer's hash) or drawn from the named streams of
    ``seed``. A site with a record of an original walk repeats what was observed there, as long as
    everything before agrees with it and no ``seed`` is given.

    Parameters
    ----------
    client
        ``IP:PORT`` of the sender.
    node
        Entry node: its name, address or number.
    pod
        The pod that serves: its name or address.
    seed
        Seed of the draws; None takes the site's.

    Raises
    ------
    InputError
        When a name is unknown, or the pod cannot be reached through the node.
    """
    source, port = site.client if client is None else client_of(site, client)
    repeats = site.record is not None and seed is None and (source, port) == site.record.client
    wanted = None if pod is None else pod_of(site, pod)
    entry = _entry(site, node, wanted, repeats=repeats)
    trail = Trail(
        site,
        site.seed if seed is None else seed,
        Flow(source, port, site.service.vip, site.service.port),
    )
    chosen = _pod(site, wanted, None if entry is None else entry[0], repeats=repeats)
    controller = site.controller
    sent(trail, controller.host if controller is not None and site.record is not None else None)
    at = balanced(trail, entry)
    reached = served(trail, at, chosen if controller is None else None)
    if reached is None:
        return _ended(trail, at, None, None)
    target, original = reached
    if controller is None:
        _exchange(trail, at, target, original)
        return _ended(trail, at, target, None)
    _opened(trail, at, target)
    server, line = proxied(trail, controller, target, chosen)
    returned(trail, at, target, original, what="nginx passes the answer on.")
    return _ended(trail, at, server, line)


def _entry(
    site: Site, node: str | None, wanted: Target | None, *, repeats: bool
) -> tuple[int, str] | None:
    """Return (entry node, who chose it), None when the load balancer's hash is to choose."""
    only_here = site.local and site.controller is None and wanted is not None
    if node is not None:
        number = node_of(site, node)
        listed = site.endpoints(number)
        if only_here and wanted not in listed:
            has = some([item.name for item in listed]) or "none"
            raise InputError(
                f"--node {node} --pod {wanted.name if wanted else ''}: under externalTrafficPolicy "
                f"Local a node reaches only its own pods, here {has}; leave one of the two out"
            )
        return number, "--node"
    if only_here and wanted is not None:
        return wanted.node, "--pod, which under Local only its own node reaches"
    if repeats and site.record is not None:
        return site.record.node, f"observed in {site.record.source}"
    return None


def _pod(
    site: Site, wanted: Target | None, node: int | None, *, repeats: bool
) -> tuple[str, str] | None:
    """Return (address of the pod, who chose it), None when it is to be drawn."""
    if wanted is not None:
        return wanted.address, "--pod"
    if repeats and site.record is not None and node == site.record.node:
        return site.record.pod, f"observed in {site.record.source}"
    return None


def _opened(trail: Trail, node: int, target: Target) -> None:
    """Add the rest of the handshake and the request: later packets of the tracked flow."""
    site = trail.site
    trail.add(
        "request",
        trail.name(target.node),
        f"{'pod' if site.controller is None else 'nginx pod'} {target.name}",
        "SYN-ACK back, ACK and GET / in: one round trip. The flow is tracked: same node, same "
        "endpoint, no rule is evaluated.",
        latency=site.client_rtt_s + trail.rtt(node, target.node) + site.path_delay_s,
    )


def _exchange(trail: Trail, node: int, target: Target, original: Flow) -> None:
    """Add the answer to the SYN, hop by hop, then request, service and answer in one hop each."""
    site = trail.site
    inside = trail.flow
    returned(trail, node, target, original, what="SYN-ACK.")
    half = 0.5 * (site.client_rtt_s + trail.rtt(node, target.node))
    pod = f"pod {target.name}"
    trail.add(
        "request",
        trail.name(target.node),
        pod,
        "ACK and GET / arrive. The flow is tracked: same node, same pod, no rule is evaluated.",
        flow=inside,
        latency=half + site.path_delay_s,
    )
    trail.add(
        "served",
        trail.name(target.node),
        pod,
        "Serves the request (mean service time, no queue).",
        latency=target.service_s,
    )
    trail.direction = "reply"
    trail.add(
        "answer",
        "client",
        "TCP",
        "The answer arrives, translated back as the SYN-ACK was.",
        flow=original.reversed(),
        latency=half,
    )


def _ended(trail: Trail, node: int, pod: Target | None, line: str | None) -> Walk:
    site = trail.site
    first = trail.hops[0].after
    return Walk(
        name=site.name,
        path=site.path,
        client=join_address(first.source, first.source_port),
        vip=join_address(first.destination, first.destination_port),
        node=trail.name(node),
        pod=None if pod is None else pod.address,
        seed=trail.seed,
        outcome="dropped" if pod is None else "delivered",
        hops=tuple(trail.hops),
        access_log=line,
    )
