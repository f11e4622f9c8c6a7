"""Which balancer each stage uses, with which options."""

from __future__ import annotations

from typing import Any

from lbbench.balancers.base import Balancer, find
from lbbench.balancers.fault import blaming
from lbbench.balancers.releases import SEED, for_release
from lbbench.errors import BalancerError, RunError
from lbbench.model.scenario import Scenario

MODES = {
    "iptables": "iptables",
    "iptables_nth": "iptables_nth",
    "nftables": "nft_numgen",
    "ipvs": "ipvs_",
    "maglev": "maglev",
}
"""kube-proxy's modes (and its replacement's) by the balancer that implements them.

The name of IPVS's goes on with the scheduler.
"""


def azure_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer that picks a node for a new connection, and its options."""
    stage = scenario.stages.azure_lb
    balancer = _find(scenario, stage.balancer or "azure_lb", "stages.azure_lb.balancer")
    needs = balancer.done or balancer.cookies or balancer.scope != "worker"
    if balancer.level != "l4" and (needs or balancer.sees != "own"):
        raise RunError(
            f"{scenario.name}: stages.azure_lb.balancer = {balancer.name}: needs requests, keys or "
            "answers, which layer 4 does not see; use azure_lb, round_robin, random, least_conn "
            "or p2c"
        )
    given = {"mapping": stage.mapping} if "mapping" in balancer.params else {}
    return balancer, balancer.options(given)


def node_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer of every node's kube-proxy, and its options: all know affinity."""
    stage = scenario.stages.kube_proxy
    name = MODES[stage.mode]
    balancer = find(name + stage.scheduler if stage.mode == "ipvs" else name)
    affinity = float(stage.affinity_timeout) if stage.session_affinity == "ClientIP" else 0.0
    offered = {
        "probability_format": stage.probability_format,
        "probabilities": stage.probabilities,
        "affinity_timeout": affinity,
        "destination": scenario.cluster.vip,
    }
    given = {name: value for name, value in offered.items() if name in balancer.params}
    taken = sorted(set(offered) & set(stage.options))
    if taken:
        raise RunError(
            f"{scenario.name}: stages.kube_proxy.options.{taken[0]}: has a key of its own, under "
            "stages.kube_proxy or cluster; use that"
        )
    try:
        options = balancer.options({**given, **stage.options})
        balancer.state(options, ())
    except BalancerError as error:
        raise BalancerError(f"{scenario.name}: stages.kube_proxy.options: {error}") from error
    return balancer, options


def ingress_stage(scenario: Scenario) -> tuple[Balancer, dict[str, Any]]:
    """Return the balancer that an ingress worker asks per attempt, and its options.

    The service path has none; `random` stands in, so that one compiled kernel serves them all.
    """
    stage = scenario.stages.ingress
    if scenario.path == "service":
        balancer = find("random")
        return balancer, balancer.options({})
    try:
        name = for_release(stage.balancer, stage.release)
    except BalancerError as error:
        raise BalancerError(f"{scenario.name}: stages.ingress.release: {error}") from error
    balancer = _find(scenario, name, "stages.ingress.balancer")
    if balancer.level == "l4":
        raise RunError(
            f"{scenario.name}: stages.ingress.balancer = {balancer.name}: is a layer 4 balancer "
            "that picks for connections; see lbbench balancers for those of level l7"
        )
    if stage.change_on_failure and balancer.cookies and "change_on_failure" not in balancer.params:
        raise RunError(
            f"{scenario.name}: stages.ingress.change_on_failure = true: balancer {balancer.name} "
            "pays no heed to failures; remove it"
        )
    offered = {
        "start": "first" if stage.release == SEED else stage.start,
        "subset_size": stage.subset_size,
        "change_on_failure": stage.change_on_failure,
    }
    given = {name: value for name, value in offered.items() if name in balancer.params}
    try:
        options = balancer.options({**given, **dict(stage.options)})
        with blaming(balancer):
            balancer.state(options, ())
    except BalancerError as error:
        raise BalancerError(f"{scenario.name}: stages.ingress.options: {error}") from error
    return balancer, options


def hash_template(scenario: Scenario, pod: Balancer) -> str:
    """Return what the ingress hashes: the balancer's own template, else the scenario's."""
    return pod.hash_by or scenario.stages.ingress.hash_by


def _find(scenario: Scenario, name: str, place: str) -> Balancer:
    try:
        return find(name, scenario.folder)
    except Exception as error:
        raise type(error)(f"{scenario.name}: {place} = {name}: {error}") from error
