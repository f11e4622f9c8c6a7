"""Where everything is: nodes, pods and ingress replicas of a scenario, with their addresses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lbbench.errors import ScenarioError
from lbbench.model.cluster import Cluster, Pod
from lbbench.model.scenario import Scenario


@dataclass(frozen=True)
class NodeInfo:
    """A node."""

    name: str
    zone: str
    address: str


@dataclass(frozen=True)
class PodInfo:
    """A pod; ``node`` is the node's number."""

    name: str
    node: int
    address: str
    speed: float
    concurrency: int


@dataclass(frozen=True)
class ReplicaInfo:
    """An ingress replica; ``node`` is the node's number."""

    name: str
    node: int
    address: str


@dataclass(frozen=True)
class Topology:
    """The resolved cluster, in the order in which the scenario lists things."""

    nodes: tuple[NodeInfo, ...]
    pods: tuple[PodInfo, ...]
    replicas: tuple[ReplicaInfo, ...]
    workers_per_replica: int
    vip: str


def topology(scenario: Scenario) -> Topology:
    """Return names, places and addresses of everything in ``scenario``.

    Raises
    ------
    ScenarioError
        When the policy leaves no endpoint, or addresses collide.
    """
    cluster = scenario.cluster
    nodes = _nodes(cluster)
    used = [0] * len(nodes)
    pods = _pods(cluster, nodes, used)
    replicas = _replicas(cluster, nodes, used) if scenario.path == "ingress" else ()
    _distinct([*(pod.address for pod in pods), *(item.address for item in replicas)])
    return Topology(nodes, pods, replicas, cluster.ingress.workers, cluster.vip)


def capacity(top: Topology, mean_work: float) -> float:
    """Return requests per second that all pods can serve: sum of speed x concurrency / E[work]."""
    return sum(pod.speed * pod.concurrency for pod in top.pods) / mean_work


def node_address(node: int) -> str:
    """Return the synthetic address of a node: 10.224.0.4, 10.224.0.5, ..."""
    number = node + 4
    return f"10.224.{number >> 8}.{number & 255}"


def pod_address(node: int, k: int, port: int) -> str:
    """Return the synthetic address of the k-th pod (from 0) of a node.

    10.244.<node>.<2 + k>; nodes from 256 on continue in 10.245, pods from the 254th on in blocks of
    their own (10.<64 + block>), so that no two are equal.
    """
    block, place = divmod(k, 253)
    second = 244 + (node >> 8) if block == 0 else 63 + block + 16 * (node >> 8)
    if second > 255 or (block and second >= 224):
        raise ScenarioError(
            f"pod {k} of node {node} gets no synthetic address: too many pods on one node; "
            f"use more nodes or give addresses"
        )
    return f"10.{second}.{node & 255}.{2 + place}:{port}"


def spread(pods: int, nodes: int) -> list[int]:
    """Return the node of each pod, dealt out in turn: 10 pods on 3 nodes are 4, 3, 3."""
    return [i % nodes for i in range(pods)]


def pack(pods: int, nodes: int) -> list[int]:
    """Return the node of each pod in blocks of ceil(pods / nodes), first nodes first."""
    block = -(-pods // nodes)
    return [i // block for i in range(pods)]


def _nodes(cluster: Cluster) -> tuple[NodeInfo, ...]:
    if isinstance(cluster.nodes, int):
        return tuple(NodeInfo(f"node-{i}", "", node_address(i)) for i in range(cluster.nodes))
    return tuple(
        NodeInfo(node.name, node.zone, node.address or node_address(i))
        for i, node in enumerate(cluster.nodes)
    )


def _pods(cluster: Cluster, nodes: Sequence[NodeInfo], used: list[int]) -> tuple[PodInfo, ...]:
    given = (
        tuple(Pod(name=f"pod-{i}") for i in range(cluster.pods))
        if isinstance(cluster.pods, int)
        else cluster.pods
    )
    numbers = {node.name: i for i, node in enumerate(nodes)}
    places = _places(cluster, len(given), len(nodes))
    made = []
    for pod, place in zip(given, places, strict=True):
        node = place if pod.node is None else numbers[pod.node]
        address = pod.address or pod_address(node, used[node], 8080)
        used[node] += 1
        made.append(
            PodInfo(
                name=pod.name,
                node=node,
                address=address,
                speed=cluster.pod.speed if pod.speed is None else pod.speed,
                concurrency=pod.concurrency or cluster.pod.concurrency,
            )
        )
    return tuple(made)


def _places(cluster: Cluster, pods: int, nodes: int) -> list[int]:
    if cluster.placement == "spread":
        return spread(pods, nodes)
    if cluster.placement == "pack":
        return pack(pods, nodes)
    return [node for node, n in enumerate(cluster.placement) for _ in range(int(n))]


def _replicas(
    cluster: Cluster, nodes: Sequence[NodeInfo], used: list[int]
) -> tuple[ReplicaInfo, ...]:
    given = cluster.ingress.replicas
    if isinstance(given, tuple):
        numbers = {node.name: i for i, node in enumerate(nodes)}
        asked = [(item.name, numbers[item.node], item.address) for item in given]
    else:
        count = len(nodes) if given == "per_node" else int(given)
        asked = [(f"ingress-{i}", i % len(nodes), None) for i in range(count)]
    made = []
    for name, node, address in asked:
        made.append(ReplicaInfo(name, node, address or pod_address(node, used[node], 80)))
        used[node] += 1
    return tuple(made)


def _distinct(addresses: list[str]) -> None:
    seen: set[str] = set()
    for address in addresses:
        if address in seen:
            raise ScenarioError(f"the address {address} is used twice; give every pod its own")
        seen.add(address)
