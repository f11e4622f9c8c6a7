"""The `cluster` key: nodes, pods, ingress replicas and the network between them."""

from __future__ import annotations

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from lbbench.model.addresses import MAX_NODES, Address, Ip, IpAndPort
from lbbench.model.fields import (
    Count,
    CountOrZero,
    Name,
    Off,
    Part,
    Positive,
    PositiveTime,
    Share,
    SmallCount,
    Text,
    Time,
    number,
    or_word,
    whole,
)
from lbbench.model.forms import listed_or, optional
from lbbench.model.mistakes import fault

MAX_PODS = 100_000


def _neither_never_nor_always(share: float) -> float:
    if not 0.0 < share < 1.0:
        raise ValueError("must be above 0 and below 1 (0% and 100%)")
    return share


class Node(Part):
    """One node of the cluster."""

    SHORT: ClassVar[str] = '{name: node-0, zone: "1"}'

    name: Name
    zone: Text = ""
    address: Ip | None = None


class Pod(Part):
    """One pod with what differs from `cluster.pod`."""

    SHORT: ClassVar[str] = "{name: pod-0, node: node-0}"

    name: Name
    node: Name | None = None
    address: Address | None = None
    speed: Positive | None = None
    concurrency: SmallCount | None = None
    weight: SmallCount = 1


class Replica(Part):
    """One ingress replica."""

    SHORT: ClassVar[str] = "{name: ingress-0, node: node-0}"

    name: Name
    node: Name
    address: Address | None = None


class Readiness(Part):
    """When a failing pod is taken out of the endpoints."""

    SHORT: ClassVar[str] = "{period: 10s, failures: 3}"

    period: PositiveTime = 10.0
    failures: Count = 3


class ColdStart(Part):
    """A pod that has just started serves `factor` times slower for `duration`."""

    SHORT: ClassVar[str] = "{factor: 3, duration: 30s}"

    factor: Positive = 3.0
    duration: PositiveTime = 30.0


class Cfs(Part):
    """CPU time that a pod may use per period."""

    SHORT: ClassVar[str] = "{quota: 50ms, period: 100ms}"

    quota: PositiveTime
    period: PositiveTime = 0.1


class Antagonist(Part):
    """Another tenant of the machine takes cores from a pod now and then, from each by itself.

    It stays for an exponential time of mean `lasting`, `share` of the time on average, and the pod
    works at `speed` times its own speed meanwhile.
    """

    SHORT: ClassVar[str] = "{speed: 0.4, share: 20%, lasting: 5s}"

    speed: Annotated[
        float,
        BeforeValidator(number(above=0.0, most=1.0)),
        WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1}),
    ] = 0.4
    share: Annotated[Share, AfterValidator(_neither_never_nor_always)] = 0.2
    lasting: PositiveTime = 5.0

    def mean_speed(self) -> float:
        """Return what it leaves of a pod's speed on average."""
        return 1.0 - self.share * (1.0 - self.speed)


class PodSpec(Part):
    """What all pods have in common."""

    concurrency: SmallCount = 1
    discipline: Literal["fifo", "ps"] = "fifo"
    queue: Annotated[
        Literal["unlimited"] | CountOrZero, BeforeValidator(or_word("unlimited", whole(0, 10**12)))
    ] = "unlimited"
    speed: Positive = 1.0
    cold_start: Annotated[Off | ColdStart, optional(ColdStart)] = "none"
    readiness: Annotated[Off | Readiness, optional(Readiness)] = "none"
    cfs: Annotated[Off | Cfs, optional(Cfs)] = "none"
    antagonist: Annotated[Off | Antagonist, optional(Antagonist)] = "none"


class Ingress(Part):
    """The ingress controller's replicas."""

    replicas: Annotated[
        Literal["per_node"] | CountOrZero | tuple[Replica, ...],
        listed_or(Replica, or_word("per_node", whole(0, MAX_PODS)), MAX_PODS, least=0),
    ] = "per_node"
    workers: SmallCount = 4
    cpu_per_request: Time = 0.0


class Network(Part):
    """Round trips and delays."""

    client_rtt: Time = 0.0
    same_node_rtt: Time = 0.0
    cross_node_rtt: Time = 0.0
    path_delay: Time = 0.0
    path_jitter: Time = 0.0


def _placement(value: object) -> object:
    if value in ("spread", "pack"):
        return value
    if not isinstance(value, (list, tuple)):
        raise ValueError("is not allowed; allowed are spread, pack, or a list of the pods per node")
    made: list[int] = []
    for i, entry in enumerate(value):
        try:
            made.append(_PER_NODE(entry))
        except ValueError as error:
            raise fault(i, str(error)) from None
    return tuple(made)


_PER_NODE = whole(0, MAX_PODS)


class Cluster(Part):
    """Nodes, pods, ingress replicas, network."""

    nodes: Annotated[Count | tuple[Node, ...], listed_or(Node, whole(1, MAX_NODES), MAX_NODES)] = 3
    pods: Annotated[Count | tuple[Pod, ...], listed_or(Pod, whole(1, MAX_PODS), MAX_PODS)] = 10
    placement: Annotated[
        Literal["spread", "pack"] | tuple[CountOrZero, ...], BeforeValidator(_placement)
    ] = "spread"
    pod: PodSpec = Field(default_factory=PodSpec)
    ingress: Ingress = Field(default_factory=Ingress)
    network: Network = Field(default_factory=Network)
    vip: IpAndPort = "20.0.0.1:80"

    def node_names(self) -> list[str]:
        """Return the names of the nodes: those given, else node-0, node-1, ..."""
        if isinstance(self.nodes, int):
            return [f"node-{i}" for i in range(self.nodes)]
        return [node.name for node in self.nodes]

    def pod_names(self) -> list[str]:
        """Return the names of the pods at the start: those given, else pod-0, pod-1, ..."""
        if isinstance(self.pods, int):
            return [f"pod-{i}" for i in range(self.pods)]
        return [pod.name for pod in self.pods]

    def next_pod_number(self) -> int:
        """Return N of the first pod-N that comes later: above the count and every pod-N given."""
        names = self.pod_names()
        found = (re.fullmatch(r"pod-([0-9]{1,12})", name) for name in names)
        return max([len(names), *(int(match[1]) + 1 for match in found if match)])
