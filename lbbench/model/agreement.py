"""Rules between the parts of a scenario: names that must exist, sums that must agree."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from lbbench.model.cluster import Cluster
from lbbench.model.mistakes import Mistake, near, some

if TYPE_CHECKING:
    from lbbench.model.scenario import Scenario

Keys = tuple[str | int, ...]

NODES: Keys = ("cluster", "nodes")
PODS: Keys = ("cluster", "pods")
REPLICAS: Keys = ("cluster", "ingress", "replicas")

STICKY = ("sticky_balanced", "sticky_persistent", "sticky_0.21")
"""Balancers that need cookie jars."""


def disagreements(scenario: Scenario) -> list[Mistake]:
    """Return every mistake that lies between the parts of ``scenario``."""
    cluster = scenario.cluster
    nodes = cluster.node_names()
    found = [
        *_names(cluster),
        *_addresses(cluster),
        *_references(cluster, nodes),
        *_placement(cluster, nodes),
        *_endpoints(scenario),
        *_timeline(scenario, set(nodes)),
        *_lengths(scenario),
    ]
    if scenario.path == "service" and scenario.stages.ingress.balancer in STICKY:
        found.append(
            Mistake(("stages", "ingress", "balancer"), "needs cookies, so it needs path: ingress")
        )
    return found


def _names(cluster: Cluster) -> Iterator[Mistake]:
    for where, given in (
        (NODES, cluster.nodes),
        (PODS, cluster.pods),
        (REPLICAS, cluster.ingress.replicas),
    ):
        if isinstance(given, tuple):
            yield from _twice(where, "name", [item.name for item in given])


def _addresses(cluster: Cluster) -> Iterator[Mistake]:
    if isinstance(cluster.nodes, tuple):
        yield from _twice(NODES, "address", [node.address for node in cluster.nodes])
    pods = [pod.address for pod in cluster.pods] if isinstance(cluster.pods, tuple) else []
    yield from _twice(PODS, "address", pods)
    if isinstance(cluster.ingress.replicas, tuple):
        replicas = [item.address for item in cluster.ingress.replicas]
        yield from _twice(REPLICAS, "address", replicas, taken=pods)


def _twice(
    where: Keys, key: str, values: Sequence[str | None], taken: Sequence[str | None] = ()
) -> Iterator[Mistake]:
    seen = set(taken)
    for i, value in enumerate(values):
        if value is not None and value in seen:
            yield Mistake((*where, i, key), f"is given twice; give every entry its own {key}")
        seen.add(value)


def _references(cluster: Cluster, nodes: list[str]) -> Iterator[Mistake]:
    known = set(nodes)
    pods, replicas = cluster.pods, cluster.ingress.replicas
    named = [
        *((PODS, i, pod.node) for i, pod in enumerate(pods if isinstance(pods, tuple) else ())),
        *(
            (REPLICAS, i, item.node)
            for i, item in enumerate(replicas if isinstance(replicas, tuple) else ())
        ),
    ]
    for where, i, node in named:
        if node is not None and node not in known:
            yield Mistake((*where, i, "node"), no_such("node", node, nodes))


def no_such(what: str, name: str, known: Sequence[str]) -> str:
    """Return the sentence on a name that does not exist."""
    hint = near(name, known[:1000])
    return f"there is no such {what}; {hint + ' ' if hint else ''}there are {some(known)}"


def _placement(cluster: Cluster, nodes: list[str]) -> Iterator[Mistake]:
    placement, where = cluster.placement, ("cluster", "placement")
    if not isinstance(placement, tuple):
        return
    pods = len(cluster.pod_names())
    if len(placement) != len(nodes):
        yield Mistake(where, f"has {len(placement)} entries; it needs {len(nodes)}, one per node")
        return
    if sum(placement) != pods:
        yield Mistake(where, f"adds up to {sum(placement)}; it must be the {pods} of cluster.pods")
        return
    fixed = [pod.node for pod in cluster.pods] if isinstance(cluster.pods, tuple) else []
    for name, room in zip(nodes, placement, strict=True):
        if fixed.count(name) > room:
            yield Mistake(where, f"leaves {room} for {name}, which {fixed.count(name)} pods name")


def _endpoints(scenario: Scenario) -> Iterator[Mistake]:
    given = scenario.cluster.ingress.replicas
    replicas = len(given) if isinstance(given, tuple) else given
    if scenario.path == "ingress" and replicas == 0:
        yield Mistake(
            REPLICAS, "leaves the service without an endpoint; give at least 1, or path: service"
        )
    if replicas == "per_node":
        replicas = len(scenario.cluster.node_names())
    endpoints = replicas if scenario.path == "ingress" else len(scenario.cluster.pod_names())
    probabilities = scenario.stages.kube_proxy.probabilities
    if probabilities is not None and len(probabilities) != endpoints:
        kind = "ingress replicas" if scenario.path == "ingress" else "pods"
        yield Mistake(
            ("stages", "kube_proxy", "probabilities"),
            f"has {len(probabilities)} entries; it needs {endpoints}, one for each of the {kind}",
        )


def _timeline(scenario: Scenario, nodes: set[str]) -> Iterator[Mistake]:
    names = {*scenario.cluster.pod_names(), *scenario.stages.ingress.canary_names()}
    exists = _pods_ever(scenario)
    for i, change in enumerate(scenario.timeline):
        if change.node is not None and change.node not in nodes:
            text = no_such("node", change.node, scenario.cluster.node_names())
            yield Mistake(("timeline", i, "node"), text)
        if change.pod is not None and change.pod not in names and not exists(change.pod, change.at):
            text = no_such("pod", change.pod, scenario.cluster.pod_names())
            yield Mistake(("timeline", i, "pod"), text)


def _pods_ever(scenario: Scenario) -> Callable[[str, float], bool]:
    """Return what tells whether a scale-up or a rollout has brought pod-N by some time.

    pod-N counts up from the highest number at the start and is never reused, so a rollout of n
    pods brings n new numbers, and a drained node at most as many.
    """
    alive = len(scenario.cluster.pod_names())
    first = made = scenario.cluster.next_pod_number()
    numbers = [(0.0, made)]
    for change in sorted(scenario.timeline, key=lambda change: change.at):
        if change.scale is not None:
            made += max(0, change.scale.pods - alive)
            alive = change.scale.pods
        elif change.rollout is not None or change.state == "drained":
            made += alive
        numbers.append((change.at, made))

    def exists(name: str, at: float) -> bool:
        head, _, number = name.rpartition("-")
        if head != "pod" or not (number.isascii() and number.isdigit()):
            return False
        return first <= int(number[:12]) < max(count for time, count in numbers if time <= at)

    return exists


def _lengths(scenario: Scenario) -> Iterator[Mistake]:
    run = scenario.run
    if run.duration is not None and run.requests is not None:
        yield Mistake(("run", "requests"), "stands beside run.duration; keep one of them")
    if isinstance(run.warmup, float) and run.duration is not None and run.warmup >= run.duration:
        yield Mistake(("run", "warmup"), "must be shorter than run.duration")
