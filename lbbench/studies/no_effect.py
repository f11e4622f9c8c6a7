"""Settings of a scenario that change nothing, as another one is off or nobody looks at them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.engines.plan import Plan
from lbbench.engines.stages import ingress_stage, node_stage
from lbbench.model.mistakes import some
from lbbench.model.places import as_shown
from lbbench.model.stages import KubeProxy

SHOWN = 5


def without_effect(plan: Plan) -> list[str]:
    """Return a sentence for every setting that somebody may believe in."""
    return [*_scheduler(plan), *_weights(plan), *_switched_off(plan)]


def _scheduler(plan: Plan) -> list[str]:
    stage = plan.scenario.stages.kube_proxy
    if stage.mode == "ipvs" or stage.scheduler == KubeProxy().scheduler:
        return []
    said = (
        f"stages.kube_proxy.scheduler = {stage.scheduler} has no effect: the mode is {stage.mode}; "
        "set stages.kube_proxy.mode to ipvs"
    )
    return [said]


def _weights(plan: Plan) -> list[str]:
    """Say when pods have unlike weights and whoever picks them does not go by weights."""
    pods = plan.topology.pods
    if len({pod.weight for pod in pods}) < 2:
        return []
    ingress = plan.scenario.path == "ingress"
    balancer, options = (ingress_stage if ingress else node_stage)(plan.scenario)
    given = [Endpoint(pod.address, pod.weight) for pod in pods]
    if not balancer.compiled or _differ(balancer, options, given):
        return []
    way = "nginx_round_robin, haproxy_roundrobin" if ingress else "mode: ipvs with scheduler: wrr"
    said = (
        f"cluster.pods: the weights have no effect: {balancer.name} does not go by weights; use "
        f"one that does, such as {way}"
    )
    return [said]


def _differ(balancer: Balancer, options: dict[str, Any], given: Sequence[Endpoint]) -> bool:
    """Tell whether the balancer's state is another one when all weigh 1."""
    even = [Endpoint(item.address) for item in given]
    one, other = (balancer.state(options, list_) for list_ in (given, even))
    return any(not np.array_equal(getattr(one, name), getattr(other, name)) for name in one._fields)


def _switched_off(plan: Plan) -> list[str]:
    """Say which options of the balancer wait for another one."""
    given = plan.scenario.stages.ingress.options
    if plan.scenario.path != "ingress" or not given:
        return []
    balancer, options = ingress_stage(plan.scenario)
    waiting: dict[str, list[str]] = {}
    for name in given:
        switch = balancer.switches.get(name)
        if switch is not None and options[switch] == balancer.params[switch]:
            waiting.setdefault(switch, []).append(name)
    return [
        f"stages.ingress.options: {some(sorted(names), SHOWN)} ha{'s' if len(names) == 1 else 've'}"
        f" no effect while {switch} is {as_shown(balancer.params[switch])}"
        for switch, names in waiting.items()
    ]
