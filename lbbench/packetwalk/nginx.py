"""Inside the ingress controller: worker, virtual host, Lua balancer, a second connection."""

from __future__ import annotations

import hashlib
import math

from lbbench.packetwalk.choices import pick_pod, pick_worker, second_port
from lbbench.packetwalk.hop import Flow, join_address
from lbbench.packetwalk.site import Controller, Sample, Target
from lbbench.packetwalk.trail import Trail
from lbbench.packetwalk.transit import carried, routed

EPOCH = "01/Jan/1970:00:00:00 +0000"  # a scenario begins at second 0 of no particular day
USER_AGENT = "lbbench"


def proxied(
    trail: Trail, controller: Controller, replica: Target, given: tuple[str, str] | None
) -> tuple[Target, str]:
    """Add the hops from the accepted connection to the pod's answer; return pod and log line."""
    site = trail.site
    first = trail.flow
    worker = pick_worker(controller, replica, first, trail.seed)
    trail.add(
        "worker",
        trail.name(replica.node),
        "nginx",
        f"SO_REUSEPORT: a hash of the 4-tuple gives the connection to worker {worker} of "
        f"{controller.workers}, for as long as it lasts.",
    )
    arrived = trail.time
    seen = first.source
    what = (
        f"Host {controller.host} -> server block -> location / -> proxy_upstream_name "
        f"{controller.upstream}; X-Forwarded-For: {seen}."
    )
    trail.add(
        "http",
        trail.name(replica.node),
        f"nginx worker {worker}",
        what,
        latency=controller.cpu_per_request_s,
        notes=()
        if site.local
        else ("After SNAT nginx does not see the client: the header names a node instead.",),
    )
    pod, decision = pick_pod(controller, replica, worker, seen, trail.seed, given)
    trail.add(
        "balancer",
        trail.name(replica.node),
        f"nginx worker {worker}, {_language(controller)}{controller.balancer.name}",
        "Picks a pod for this request; the next request on the same connection gets its own pick."
        + (" It brings no cookie: the answer sets one." if controller.balancer.cookies else ""),
        decision=decision,
    )
    picked = trail.time
    port = second_port(controller, replica, worker, trail.seed)
    answered = _second_leg(trail, controller, replica, pod, port, seen)
    line = _log_line(trail, controller, seen, pod, (arrived, picked, answered))
    trail.direction = "request"
    trail.flow = first
    return pod, line


def _language(controller: Controller) -> str:
    """Return the word that tells ingress-nginx's own balancers from those put in their place."""
    return "Lua " if "/lua/" in controller.balancer.source else ""


def _second_leg(
    trail: Trail, controller: Controller, replica: Target, pod: Target, port: int, seen: str
) -> float:
    """Add nginx's own connection to the pod, the service and the answer; return when it came."""
    site = trail.site
    listing = site.listing
    flow = Flow(replica.ip, port, pod.ip, pod.port)
    state, timeout = listing.second_state, listing.second_s
    trail.add(
        "connect",
        trail.name(replica.node),
        "nginx",
        "A second TCP connection, of the pod network's addresses only"
        + (
            f" (a kept one would be reused: up to {controller.keepalive} per worker)."
            if controller.keepalive
            else "."
        ),
        flow=flow,
        conntrack=[trail.tracked(replica.node, flow, flow, state, timeout)],
    )
    routed(trail, replica.node, pod, from_pod=True)
    carried(trail, replica.node, pod, state, timeout)
    trail.add(
        "pod",
        trail.name(pod.node),
        f"pod {pod.name}",
        f"SYN at {pod.address}; the peer is {replica.ip}, the nginx pod.",
        latency=trail.one_way(replica.node, pod.node)[1],
        notes=[pod.remark] if pod.remark else [],
    )
    trail.add(
        "request",
        trail.name(pod.node),
        f"pod {pod.name}",
        "The connection is open; GET / arrives: one round trip for SYN-ACK and request. "
        f"X-Forwarded-For: {seen}.",
        latency=trail.rtt(replica.node, pod.node),
    )
    trail.add(
        "served",
        trail.name(pod.node),
        f"pod {pod.name}",
        "Serves the request (mean service time, no queue).",
        latency=pod.service_s,
    )
    trail.direction = "reply"
    trail.add(
        "answer",
        trail.name(replica.node),
        "nginx",
        "The answer is back at nginx: log phase, after_balance.",
        flow=flow.reversed(),
        latency=0.5 * trail.rtt(replica.node, pod.node),
    )
    return trail.time


def _log_line(
    trail: Trail,
    controller: Controller,
    seen: str,
    pod: Target,
    times: tuple[float, float, float],
) -> str:
    """Return the access-log line in the controller's format."""
    arrived, picked, answered = times
    sample = controller.samples.get(pod.address)
    if sample is None:
        sample = Sample(
            stamp=EPOCH,
            user_agent=USER_AGENT,
            body_bytes=0,
            request_bytes=len(_request(controller.host)),
            request_time_s=_logged(arrived, answered),
            upstream_time_s=_logged(picked, answered),
            request_id=hashlib.sha256(f"{trail.seed} {trail.hops[0].after}".encode()).hexdigest()[
                :32
            ],
        )
    old = controller.release == "0.21"
    who = f"{seen} - [{seen}] - -" if old else f"{seen} - -"
    other = "" if old else " []"
    return (
        f'{who} [{sample.stamp}] "GET / HTTP/1.1" 200 {sample.body_bytes} "-" '
        f'"{sample.user_agent}" {sample.request_bytes} {sample.request_time_s:.3f} '
        f"[{controller.upstream}]{other} {join_address(pod.ip, pod.port)} {sample.body_bytes} "
        f"{sample.upstream_time_s:.3f} 200 {sample.request_id}"
    )


def _request(host: str) -> str:
    return f"GET / HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\n\r\n"


def _logged(begun: float, ended: float) -> float:
    """Return a difference as nginx logs it: both ends are whole milliseconds."""
    return (math.floor(1000.0 * ended) - math.floor(1000.0 * begun)) / 1000.0
