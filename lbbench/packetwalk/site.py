"""What a packet meets on its way: nodes, the load balancer's rule, the Service, the controller."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from lbbench.balancers.base import Balancer
from lbbench.core.chains import Naming


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node under kubenet: its pods sit behind a bridge in a network of the node's own."""

    name: str
    address: str
    bridge: str  # address of cbr0, which MASQUERADE takes towards local pods
    pod_network: str  # "10.244.0.0/24", "" when the pods' addresses do not tell


@dataclass(frozen=True, kw_only=True)
class Target:
    """A pod or an ingress replica."""

    name: str
    node: int
    address: str  # "10.244.0.10:80"
    service_s: float = 0.0  # mean time to serve a request
    remark: str = ""

    @property
    def ip(self) -> str:
        """The address without the port."""
        return self.address.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """The port."""
        return int(self.address.rpartition(":")[2])


@dataclass(frozen=True, kw_only=True)
class Front:
    """The load balancer's rule for the Service's address."""

    rule: str
    balancer: Balancer
    options: Mapping[str, Any]
    distribution: Literal["Default", "SourceIP", "SourceIPProtocol"] = "Default"
    mapping: str = "modulo"
    probe: Literal["tcp", "http"] = "tcp"
    probe_port: int | None = None  # None: not known
    interval_s: float = 5.0
    threshold: int = 2
    idle_timeout_s: float = 240.0


@dataclass(frozen=True, kw_only=True)
class Service:
    """The Service that the client dials, as kube-proxy sees it."""

    port_name: str  # "default/whereami:"
    vip: str
    port: int
    naming: Naming
    balancer: Balancer
    options: Mapping[str, Any]
    policy: Literal["Cluster", "Local"] = "Cluster"
    mode: str = "iptables"
    probability_format: str = "%0.10f"
    probabilities: tuple[float, ...] | None = None
    affinity_timeout_s: float = 0.0  # 0: no session affinity
    pod_cidr: str = "10.244.0.0/16"


@dataclass(frozen=True, kw_only=True)
class Sample:
    """What an access-log line of the original walk says beyond addresses."""

    stamp: str
    user_agent: str
    body_bytes: int
    request_bytes: int
    request_time_s: float
    upstream_time_s: float
    request_id: str


@dataclass(frozen=True, kw_only=True)
class Controller:
    """The ingress controller behind the Service, and the pods it balances over."""

    pods: tuple[Target, ...]
    upstream: str  # "default-whereami-ingress-80"
    host: str
    workers: int
    balancer: Balancer
    options: Mapping[str, Any]
    hash_by: str = "$remote_addr"
    release: Literal["current", "0.21"] = "current"
    cpu_per_request_s: float = 0.0
    keepalive: int = 320
    port: int | None = None  # of nginx's connection to the pod; None: drawn
    samples: Mapping[str, Sample] = field(default_factory=dict)  # by pod address


@dataclass(frozen=True, kw_only=True)
class Listing:
    """When somebody looked at the conntrack tables: state and remaining seconds of the entries."""

    established_s: int = 86400  # kube-proxy's nf_conntrack_tcp_timeout_established: 24 h
    second_state: str = "ESTABLISHED"
    second_s: int = 86400


@dataclass(frozen=True, kw_only=True)
class Record:
    """The choices that were observed on the original walk."""

    client: tuple[str, int]
    node: int
    pod: str  # address
    source: str  # where they were observed, in words


@dataclass(frozen=True, kw_only=True)
class Site:
    """Everything that one walk needs. ``targets`` are the Service's endpoints."""

    name: str
    path: Literal["service", "ingress"]
    nodes: tuple[Node, ...]
    targets: tuple[Target, ...]
    front: Front
    service: Service
    controller: Controller | None
    client: tuple[str, int]  # who sends when nobody is named
    seed: int = 1
    client_rtt_s: float = 0.0
    same_node_rtt_s: float = 0.0
    cross_node_rtt_s: float = 0.0
    path_delay_s: float = 0.0
    connect_timeout_s: float = 10.0
    gateway: str = ""
    route_table: str = ""
    listing: Listing = field(default_factory=Listing)
    record: Record | None = None
    remarks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # notes by kind of hop

    @property
    def local(self) -> bool:
        """Whether only endpoints of the entry node are used."""
        return self.service.policy == "Local"

    def endpoints(self, node: int) -> tuple[Target, ...]:
        """Return the endpoints that kube-proxy lists on ``node``, sorted by address as text."""
        listed = [item for item in self.targets if not self.local or item.node == node]
        return tuple(sorted(listed, key=lambda item: item.address))

    def healthy(self) -> tuple[int, ...]:
        """Return the nodes that the load balancer's probes hold healthy."""
        if not self.local:
            return tuple(range(len(self.nodes))) if self.targets else ()
        return tuple(sorted({item.node for item in self.targets}))

    def pods(self) -> tuple[Target, ...]:
        """Return the pods that serve requests."""
        return self.targets if self.controller is None else self.controller.pods

    def notes(self, kind: str) -> tuple[str, ...]:
        """Return the notes that belong to a kind of hop."""
        return tuple(self.remarks.get(kind, ()))
