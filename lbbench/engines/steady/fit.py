"""Which plans are steady, and the run of one."""

from __future__ import annotations

from lbbench.balancers.base import registry
from lbbench.engines.plan import Plan

ENDLESS = 2**59
"""Room at a pod that is never used up."""


def why_not(plan: Plan) -> str | None:
    """Return why ``plan`` is not for the steady kernel, as a clause; None: it is."""
    f, lists = plan.facts, plan.lists
    whole = bool((lists.pod_seen["n"] == len(f.pod)).all()) if f.ingress else True
    reasons = {
        "the cluster changes": len(f.step) > 0,
        "there is a canary": f.backends > 1 or not whole,
        "users wait for their answers": f.users > 0,
        "requests follow answers": f.chained == 1,
        "pods share their cores": f.shared == 1,
        "pods have a CPU quota": f.quota > 0.0,
        "queues are bounded": bool((f.pod["room"] < ENDLESS).any()),
        "connections carry several requests at once": f.streams > 1,
        "the balancer sees the pods": f.sees_pods == 1 or f.sees_work > 0,
        "layer 4 may look at the open connections": _looks_at_layer_4(plan),
        "a stage has nobody to send to": _nobody(plan),
        "a pod does not work": bool((f.pod["speed"] <= 0.0).any()),
    }
    return next((text for text, holds in reasons.items() if holds), None)


def _nobody(plan: Plan) -> bool:
    lists = plan.lists
    nodes = lists.azure[0, : lists.azure_seen[0].n]
    targets = lists.node_seen["n"][nodes]
    return len(nodes) == 0 or bool((targets == 0).any()) or len(plan.facts.pod) == 0


def _looks_at_layer_4(plan: Plan) -> bool:
    """Tell whether a balancer of layer 4 may look at how many connections are open."""
    return any(registry().get(item.name) is not item or item.level != "l4" or item.reads_busy
               for item in (plan.azure, plan.node))  # fmt: skip


def is_single(plan: Plan) -> bool:
    """Tell whether every request of a steady ``plan`` has a connection of its own, seen by nobody.

    Then layer 4 can be done by whole arrays. Cookies, and sessions or keys whose pods are
    remembered, look at answers; jitter changes the order on the way.
    """
    traffic = plan.scenario.traffic
    alone = traffic.connections.requests == 1 and traffic.trace is None
    return alone and plan.units == 0 and not plan.facts.cookies and plan.facts.path_jitter <= 0.0
