"""The way back: conntrack undoes the translations, and the answer skips the load balancer."""

from __future__ import annotations

from lbbench.packetwalk.hop import Flow
from lbbench.packetwalk.site import Target
from lbbench.packetwalk.trail import Trail
from lbbench.packetwalk.transit import fabric, forwarded


def returned(trail: Trail, node: int, target: Target, original: Flow, *, what: str) -> None:
    """Add the hops of an answer of ``target`` to the client, through the entry ``node``.

    ``original`` is the flow as the client sent it.
    """
    site = trail.site
    trail.direction = "reply"
    inner = trail.one_way(node, target.node)[1]
    reply = trail.flow.reversed()
    trail.add(
        "reply",
        trail.name(target.node),
        f"pod {target.name}",
        f"{what} Default route of the pod: cbr0 of its node.",
        flow=reply,
        mark=0,
    )
    if target.node != node:
        forwarded(trail, target.node, None, into="cbr0 -> eth0")
        fabric(trail, target.node, node, reply=True)
    trail.add(
        "untranslate",
        trail.name(node),
        "conntrack",
        _undone(trail, node, target),
        flow=original.reversed(),
        latency=inner,
    )
    trail.add(
        "client_reply",
        "client",
        "Azure network",
        "Direct server return: the source is the VIP already, so the packet goes straight to the "
        "client and not through the load balancer.",
        latency=0.5 * site.client_rtt_s,
    )
    trail.direction = "request"


def _undone(trail: Trail, node: int, target: Target) -> str:
    site = trail.site
    vip = f"{site.service.vip}:{site.service.port}"
    what = (
        f"The reply half of the entry matches; no rule is evaluated. The source becomes {vip} again"
    )
    if not site.local:
        what += ", the destination the client"
    if target.node != node:
        what += f". Only {trail.name(node)} can do this: it did the NAT"
    return what + "."
