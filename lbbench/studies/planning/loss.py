"""The cluster without a node, pod or zone: missing for good, nothing comes back.

What is left keeps its names and addresses, so hashes see what they saw; an ingress replica goes
with its node. Changes of the timeline that name what is missing go, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

from lbbench.errors import RunError
from lbbench.model.scenario import Scenario
from lbbench.model.topology import PodInfo, Topology, topology

Unit = Literal["pod", "node", "zone"]
UNITS: tuple[Unit, ...] = ("node", "pod", "zone")


class Lost(NamedTuple):
    """A cluster that has lost something.

    Attributes
    ----------
    name
        What is missing: ``node-2``, ``pod-9``, ``zone 3``.
    scenario
        What is left; None when that is no cluster.
    missing
        What such a cluster has none of: ``node``, ``pod``, ``ingress replica``.
    """

    name: str
    scenario: Scenario | None
    missing: str | None = None


def check_loss(scenario: Scenario, unit: str | None) -> None:
    """Refuse a loss that this cluster cannot be asked about.

    Raises
    ------
    RunError
        When there is no such unit, fewer than two nodes, or fewer than two zones; or when the
        timeline scales to a number, which would bring back what is missing.
    """
    if unit is None:
        return
    if unit not in UNITS:
        raise RunError(f"survive = {unit}: is not known; give one of {', '.join(UNITS)}")
    if scenario.traffic.trace is not None and scenario.stages.azure_lb.fixed is not None:
        raise RunError(
            f"{scenario.name}: stages.azure_lb.fixed sends recorded requests to given nodes, so "
            "none may be missing; remove it, or survive"
        )
    refuse_scale(scenario, f"survive = {unit}", "brings back what is missing")
    top = topology(scenario)
    if unit == "node" and len(top.nodes) < 2:
        raise RunError(
            f"{scenario.name}: cluster.nodes = 1: with a single node its loss leaves nothing; give "
            "at least 2 nodes, or survive a pod"
        )
    zones = {node.zone for node in top.nodes}
    if unit == "zone" and (zones == {""} or len(zones) < 2):
        said = (
            "the nodes have no zones"
            if zones == {""}
            else f"all nodes are in zone {next(iter(zones))}"
        )
        raise RunError(
            f"{scenario.name}: {said}, so none can be lost; list the nodes with at least 2 zones, "
            'cluster.nodes: [{name: node-0, zone: "1"}, {name: node-1, zone: "2"}]'
        )


def refuse_scale(scenario: Scenario, asked: str, undone: str) -> None:
    """Refuse a timeline that scales to a number of pods of its own.

    Raises
    ------
    RunError
        With the place of the change and what is ``asked`` that it undoes.
    """
    for i, change in enumerate(scenario.timeline):
        if change.scale is not None:
            raise RunError(
                f"{scenario.name}: timeline[{i}].scale.pods = {change.scale.pods}: sets the number "
                f"of pods during the run, which {undone} ({asked}); remove the change, or plan "
                "without it"
            )


def losses(scenario: Scenario, unit: Unit) -> tuple[Lost, ...]:
    """Return ``scenario`` without every ``unit`` whose loss may be the worst, one of equal ones.

    A unit takes pods, ingress replicas and the nodes they stand on away: one that takes no more of
    anything than another is passed by, and of equal ones the last counts. So it is most often a
    single one, the largest. Where pods take what comes to their own node or zone, sizes of those
    are compared apart. Those that leave nothing come first, then the largest by capacity.
    """
    top = topology(scenario)
    weights = _weights(scenario, top, unit)
    names = list(reversed(weights))
    kept: list[str] = []
    for name in sorted(names, key=lambda name: weights[name].takes, reverse=True):
        if not any(weights[name].is_within(weights[other]) for other in kept):
            kept.append(name)
    found = [_lost(scenario, top, unit, name) for name in kept]
    return tuple(sorted(found, key=lambda lost: lost.scenario is not None))


def sole_ingress(scenario: Scenario, unit: Unit) -> str | None:
    """Return which node or zone holds every ingress replica, as a sentence; None: none does."""
    top = topology(scenario)
    if unit == "pod" or not top.replicas:
        return None
    is_node = unit == "node"
    holders = {
        top.nodes[item.node].name if is_node else f"zone {top.nodes[item.node].zone}"
        for item in top.replicas
    }
    if len(holders) > 1:
        return None
    many = len(top.replicas)
    what = "the only ingress replica" if many == 1 else f"all {many} ingress replicas"
    where = "on another node" if is_node else "in another zone"
    return f"{holders.pop()} holds {what}; add one {where}"


class _Weight(NamedTuple):
    """What goes with a unit; ``place``: only those of one place are compared."""

    takes: tuple[float, int, int]  # capacity of its pods, ingress replicas, nodes of theirs
    place: float

    def is_within(self, other: _Weight) -> bool:
        """Tell whether ``other`` takes at least as much of everything away."""
        pairs = zip(self.takes, other.takes, strict=True)
        return self.place == other.place and all(mine <= its for mine, its in pairs)


def _weights(scenario: Scenario, top: Topology, unit: Unit) -> dict[str, _Weight]:
    """Return what goes with each unit, in the order in which the scenario has them."""

    def of(which: Callable[[PodInfo], bool]) -> float:
        return math.fsum(pod.speed * pod.concurrency for pod in top.pods if which(pod))

    kube = scenario.stages.kube_proxy
    nodes = range(len(top.nodes))
    by_node = [of(lambda pod, i=i: pod.node == i) for i in nodes]  # type: ignore[misc]
    by_zone = {
        zone: math.fsum(by_node[i] for i in nodes if top.nodes[i].zone == zone)
        for zone in {node.zone for node in top.nodes}
    }

    def place(node: int) -> float:
        """Return the capacity of what shares the traffic of a node; 0: of all."""
        if kube.topology == "zone" and unit != "zone":
            return by_zone[top.nodes[node].zone]
        is_local = scenario.path == "service" and kube.external_traffic_policy == "Local"
        return by_node[node] if unit == "pod" and (is_local or kube.topology == "node") else 0.0

    if unit == "pod":
        return {
            pod.name: _Weight((pod.speed * pod.concurrency, 0, 0), place(pod.node))
            for pod in top.pods
        }
    held = [sum(item.node == i for item in top.replicas) for i in nodes]
    if unit == "node":
        return {
            top.nodes[i].name: _Weight((by_node[i], held[i], int(held[i] > 0)), place(i))
            for i in nodes
        }
    found = {}
    for zone in dict.fromkeys(node.zone for node in top.nodes):
        inside = [i for i in nodes if top.nodes[i].zone == zone]
        replicas = sum(held[i] for i in inside)
        takes = (by_zone[zone], replicas, sum(held[i] > 0 for i in inside))
        found[zone] = _Weight(takes, 0.0)
    return found


def _lost(scenario: Scenario, top: Topology, unit: Unit, name: str) -> Lost:
    """Return ``scenario`` without one unit, its pods and its nodes."""
    if unit == "pod":
        return Lost(name, *_left(scenario, top, {name}, set()))
    nodes = {
        node.name for node in top.nodes if name == (node.name if unit == "node" else node.zone)
    }
    pods = {pod.name for pod in top.pods if top.nodes[pod.node].name in nodes}
    said = f"zone {name}" if unit == "zone" else name
    return Lost(said, *_left(scenario, top, pods, nodes))


def _left(
    scenario: Scenario, top: Topology, pods: set[str], nodes: set[str]
) -> tuple[Scenario | None, str | None]:
    """Return what is left without these pods and nodes; None where something is, of what."""
    stay = [node for node in top.nodes if node.name not in nodes]
    rest = [pod for pod in top.pods if pod.name not in pods]
    replicas = [item for item in top.replicas if top.nodes[item.node].name not in nodes]
    if not stay:
        return None, "node"
    if top.replicas and not replicas:
        return None, "ingress replica"
    if not rest:
        return None, "pod"
    changes: dict[str, Any] = {
        "cluster.nodes": [
            {"name": node.name, "address": node.address, "zone": node.zone} for node in stay
        ],
        "cluster.pods": [
            {
                "name": pod.name,
                "node": top.nodes[pod.node].name,
                "address": pod.address,
                "speed": pod.speed,
                "concurrency": pod.concurrency,
            }
            for pod in rest
        ],
        "cluster.placement": "spread",
    }
    if top.replicas:
        changes["cluster.ingress.replicas"] = [
            {"name": item.name, "node": top.nodes[item.node].name, "address": item.address}
            for item in replicas
        ]
    gone = pods | nodes
    kept = [change for change in scenario.timeline if not {change.pod, change.node} & gone]
    if len(kept) < len(scenario.timeline):
        changes["timeline"] = [
            change.model_dump(by_alias=True, exclude_none=True, mode="json") for change in kept
        ]
    return scenario.with_(changes), None
