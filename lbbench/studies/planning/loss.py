"""The cluster without its largest node, pod or zone: missing for good, nothing comes back.

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
    """

    name: str
    scenario: Scenario | None


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


def without_largest(scenario: Scenario, unit: Unit) -> Lost:
    """Return ``scenario`` without its largest ``unit`` by capacity; of equal ones the last."""
    top = topology(scenario)
    if unit == "pod":
        key: Callable[[PodInfo], str] = lambda pod: pod.name  # noqa: E731
        names = [pod.name for pod in top.pods]
    elif unit == "node":
        key = lambda pod: top.nodes[pod.node].name  # noqa: E731
        names = [node.name for node in top.nodes]
    else:
        key = lambda pod: top.nodes[pod.node].zone  # noqa: E731
        names = list(dict.fromkeys(node.zone for node in top.nodes))
    work = {name: [0.0] for name in names}
    for pod in top.pods:
        work[key(pod)].append(pod.speed * pod.concurrency)
    sums = {name: math.fsum(parts) for name, parts in work.items()}
    largest = max(reversed(names), key=sums.__getitem__)
    pods = {pod.name for pod in top.pods if key(pod) == largest}
    nodes = set()
    if unit == "node":
        nodes = {largest}
    elif unit == "zone":
        nodes = {node.name for node in top.nodes if node.zone == largest}
    name = f"zone {largest}" if unit == "zone" else largest
    return Lost(name, _left(scenario, top, pods, nodes))


def _left(scenario: Scenario, top: Topology, pods: set[str], nodes: set[str]) -> Scenario | None:
    """Return what is left without these pods and nodes; None: no pod or no replica is."""
    stay = [node for node in top.nodes if node.name not in nodes]
    rest = [pod for pod in top.pods if pod.name not in pods]
    replicas = [item for item in top.replicas if top.nodes[item.node].name not in nodes]
    if not stay or not rest or (top.replicas and not replicas):
        return None
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
    return scenario.with_(changes)
