"""The scenario: what a person writes, checked and frozen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, field_validator, model_validator

from lbbench.model.agreement import STICKY, disagreements
from lbbench.model.cluster import Cluster
from lbbench.model.demand import Demand, Sessions
from lbbench.model.fields import (
    AutoOrTime,
    Count,
    CountOrZero,
    Name,
    Part,
    PositiveTime,
    SmallCount,
    Text,
    Time,
    whole,
)
from lbbench.model.forms import entries
from lbbench.model.mistakes import Fault
from lbbench.model.objectives import Objectives, Precision, Sweep, parse_objective
from lbbench.model.places import Origin, as_nested
from lbbench.model.stages import Stages
from lbbench.model.timeline import Change

SCHEMA = "lbbench.scenario/1"
DURATION = "5min"


class Run(Part):
    """How long, how often, from which seed."""

    SHORT: ClassVar[str] = "{duration: 5min}"

    duration: PositiveTime | None = None
    requests: Count | None = None
    warmup: AutoOrTime = "auto"
    replications: SmallCount = 1
    seed: Annotated[int, BeforeValidator(whole(0, 2**63 - 1))] = 1
    window: AutoOrTime = "auto"
    drain: Time = 120.0
    precision: Precision | None = None

    @field_validator("window", mode="after")
    @classmethod
    def _some_width(cls, value: str | float) -> str | float:
        if value == 0.0:
            raise ValueError("must be greater than 0")
        return value


class Observed(Part):
    """What was measured in reality, to stand beside the simulated."""

    SHORT: ClassVar[str] = '{pods: {"10.244.0.4:80": 17}, requests: 17}'

    pods: dict[str, CountOrZero] = Field(default_factory=dict)
    latency: dict[Literal["mean", "p50", "p90", "p95", "p99", "p999", "max"], Time] = Field(
        default_factory=dict
    )
    requests: CountOrZero = 0
    note: Text = ""


class Scenario(Part):
    """A whole scenario; attributes are the keys of the file, times in seconds."""

    SHORT: ClassVar[str] = "traffic: {utilisation: 0.8}"

    schema_: Literal["lbbench.scenario/1"] = Field(default="lbbench.scenario/1", alias="schema")
    name: Name = "scenario"
    preset: Literal["aks-kubenet", "seed"] | None = None
    path: Literal["ingress", "service"] = "ingress"
    cluster: Cluster = Field(default_factory=Cluster)
    stages: Stages = Field(default_factory=Stages)
    traffic: Demand
    run: Run = Field(default_factory=Run)
    timeline: tuple[Change, ...] = ()
    slo: Objectives = Field(default_factory=dict)
    sweep: Sweep | None = None
    observed: Observed | None = None

    _folder: Path = PrivateAttr(default_factory=Path.cwd)
    _written: Mapping[str, Any] | None = PrivateAttr(default=None)
    _origin: Origin = PrivateAttr(default=Origin())

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, value: Any) -> Any:
        """Set the defaults that depend on other keys: the run's length and the cookie jars."""
        if not isinstance(value, Mapping):
            return value
        traffic, run = value.get("traffic"), value.get("run")
        made = dict(value)
        recorded = isinstance(traffic, Mapping) and traffic.get("trace") is not None
        if (run is None or isinstance(run, Mapping)) and not recorded:
            given = run or {}
            if given.get("duration") is None and given.get("requests") is None:
                made["run"] = {**given, "duration": DURATION}
        if isinstance(traffic, Mapping) and traffic.get("sessions") is None:
            sticky = value.get("path") != "service" and _balancer(value) in STICKY
            made["traffic"] = {**traffic, "sessions": {} if sticky else "none"}
        return made

    @field_validator("timeline", mode="before")
    @classmethod
    def _changes(cls, value: object) -> object:
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"must be a list of changes, for instance - {Change.SHORT}")
        return entries(Change, value)

    @model_validator(mode="after")
    def _agree(self) -> Scenario:
        found = disagreements(self)
        if found:
            raise Fault(found)
        return self

    @property
    def folder(self) -> Path:
        """The folder that relative paths in the scenario start from."""
        return self._folder

    def in_folder(self, folder: Path) -> Scenario:
        """Return the same scenario with relative paths starting from ``folder``."""
        made = self.model_copy()
        made._folder = folder  # noqa: SLF001
        return made

    @property
    def origin(self) -> Origin:
        """Where its keys were written."""
        return self._origin

    @property
    def written(self) -> Mapping[str, Any]:
        """The plain data that it was made from."""
        return self.resolved() if self._written is None else self._written

    def place_of(self, *keys: str | int) -> str:
        """Return where a key was written, as FILE:LINE: place_of("sweep", "axes")."""
        return self._origin.of(keys)

    def as_written(self, data: Mapping[str, Any], folder: Path, origin: Origin) -> Scenario:
        """Return the same scenario that remembers what it was made from, for `with_`."""
        made = self.model_copy()
        made._written, made._folder, made._origin = data, folder, origin  # noqa: SLF001
        return made

    def with_(self, changes: Mapping[str, Any]) -> Scenario:
        """Return the scenario with leaves changed, as ``--set`` does it on the command line.

        Parameters
        ----------
        changes
            Value by dotted path: {"stages.ingress.balancer": "ewma", "cluster.pods[3].speed": 0.5}.
            A text is read as YAML, so "1k/s" and "[4, 3, 3]" mean what they mean in a file.

        Raises
        ------
        ScenarioError
            When a path does not exist or a value is not allowed.
        """
        from lbbench.model.check import build
        from lbbench.model.notation import read_value

        return build(
            self.written,
            origin=self._origin,
            changes=[
                (path, read_value(value, path) if isinstance(value, str) else value)
                for path, value in changes.items()
            ],
            folder=self.folder,
            stem=self.name,
        )

    def at_point(self, values: Mapping[str, Any]) -> Scenario:
        """Return the scenario of one point of its sweep: leaves set, and no sweep any more.

        Parameters
        ----------
        values
            Value by dotted path, as plain data: unlike in `with_`, "0.10" is a text.

        Raises
        ------
        ScenarioError
            When these values do not go together; the place is that of the axis.
        """
        from lbbench.model.check import build

        return build(
            {key: value for key, value in self.written.items() if key != "sweep"},
            origin=self._origin,
            changes=list(values.items()),
            changed_at=self._places_of_axes(),
            folder=self.folder,
            stem=self.name,
        )

    def _places_of_axes(self) -> dict[str, str]:
        if self.sweep is None:
            return {}
        axes = [("axes", path) for path in self.sweep.axes]
        axes += [("zip", path) for path in self.sweep.zip]
        data = self.written
        return {
            path: self._origin.of(as_nested(("sweep", kind, path), data)) for kind, path in axes
        }

    @property
    def sessions(self) -> Sessions | None:
        """Return the cookie jars: none unless asked for or the balancer is sticky."""
        given = self.traffic.sessions
        return given if isinstance(given, Sessions) else None

    def objectives(self) -> dict[str, float]:
        """Return the objectives as numbers: seconds for latencies, shares else."""
        return {metric: parse_objective(metric, limit) for metric, limit in self.slo.items()}

    def resolved(self) -> dict[str, Any]:
        """Return every key with its value as plain data that loads back to an equal scenario."""
        data = self.model_dump(by_alias=True, exclude_none=True, mode="json")
        for key in ("timeline", "slo"):
            if not data[key]:
                del data[key]
        if "sweep" in data:
            data["sweep"] = {key: value for key, value in data["sweep"].items() if value}
        return data

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Scenario):
            return NotImplemented
        return self.__dict__ == other.__dict__

    def __hash__(self) -> int:
        return hash(json.dumps(self.resolved(), sort_keys=True))


def _balancer(data: Mapping[str, Any]) -> object:
    stages = data.get("stages")
    ingress = stages.get("ingress") if isinstance(stages, Mapping) else None
    return ingress.get("balancer") if isinstance(ingress, Mapping) else None
