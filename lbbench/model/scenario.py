"""The scenario: what a person writes, checked and frozen. `contract` names every key."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import ConfigDict, Field, PrivateAttr, field_validator, model_validator

from lbbench.model.cluster import Cluster
from lbbench.model.demand import Demand, Sessions
from lbbench.model.fields import Count, CountOrZero, Part, PositiveTime, Text, Time
from lbbench.model.stages import Stages, split_address
from lbbench.model.timeline import Change, Precision
from lbbench.model.units import parse_share, parse_time, write_time

SCHEMA = "lbbench.scenario/1"
STICKY = ("sticky_balanced", "sticky_persistent")

METRICS = (
    "latency.mean",
    "latency.p50",
    "latency.p90",
    "latency.p95",
    "latency.p99",
    "latency.p999",
    "latency.max",
    "error_rate",
    "attainment",
    "utilisation.max",
)


class Run(Part):
    """How long, how often, from which seed."""

    duration: PositiveTime | None = None
    requests: Count | None = None
    warmup: Literal["auto"] | float = "auto"
    replications: Count = 1
    seed: CountOrZero = 1
    window: Literal["auto"] | float = "auto"
    drain: Time = 120.0
    precision: Precision | None = None

    @field_validator("warmup", "window", mode="before")
    @classmethod
    def _auto(cls, value: object) -> object:
        return value if value == "auto" else parse_time(value)

    @model_validator(mode="after")
    def _one_length(self) -> Run:
        if self.duration is not None and self.requests is not None:
            raise ValueError("has both duration and requests; keep one of them")
        return self


class Observed(Part):
    """What was measured in reality, to stand beside the simulated."""

    pods: dict[str, CountOrZero] = Field(default_factory=dict)
    latency: dict[str, Time] = Field(default_factory=dict)
    requests: CountOrZero = 0
    note: Text = ""


class Scenario(Part):
    """A whole scenario; attributes are the keys of the file, times in seconds."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, allow_inf_nan=False, populate_by_name=True
    )

    schema_: Literal["lbbench.scenario/1"] = Field(default="lbbench.scenario/1", alias="schema")
    name: Text = "scenario"
    preset: Literal["aks-kubenet", "seed"] | None = None
    path: Literal["ingress", "service"] = "ingress"
    cluster: Cluster = Field(default_factory=Cluster)
    stages: Stages = Field(default_factory=Stages)
    traffic: Demand
    run: Run = Field(default_factory=Run)
    timeline: tuple[Change, ...] = ()
    slo: dict[str, Any] = Field(default_factory=dict)
    sweep: dict[str, Any] = Field(default_factory=dict)
    observed: Observed | None = None

    _folder: Path = PrivateAttr(default_factory=Path.cwd)

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the scenario start from."""
        return self._folder

    def in_folder(self, folder: Path) -> Scenario:
        """Return the same scenario with relative paths starting from ``folder``."""
        made = self.model_copy()
        made._folder = folder  # noqa: SLF001
        return made

    @field_validator("slo", mode="after")
    @classmethod
    def _slo(cls, value: dict[str, Any]) -> dict[str, Any]:
        for name, limit in value.items():
            if name not in METRICS:
                raise ValueError(f"{name} is not a metric; allowed are {', '.join(METRICS)}")
            if name.startswith("latency."):
                parse_time(limit)
            else:
                parse_share(limit)
        return value

    @model_validator(mode="after")
    def _agree(self) -> Scenario:
        names = _node_names(self.cluster)
        _check_pods(self.cluster, names)
        _check_replicas(self, names)
        _check_timeline(self, names)
        split_address(self.cluster.vip)
        if self.path == "service" and self.stages.ingress.balancer in STICKY:
            raise ValueError("stages.ingress.balancer: cookies need path: ingress")
        return self

    @property
    def sessions(self) -> Sessions | None:
        """Return the cookie jars: none unless asked for or the balancer is sticky."""
        given = self.traffic.sessions
        if isinstance(given, Sessions):
            return given
        if given is None and self.stages.ingress.balancer in STICKY and self.path == "ingress":
            return Sessions()
        return None

    def with_(self, changes: Mapping[str, Any]) -> Scenario:
        """Return this scenario with leaves changed: ``{"stages.ingress.balancer": "ewma"}``.

        Values are plain data, as in the file: times are texts with units.

        Raises
        ------
        ScenarioError
            When a path does not exist or a value is not allowed.
        """
        from lbbench.model.check import build

        return build(
            self.resolved(), place=self.name, changes=list(changes.items()), folder=self.folder
        )

    def objectives(self) -> dict[str, float]:
        """Return the objectives as numbers: seconds for latencies, shares else."""
        return {
            name: parse_time(limit) if name.startswith("latency.") else parse_share(limit)
            for name, limit in self.slo.items()
        }

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value as plain data that loads back to an equal scenario."""
        data = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        data["run"]["warmup"] = _timed(self.run.warmup)
        data["run"]["window"] = _timed(self.run.window)
        for key in ("timeline", "slo", "sweep"):
            if not data[key]:
                del data[key]
        return data


def _timed(value: str | float) -> str:
    return value if isinstance(value, str) else write_time(value)


def _node_names(cluster: Cluster) -> list[str]:
    if isinstance(cluster.nodes, int):
        return [f"node-{i}" for i in range(cluster.nodes)]
    names = [node.name for node in cluster.nodes]
    _unique(names, "cluster.nodes: the name")
    return names


def _unique(names: list[str], what: str) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"{what} {name} is given twice")
        seen.add(name)


def _check_pods(cluster: Cluster, nodes: list[str]) -> None:
    placement = cluster.placement
    if isinstance(placement, tuple):
        if len(placement) != len(nodes):
            raise ValueError(
                f"cluster.placement has {len(placement)} entries for {len(nodes)} nodes"
            )
        total = cluster.pods if isinstance(cluster.pods, int) else len(cluster.pods)
        if sum(placement) != total:
            raise ValueError(
                f"cluster.placement adds up to {sum(placement)}, cluster.pods is {total}"
            )
    if isinstance(cluster.pods, int):
        return
    _unique([pod.name for pod in cluster.pods], "cluster.pods: the name")
    addresses = [pod.address for pod in cluster.pods if pod.address is not None]
    _unique(addresses, "cluster.pods: the address")
    for i, pod in enumerate(cluster.pods):
        if pod.node is not None and pod.node not in nodes:
            raise ValueError(
                f"cluster.pods[{i}].node = {pod.node}: there is no such node; "
                f"the nodes are {_some(nodes)}"
            )


def _check_replicas(scenario: Scenario, nodes: list[str]) -> None:
    given = scenario.cluster.ingress.replicas
    if not isinstance(given, tuple):
        return
    _unique([item.name for item in given], "cluster.ingress.replicas: the name")
    for i, item in enumerate(given):
        if item.node not in nodes:
            raise ValueError(
                f"cluster.ingress.replicas[{i}].node = {item.node}: there is no such node; "
                f"the nodes are {_some(nodes)}"
            )


def _check_timeline(scenario: Scenario, nodes: list[str]) -> None:
    pods = scenario.cluster.pods
    names = None if isinstance(pods, int) else [pod.name for pod in pods]
    for i, change in enumerate(scenario.timeline):
        if change.node is not None and change.node not in nodes:
            raise ValueError(
                f"timeline[{i}].node = {change.node}: there is no such node; "
                f"the nodes are {_some(nodes)}"
            )
        if change.pod is not None and names is not None and change.pod not in names:
            if change.pod.startswith("pod-") and change.pod[4:].isdigit():
                continue  # a pod that a scale-up or rollout brings
            raise ValueError(
                f"timeline[{i}].pod = {change.pod}: there is no such pod; the pods are {_some(names)}"
            )


def _some(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")


PRESETS: Mapping[str, Mapping[str, Any]] = {
    "aks-kubenet": {
        "cluster": {
            "network": {"same_node_rtt": "0.1ms", "cross_node_rtt": "0.99ms"},
        },
        "stages": {
            "ingress": {
                "keepalive": {"upstream": 320, "upstream_requests": 10000, "client_requests": 1000}
            }
        },
    },
    "seed": {
        "cluster": {
            "network": {"same_node_rtt": "0.1ms", "cross_node_rtt": "0.99ms"},
            "ingress": {"workers": 2},
        },
        "stages": {
            "kube_proxy": {"probability_format": "%0.5f"},
            "ingress": {
                "keepalive": {"upstream": 32, "upstream_requests": 100, "client_requests": 100}
            },
        },
    },
}
"""Values that a preset switches on (keys given in the file win)."""
