"""Where everything is: nodes, pods and ingress replicas of a scenario, with their addresses."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from lbbench.errors import ScenarioError
from lbbench.model.addresses import host_of, node_address, pod_address
from lbbench.model.cluster import Antagonist, Cluster, Pod
from lbbench.model.scenario import Scenario

POD_PORT = 8080
INGRESS_PORT = 80


@dataclass(frozen=True)
class NodeInfo:
    """A node."""

    name: str
    zone: str
    address: str  # IP


@dataclass(frozen=True)
class PodInfo:
    """A pod."""

    name: str
    node: int  # number of its node
    address: str  # IP:port
    speed: float
    concurrency: int
    weight: int = 1  # what balancers with weights go by


@dataclass(frozen=True)
class ReplicaInfo:
    """An ingress replica."""

    name: str
    node: int  # number of its node
    address: str  # IP:port


@dataclass(frozen=True)
class Topology:
    """The resolved cluster, in the order in which the scenario lists things."""

    nodes: tuple[NodeInfo, ...]
    pods: tuple[PodInfo, ...]
    replicas: tuple[ReplicaInfo, ...]  # empty on path service
    workers_per_replica: int
    vip: str
    pace: float = 1.0  # what antagonists leave of the pods' speed, on average

    def work(self) -> float:
        """Return seconds of work per second that all pods can do: the sum of speed x concurrency.

        With antagonists it is the mean over time.
        """
        return self.pace * math.fsum(pod.speed * pod.concurrency for pod in self.pods)


def topology(scenario: Scenario) -> Topology:
    """Return names, places and addresses of everything in ``scenario``.

    Addresses that the scenario gives are kept. The others are synthetic: node i is
    10.224.0.(4 + i), the k-th pod of node i is 10.244.i.(2 + k):8080 and the ingress replicas of a
    node follow its pods with port 80; an IP that the scenario gives to something else is skipped.

    Raises
    ------
    ScenarioError
        When a node has more pods than there are addresses.
    """
    cluster = scenario.cluster
    names = cluster.node_names()
    ingress = scenario.path == "ingress"
    free = FreeAddresses(len(names), _given_ips(cluster))
    nodes = _nodes(cluster, names)
    try:
        pods = _pods(cluster, names, free)
        replicas = _replicas(cluster, names, free) if ingress else ()
    except ValueError as error:
        raise ScenarioError(f"cluster.pods: {error}") from None
    antagonist = cluster.pod.antagonist
    pace = antagonist.mean_speed() if isinstance(antagonist, Antagonist) else 1.0
    return Topology(nodes, pods, replicas, cluster.ingress.workers, cluster.vip, pace)


def capacity(top: Topology, mean_work: float) -> float:
    """Return requests per second that all pods can serve: their work per second / E[work]."""
    return top.work() / mean_work


def spread(pods: int, nodes: int) -> list[int]:
    """Return the node of each pod, dealt out in turn: 10 pods on 3 nodes are 4, 3, 3."""
    return [i % nodes for i in range(pods)]


def pack(pods: int, nodes: int) -> list[int]:
    """Return the node of each pod in blocks of ceil(pods / nodes), first nodes first.

    10 pods on 3 nodes are 4, 4, 2; the last nodes may stay empty (4 pods on 3 nodes: 2, 2, 0).
    """
    block = -(-pods // nodes)
    return [i // block for i in range(pods)]


def free_addresses(top: Topology) -> FreeAddresses:
    """Return what hands out the addresses that ``top`` leaves free, for pods that come later."""
    placed: Iterable[PodInfo | ReplicaInfo] = (*top.pods, *top.replicas)
    return FreeAddresses(len(top.nodes), {host_of(item.address) for item in placed})


class FreeAddresses:
    """Hands out the synthetic addresses of each node in order, without those that are given.

    No address is handed out twice.
    """

    def __init__(self, nodes: int, given: set[str]) -> None:
        self.nodes = nodes
        self.given = given
        self.next = [0] * nodes

    def take(self, node: int, port: int) -> str:
        """Return the next free address of ``node`` as IP:port.

        Raises
        ------
        ValueError
            When the node has no address left.
        """
        while True:
            address = pod_address(node, self.next[node], port, self.nodes)
            self.next[node] += 1
            if not self.given or host_of(address) not in self.given:
                return address


def _given_ips(cluster: Cluster) -> set[str]:
    def addresses() -> Iterator[str | None]:
        for listed in (cluster.pods, cluster.ingress.replicas):
            if isinstance(listed, tuple):
                yield from (item.address for item in listed)

    return {host_of(address) for address in addresses() if address is not None}


def _nodes(cluster: Cluster, names: Sequence[str]) -> tuple[NodeInfo, ...]:
    if isinstance(cluster.nodes, int):
        return tuple(NodeInfo(name, "", node_address(i)) for i, name in enumerate(names))
    given = {node.address for node in cluster.nodes}
    free = (address for i in range(2 * len(names)) if (address := node_address(i)) not in given)
    if given == {None}:
        free = (node_address(i) for i in range(len(names)))
    return tuple(
        NodeInfo(node.name, node.zone, node.address or next(free)) for node in cluster.nodes
    )


def _pods(cluster: Cluster, nodes: Sequence[str], free: FreeAddresses) -> tuple[PodInfo, ...]:
    given = (
        tuple(Pod(name=name) for name in cluster.pod_names())
        if isinstance(cluster.pods, int)
        else cluster.pods
    )
    numbers = {name: i for i, name in enumerate(nodes)}
    fixed = [None if pod.node is None else numbers[pod.node] for pod in given]
    spec = cluster.pod
    return tuple(
        PodInfo(
            name=pod.name,
            node=node,
            address=pod.address or free.take(node, POD_PORT),
            speed=spec.speed if pod.speed is None else pod.speed,
            concurrency=spec.concurrency if pod.concurrency is None else pod.concurrency,
            weight=pod.weight,
        )
        for pod, node in zip(given, _places(cluster, fixed, len(nodes)), strict=True)
    )


def _places(cluster: Cluster, fixed: Sequence[int | None], nodes: int) -> list[int]:
    """Return the node of each pod; ``fixed`` holds the nodes that pods name themselves."""
    open_ = fixed.count(None)
    if cluster.placement == "spread":
        rest = spread(open_, nodes)
    elif cluster.placement == "pack":
        rest = pack(open_, nodes)
    else:
        rest = [
            node
            for node, room in enumerate(cluster.placement)
            for _ in range(int(room) - fixed.count(node))
        ]
    left = iter(rest)
    return [next(left) if node is None else node for node in fixed]


def _replicas(
    cluster: Cluster, nodes: Sequence[str], free: FreeAddresses
) -> tuple[ReplicaInfo, ...]:
    given = cluster.ingress.replicas
    if isinstance(given, tuple):
        numbers = {name: i for i, name in enumerate(nodes)}
        asked = [(item.name, numbers[item.node], item.address) for item in given]
    else:
        count = len(nodes) if given == "per_node" else int(given)
        asked = [(f"ingress-{i}", i % len(nodes), None) for i in range(count)]
    return tuple(
        ReplicaInfo(name, node, address or free.take(node, INGRESS_PORT))
        for name, node, address in asked
    )
