"""The `stages` key: the load balancer, kube-proxy and the ingress controller's balancer."""

from __future__ import annotations

import ipaddress
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from lbbench.model.fields import (
    AnyRate,
    Count,
    CountOrZero,
    Off,
    Part,
    PositiveTime,
    Text,
    Time,
    Whole,
)
from lbbench.model.units import parse_rate


class Probe(Part):
    """The load balancer's health probe."""

    kind: Literal["auto", "tcp", "http"] = "auto"
    interval: PositiveTime = 5.0
    threshold: Count = 2


class AzureLb(Part):
    """How a new connection gets its node."""

    distribution: Literal["Default", "SourceIP", "SourceIPProtocol"] = "Default"
    hash: Literal["toeplitz"] = "toeplitz"
    mapping: Literal["modulo", "rendezvous", "maglev"] = "modulo"
    probe: Probe = Field(default_factory=Probe)
    idle_timeout: PositiveTime = 240.0
    tcp_reset: bool = False
    sku: Literal["Standard", "Basic"] = "Standard"
    on_all_down: Literal["drop_new", "all_up", "drop_all"] = "drop_new"
    balancer: Text | None = None
    fixed: Text | None = None

    @model_validator(mode="after")
    def _one_way(self) -> AzureLb:
        if self.balancer is not None and self.fixed is not None:
            raise ValueError("has both balancer and fixed; keep one of them")
        return self


class KubeProxy(Part):
    """How a new connection gets its endpoint on its node."""

    mode: Literal["iptables", "iptables_nth", "nftables", "ipvs", "maglev"] = "iptables"
    scheduler: Literal["rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh"] = "rr"
    external_traffic_policy: Literal["Cluster", "Local"] = "Cluster"
    session_affinity: Literal["None", "ClientIP"] = "None"
    affinity_timeout: PositiveTime = 10800.0
    probability_format: Literal["%0.10f", "%0.5f"] = "%0.10f"
    probabilities: tuple[float, ...] | None = None
    min_sync_period: Time = 1.0
    topology: Literal["none", "zone", "node"] = "none"

    @field_validator("topology", mode="before")
    @classmethod
    def _topology(cls, value: object) -> object:
        return "none" if value is None else value

    @field_validator("session_affinity", mode="before")
    @classmethod
    def _affinity(cls, value: object) -> object:
        return "None" if value is None else value

    @field_validator("probabilities", mode="after")
    @classmethod
    def _probabilities(cls, value: tuple[float, ...] | None) -> tuple[float, ...] | None:
        if value is not None and not all(0.0 <= p <= 1.0 for p in value):
            raise ValueError("must be a list of probabilities between 0 and 1")
        return value


class Keepalive(Part):
    """Connections that nginx keeps: towards pods and towards clients."""

    upstream: CountOrZero = 320
    upstream_requests: Count = 10000
    upstream_timeout: PositiveTime = 60.0
    client_timeout: PositiveTime = 75.0
    client_requests: Count = 1000


class Timeouts(Part):
    """nginx's proxy timeouts."""

    connect: PositiveTime = 5.0
    read: PositiveTime = 60.0


class NextUpstream(Part):
    """When and how often a failed attempt is tried on another pod."""

    on: tuple[
        Literal[
            "error", "timeout", "http_500", "http_502", "http_503", "http_504", "non_idempotent"
        ],
        ...,
    ] = ("error", "timeout")
    tries: Whole = Field(default=3, ge=1, le=15)


class Sync(Part):
    """How a change of endpoints reaches the workers."""

    rate_limit: Literal["unlimited"] | AnyRate = Field(default=0.3)
    worker_interval: PositiveTime = 1.0

    @field_validator("rate_limit", mode="before")
    @classmethod
    def _rate_limit(cls, value: object) -> object:
        if value == "unlimited":
            return value
        if parse_rate(value) <= 0.0:
            raise ValueError('must be greater than 0, or "unlimited"')
        return value


class Canary(Part):
    """A second set of pods that gets a share of the requests."""

    pods: Count
    weight: CountOrZero
    weight_total: Count = 100


class IngressStage(Part):
    """How a request gets its pod in an ingress worker."""

    balancer: Text = "round_robin"
    release: Literal["current", "0.21"] = "current"
    hash_by: Text = "$remote_addr"
    subset_size: Count = 3
    change_on_failure: bool = False
    start: Literal["random", "first"] = "random"
    options: dict[str, Any] = Field(default_factory=dict)
    keepalive: Keepalive = Field(default_factory=Keepalive)
    timeouts: Timeouts = Field(default_factory=Timeouts)
    next_upstream: NextUpstream = Field(default_factory=NextUpstream)
    sync: Sync = Field(default_factory=Sync)
    canary: Off | Canary = "none"

    @field_validator("canary", mode="before")
    @classmethod
    def _canary(cls, value: object) -> object:
        if value is None or value == "none":
            return "none"
        return Canary.model_validate(value)


class Stages(Part):
    """The three stages of the chain."""

    azure_lb: AzureLb = Field(default_factory=AzureLb)
    kube_proxy: KubeProxy = Field(default_factory=KubeProxy)
    ingress: IngressStage = Field(default_factory=IngressStage)


def split_address(text: str) -> tuple[str, int]:
    """Return (address, port) of "10.244.0.4:8080" or "[fd00::1]:80".

    Raises
    ------
    ValueError
        With a sentence when it is not an address with a port.
    """
    host, _, port = text.rpartition(":")
    try:
        ipaddress.ip_address(host.strip("[]"))
        number = int(port)
    except ValueError:
        raise ValueError(
            'is not an address with a port; write for instance "10.244.0.4:8080"'
        ) from None
    if not 0 < number < 65536:
        raise ValueError("the port must be between 1 and 65535")
    return host.strip("[]"), number
