"""The `stages` key: the load balancer, kube-proxy and the ingress controller's balancer."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from lbbench.model.addresses import split_address
from lbbench.model.fields import (
    Count,
    CountOrZero,
    Flag,
    Name,
    Off,
    Part,
    PositiveTime,
    Share,
    SmallCount,
    Time,
    UnlimitedOrRate,
    plain,
    whole,
)
from lbbench.model.forms import optional
from lbbench.model.mistakes import fault

__all__ = ["Stages", "split_address"]


def _plain_options(value: dict[str, Any]) -> dict[str, Any]:
    for name, entry in value.items():
        try:
            plain(entry)
        except ValueError as error:
            raise fault(name, str(error)) from None
    return value


class Probe(Part):
    """The load balancer's health probe."""

    SHORT: ClassVar[str] = "{interval: 5s, threshold: 2}"

    kind: Literal["auto", "tcp", "http"] = "auto"
    interval: PositiveTime = 5.0
    threshold: Count = 2


class AzureLb(Part):
    """How a new connection gets its node."""

    SHORT: ClassVar[str] = "{distribution: Default}"

    distribution: Literal["Default", "SourceIP", "SourceIPProtocol"] = "Default"
    hash: Literal["toeplitz"] = "toeplitz"
    mapping: Literal["modulo", "rendezvous", "maglev"] = "modulo"
    probe: Probe = Field(default_factory=Probe)
    idle_timeout: PositiveTime = 240.0
    tcp_reset: Flag = False
    sku: Literal["Standard", "Basic"] = "Standard"
    on_all_down: Literal["drop_new", "all_up", "drop_all"] = "drop_new"
    balancer: Name | None = None
    fixed: Name | None = None

    @model_validator(mode="after")
    def _one_way(self) -> AzureLb:
        if self.balancer is not None and self.fixed is not None:
            raise fault("fixed", "stands beside balancer; keep one of them")
        return self


class KubeProxy(Part):
    """How a new connection gets its endpoint on its node.

    ``probabilities`` are those of the rules as an import found them, in the order of the endpoints'
    addresses as text, the last one 1: the i-th rule takes what the rules before it left.
    """

    SHORT: ClassVar[str] = "{mode: iptables}"

    mode: Literal["iptables", "iptables_nth", "nftables", "ipvs", "maglev"] = "iptables"
    scheduler: Literal["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh"] = "rr"
    external_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    session_affinity: Literal["None", "ClientIP"] = "None"
    affinity_timeout: PositiveTime = 10800.0
    probability_format: Literal["%0.10f", "%0.5f"] = "%0.10f"
    probabilities: tuple[Share, ...] | None = None
    min_sync_period: Time = 1.0
    options: Annotated[dict[str, Any], AfterValidator(_plain_options)] = Field(default_factory=dict)
    topology: Literal["none", "zone", "node"] = "none"

    @field_validator("probabilities", mode="after")
    @classmethod
    def _last_is_one(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and (not value or value[-1] != 1.0):
            raise ValueError("must end with 1: the last rule takes what is left")
        return value

    @model_validator(mode="after")
    def _of_iptables(self) -> KubeProxy:
        if self.probabilities is None:
            return self
        if self.mode != "iptables":
            raise fault("probabilities", f"belong to mode iptables, not to {self.mode}")
        if self.external_traffic_policy != "Cluster":
            raise fault("probabilities", "need external_traffic_policy Cluster: one list per node")
        return self


class Keepalive(Part):
    """Connections that nginx keeps: towards pods and towards clients."""

    SHORT: ClassVar[str] = "{upstream: 320}"

    upstream: Annotated[CountOrZero, BeforeValidator(whole(0, 10**6))] = 320
    upstream_requests: Count = 10000
    upstream_timeout: PositiveTime = 60.0
    client_timeout: PositiveTime = 75.0
    client_requests: Count = 1000


class Timeouts(Part):
    """nginx's proxy timeouts."""

    SHORT: ClassVar[str] = "{connect: 5s, read: 60s}"

    connect: PositiveTime = 5.0
    read: PositiveTime = 60.0


class NextUpstream(Part):
    """When and how often a failed attempt is tried on another pod."""

    SHORT: ClassVar[str] = "{on: [error, timeout], tries: 3}"

    on: tuple[
        Literal[
            "error", "timeout", "http_500", "http_502", "http_503", "http_504", "non_idempotent"
        ],
        ...,
    ] = ("error", "timeout")
    tries: Annotated[int, BeforeValidator(whole(1, 100))] = 3

    @field_validator("on", mode="before")
    @classmethod
    def _one_or_many(cls, value: object) -> object:
        if value in ("none", "off"):
            return ()
        return (value,) if isinstance(value, str) else value


class Sync(Part):
    """How a change of endpoints reaches the workers."""

    SHORT: ClassVar[str] = "{rate_limit: 0.3/s, worker_interval: 1s}"

    rate_limit: UnlimitedOrRate = 0.3
    worker_interval: PositiveTime = 1.0


class HealthCheck(Part):
    """The proxy's own checks of its pods, as HAProxy and Envoy make them."""

    SHORT: ClassVar[str] = "{interval: 2s, rise: 2, fall: 3}"

    kind: Literal["http", "tcp"] = "http"
    interval: PositiveTime = 2.0
    timeout: PositiveTime = 1.0
    rise: Count = 2
    fall: Count = 3
    panic: Share = 0.0


class Canary(Part):
    """A second set of pods that gets a share of the requests."""

    SHORT: ClassVar[str] = "{pods: 2, weight: 20, weight_total: 100}"

    pods: SmallCount
    weight: CountOrZero
    weight_total: Count = 100

    @model_validator(mode="after")
    def _within_total(self) -> Canary:
        if self.weight > self.weight_total:
            raise fault("weight", f"must be at most weight_total, {self.weight_total}")
        return self


class IngressStage(Part):
    """How a request gets its pod in an ingress worker."""

    SHORT: ClassVar[str] = "{balancer: ewma}"

    balancer: Name = "round_robin"
    release: Literal["current", "0.21"] = "current"
    hash_by: Name = "$remote_addr"
    subset_size: SmallCount = 3
    change_on_failure: Flag = False
    start: Literal["random", "first"] = "random"
    options: Annotated[dict[str, Any], AfterValidator(_plain_options)] = Field(default_factory=dict)
    keepalive: Keepalive = Field(default_factory=Keepalive)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    next_upstream: NextUpstream = Field(default_factory=NextUpstream)
    sync: Sync = Field(default_factory=Sync)
    health_check: Annotated[Off | HealthCheck, optional(HealthCheck)] = "none"
    canary: Annotated[Off | Canary, optional(Canary)] = "none"

    def canary_names(self) -> list[str]:
        """Return the names of the canary's pods: canary-0, canary-1, ..."""
        count = self.canary.pods if isinstance(self.canary, Canary) else 0
        return [f"canary-{i}" for i in range(count)]

    @field_validator("release", mode="before")
    @classmethod
    def _release(cls, value: object) -> object:
        """Read an unquoted 0.21, which YAML takes for a number."""
        return str(value) if isinstance(value, float) else value


class Stages(Part):
    """The three stages of the chain."""

    azure_lb: AzureLb = Field(default_factory=AzureLb)
    kube_proxy: KubeProxy = Field(default_factory=KubeProxy)
    ingress: IngressStage = Field(default_factory=IngressStage)
