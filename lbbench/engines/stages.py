"""Which balancer each stage uses, with which options."""

from __future__ import annotations

from typing import Any

from lbbench.balancers.base import Balancer, find
from lbbench.errors import RunError
from lbbench.model.scenario import Scenario

MODES = {
    "iptables": "iptables",
    "iptables_nth": "iptables_nth",
    "nftables": "nft_numgen",
    "ipvs": "ipvs",
    "maglev": "maglev",
}
"""kube-proxy's modes (and its replacement's) by the balancer that implements them."""


def azure_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer that picks a node for a new connection, and its options."""
    stage = scenario.stages.azure_lb
    balancer = _find(scenario, stage.balancer or "azure_lb", "stages.azure_lb.balancer")
    given = {"mapping": stage.mapping} if "mapping" in balancer.params else {}
    return balancer, balancer.options(given)


def node_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer of every node's kube-proxy, and its options."""
    stage = scenario.stages.kube_proxy
    balancer = _find(scenario, MODES.get(stage.mode, stage.mode), "stages.kube_proxy.mode")
    affinity = float(stage.affinity_timeout) if stage.session_affinity == "ClientIP" else 0.0
    offered = {
        "probability_format": stage.probability_format,
        "probabilities": stage.probabilities,
        "affinity_timeout": affinity,
    }
    if affinity and "affinity_timeout" not in balancer.params:
        raise RunError(
            f"{scenario.name}: stages.kube_proxy.session_affinity = ClientIP is not simulated for "
            f"mode {stage.mode}; use mode iptables"
        )
    given = {name: value for name, value in offered.items() if name in balancer.params}
    return balancer, balancer.options(given)


def ingress_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer that an ingress worker asks per attempt, and its options.

    The service path has none; `random` stands in, so that one compiled kernel serves them all.
    """
    stage = scenario.stages.ingress
    if scenario.path == "service":
        balancer = find("random")
        return balancer, balancer.options({})
    balancer = _find(scenario, stage.balancer, "stages.ingress.balancer")
    offered = {
        "start": stage.start,
        "subset_size": stage.subset_size,
        "change_on_failure": stage.change_on_failure,
    }
    given = {name: value for name, value in offered.items() if name in balancer.params}
    return balancer, balancer.options({**given, **dict(stage.options)})


def _find(scenario: Scenario, name: str, place: str) -> Balancer:
    try:
        return find(name, scenario.folder)
    except Exception as error:
        raise type(error)(f"{scenario.name}: {place} = {name}: {error}") from error
