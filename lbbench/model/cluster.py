"""The `cluster` key: nodes, pods, ingress replicas and the network between them."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator

from lbbench.model.fields import (
    Count,
    CountOrZero,
    Off,
    Part,
    Positive,
    PositiveTime,
    Text,
    Time,
    one_of,
)


class Node(Part):
    """One node of the cluster."""

    name: Text
    zone: Text = ""
    address: Text | None = None


class Pod(Part):
    """One pod with what differs from `cluster.pod`."""

    name: Text
    node: Text | None = None
    address: Text | None = None
    speed: Positive | None = None
    concurrency: Count | None = None


class Replica(Part):
    """One ingress replica."""

    name: Text
    node: Text
    address: Text | None = None


class Readiness(Part):
    """When a failing pod is taken out of the endpoints."""

    period: PositiveTime = 10.0
    failures: Count = 3


class ColdStart(Part):
    """A pod that has just started serves `factor` times slower for `duration`."""

    factor: Positive = 3.0
    duration: PositiveTime = 30.0


class Cfs(Part):
    """CPU time that a pod may use per period."""

    quota: PositiveTime
    period: PositiveTime = 0.1


class PodSpec(Part):
    """What all pods have in common."""

    concurrency: Count = 1
    discipline: Literal["fifo", "ps"] = "fifo"
    queue: Literal["unlimited"] | CountOrZero = "unlimited"
    speed: Positive = 1.0
    cold_start: Off | ColdStart = "none"
    readiness: Off | Readiness = "none"
    cfs: Off | Cfs = "none"

    @field_validator("queue", mode="before")
    @classmethod
    def _queue(cls, value: object) -> object:
        if value == "unlimited":
            return value
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError('must be "unlimited" or a whole number of at least 0')
        return value

    @field_validator("cold_start", "readiness", "cfs", mode="before")
    @classmethod
    def _optional(cls, value: object, info: Any) -> object:
        shape = {"cold_start": ColdStart, "readiness": Readiness, "cfs": Cfs}[info.field_name]
        if value is None or value == "none":
            return "none"
        return one_of(value, dict.fromkeys(shape.model_fields, shape), ("none",))


class Ingress(Part):
    """The ingress controller's replicas."""

    replicas: Literal["per_node"] | Count | tuple[Replica, ...] = "per_node"
    workers: Count = 4
    cpu_per_request: Time = 0.0

    @field_validator("replicas", mode="before")
    @classmethod
    def _replicas(cls, value: object) -> object:
        if isinstance(value, str) and value != "per_node":
            raise ValueError('must be "per_node", a number, or a list of {name, node}')
        if isinstance(value, (list, tuple)):
            if not value:
                raise ValueError("must name at least one replica")
            return tuple(Replica.model_validate(item) for item in value)
        return value


class Network(Part):
    """Round trips and delays."""

    client_rtt: Time = 0.0
    same_node_rtt: Time = 0.0
    cross_node_rtt: Time = 0.0
    path_delay: Time = 0.0
    path_jitter: Time = 0.0


def _some(value: object) -> object:
    if value == 0 or value in ([], ()):
        raise ValueError("must be at least 1")
    return value


def _listed(shape: type[Part]) -> BeforeValidator:
    def validate(value: object) -> object:
        _some(value)
        if isinstance(value, (list, tuple)):
            return tuple(shape.model_validate(item) for item in value)
        return value

    return BeforeValidator(validate)


def _shares(value: Any) -> Any:
    if isinstance(value, tuple) and sum(value) == 0:
        raise ValueError("must place at least one pod")
    return value


class Cluster(Part):
    """Nodes, pods, ingress replicas, network."""

    nodes: Annotated[Count | tuple[Node, ...], _listed(Node)] = 3
    pods: Annotated[Count | tuple[Pod, ...], _listed(Pod)] = 10
    placement: Annotated[
        Literal["spread", "pack"] | tuple[CountOrZero, ...], AfterValidator(_shares)
    ] = "spread"
    pod: PodSpec = Field(default_factory=PodSpec)
    ingress: Ingress = Field(default_factory=Ingress)
    network: Network = Field(default_factory=Network)
    vip: Text = "20.0.0.1:80"

    @field_validator("placement", mode="before")
    @classmethod
    def _placement(cls, value: object) -> object:
        if isinstance(value, str) and value not in ("spread", "pack"):
            raise ValueError("must be spread, pack, or a list with the number of pods per node")
        return value
