"""A sweep, finished or not, as its ledger has it: points, results, figures, differences."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from lbbench.errors import InputError
from lbbench.model.result import Result
from lbbench.model.study import Effort, Member, Row
from lbbench.stats.evidence import Evidence
from lbbench.stats.intervals import Interval, all_intervals, estimate, interval
from lbbench.stats.remarks import is_of_one_run
from lbbench.store.ledger import Ledger
from lbbench.studies.differences import Differences, differences
from lbbench.studies.gathered import gathered
from lbbench.studies.leading import headline_of
from lbbench.studies.point import result_of
from lbbench.studies.schedule import condition_of, conditions, policy_of

SCHEMA = "lbbench.study/1"

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True)
class Figure:
    """A figure of a point over its replications, seconds or a share."""

    value: float | None
    ci95: Interval | None = None


@dataclass(frozen=True)
class Summary:
    """What the replications of one point say together.

    Attributes
    ----------
    member
        The point.
    replications
        How many of them have a result.
    errors
        Why the others have none, each sentence once.
    warnings
        What the runs warn of, each sentence once; what replications together mend left out.
    warmup_segments
        Segments that were left out, the same ones for all points of the condition.
    figures
        By name: ``latency.*`` from merged histograms and ``error_rate``, after the warm-up;
        ``utilisation.max`` and ``max_over_mean`` (of the last stage), means of the replications.
    """

    member: Member
    replications: int
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    warmup_segments: int
    figures: Mapping[str, Figure]

    def to_dict(self) -> dict[str, Any]:
        """Return the summary as plain data."""
        return {
            "point": self.member.number,
            "values": dict(self.member.values),
            "replications": self.replications,
            "errors": list(self.errors),
            "warnings": list(self.warnings),
            "warmup_segments": self.warmup_segments,
            "metrics": {
                name: {"value": figure.value, "ci95": figure.ci95}
                for name, figure in self.figures.items()
            },
        }


@dataclass(frozen=True)
class Condition:
    """Points that met the same requests and differ in what the stages do with them."""

    values: Mapping[str, Any]
    summaries: tuple[Summary, ...]
    differences: Differences | None  # None with a single point, or without results


class Study:
    """What a ledger holds of the study as it was planned last; read only.

    A context manager; `close` lets go of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._conditions: dict[tuple[int, ...], Condition] = {}
        self._ledger = Ledger.open(path, write=False)
        if self._ledger.noted("scenario") is None:
            self._ledger.close()
            raise InputError(f"{path}: no sweep into it has begun yet; give the sweep again")

    @classmethod
    def open(cls, path: str | Path) -> Study:
        """Return the study in the file ``path``.

        Raises
        ------
        InputError
            When there is no such file, or it holds no study.
        """
        return cls(Path(path))

    def __enter__(self) -> Self:
        """Return the study itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of the file."""
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._ledger.close()

    @cached_property
    def scenario(self) -> dict[str, Any]:
        """The scenario that the axes belong to, resolved."""
        return dict(json.loads(self._ledger.noted("scenario") or "{}"))

    @cached_property
    def versions(self) -> list[str]:
        """The package versions whose results count, the preferred one first."""
        return list(json.loads(self._ledger.noted("versions") or "[]"))

    @cached_property
    def points(self) -> list[Member]:
        """The points, in the order of the axes."""
        return list(self._ledger.members())

    @property
    def name(self) -> str:
        """The name of the scenario."""
        return str(self.scenario.get("name", ""))

    @property
    def seed(self) -> int:
        """The seed of all random streams."""
        return int(self.scenario["run"]["seed"])

    @cached_property
    def efforts(self) -> list[Effort]:
        """What its replications took, by the machine that ran them, the busiest first."""
        return self._ledger.efforts(self.seed, self.versions)

    @property
    def headline(self) -> str:
        """The figure that says which point is better: ``mean`` or a percentile."""
        return headline_of(self.scenario)

    @property
    def axes(self) -> list[str]:
        """The leaves that vary."""
        return list(self.points[0].values) if self.points else []

    def rows(self, point: Member) -> list[Row]:
        """Return the replications of a point that belong to the study, by number."""
        if point.invalid is not None:
            return []
        most = self._sizes.get(point.content, self._at_first)
        return preferred(self._ledger.rows(point.content, self.seed), self.versions, most)

    def results(self, point: Member) -> list[Result]:
        """Return the result of every replication of a point that has one."""
        scenario = json.loads(point.scenario)
        return [result_of(row, scenario) for row in self.rows(point) if row.status == "done"]

    def conditions(self) -> Iterator[Condition]:
        """Yield the points by condition, each with its figures, and how they differ."""
        for group in conditions(self.points):
            yield self.condition(group)

    def condition(self, group: Sequence[Member]) -> Condition:
        """Return the figures of points that met the same requests, and how they differ.

        Found once: the table, the pictures and the page of a large study all ask for it.
        """
        key = tuple(member.number for member in group)
        if key not in self._conditions:
            self._conditions[key] = self._condition(group)
        return self._conditions[key]

    def _condition(self, group: Sequence[Member]) -> Condition:
        rows = {member.number: self.rows(member) for member in group}
        first, evidence = gathered(rows)
        summaries = tuple(
            _summary(member, rows[member.number], list(evidence[member.number].values()), first)
            for member in group
        )
        return Condition(
            values=condition_of(group[0]),
            summaries=summaries,
            differences=_differences(group, evidence, first, self.headline),
        )

    def to_polars(self) -> pl.DataFrame:
        """Return one row per point, replication and metric; see studies/tidy.py."""
        from lbbench.studies.tidy import tidy

        return tidy(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the study as plain data (schema lbbench.study/1)."""
        found = list(self.conditions())
        return {
            "schema": SCHEMA,
            "name": self.name,
            "path": str(self.path),
            "versions": self.versions,
            "seed": self.seed,
            "missing": self.missing,
            "axes": self.axes,
            "scenario": self.scenario,
            "points": [one.to_dict() for condition in found for one in condition.summaries],
            "invalid": [
                {"point": member.number, "values": dict(member.values), "error": member.invalid}
                for member in self.points
                if member.invalid is not None
            ],
            "differences": [
                {"condition": dict(condition.values), **item}
                for condition in found
                if condition.differences is not None
                for item in condition.differences.to_list()
            ],
            "leads": [
                {"condition": dict(condition.values), **lead.to_dict()}
                for condition in found
                if condition.differences is not None
                for lead in condition.differences.leads.values()
            ],
        }

    @property
    def replications(self) -> int:
        """How many replications each point has, without those that `run.precision` adds."""
        return self._at_first

    def __repr__(self) -> str:
        return f"<Study {self.path}: {len(self.points)} points over {', '.join(self.axes)}>"

    @cached_property
    def missing(self) -> int:
        """How many replications are still to run: more than 0 while the sweep has not ended."""
        known = {member.content for member in self.points if member.invalid is None}
        wanted = sum(self._sizes.get(content, self._at_first) for content in known)
        there = {
            (content, replication)
            for content, seed, replication, version in self._ledger.statuses()
            if content in known
            and seed == self.seed
            and version in self.versions
            and replication < self._sizes.get(content, self._at_first)
        }
        return wanted - len(there)

    @cached_property
    def _sizes(self) -> dict[str, int]:
        """Replications by content, of the points that `run.precision` gave more than at first."""
        return dict(json.loads(self._ledger.noted("sizes") or "{}"))

    @cached_property
    def _at_first(self) -> int:
        """Replications of every other point."""
        return int(self._ledger.noted("at_first") or 0)


def preferred(rows: Sequence[Row], versions: Sequence[str], most: int) -> list[Row]:
    """Return one row per replication below ``most``, by number.

    A result goes before an error, then the version that ``versions`` has first.
    """
    best: dict[int, Row] = {}
    ranks = {version: rank for rank, version in enumerate(versions)}
    for row in rows:
        if row.version not in ranks or row.replication >= most:
            continue
        known = best.get(row.replication)
        if known is None or _rank(row, ranks) < _rank(known, ranks):
            best[row.replication] = row
    return [best[number] for number in sorted(best)]


def _rank(row: Row, ranks: Mapping[str, int]) -> tuple[bool, int]:
    return row.status != "done", ranks[row.version]


def name_of(member: Member) -> str:
    """Return the name of a variant: the values of its policy, the balancer's alone if it has one.

    ``ewma``, or ``ewma keepalive.upstream=64``.
    """
    parts = []
    for leaf, value in policy_of(member).items():
        text = value if isinstance(value, str) else json.dumps(value)
        is_balancer = leaf.endswith(".balancer")
        parts.append(text if is_balancer else f"{leaf.split('.', 2)[-1]}={text}")
    return " ".join(parts)


def _differences(
    group: Sequence[Member],
    evidence: Mapping[int, Mapping[int, Evidence]],
    first: int,
    headline: str,
) -> Differences | None:
    """Return the differences of every pair, on the replications that both of it have."""
    runs = {name_of(member): evidence[member.number] for member in group if evidence[member.number]}
    return differences(runs, first, headline=headline) if len(runs) > 1 else None


def _summary(
    member: Member, rows: Sequence[Row], evidence: Sequence[Evidence], first: int
) -> Summary:
    errors = dict.fromkeys(row.error for row in rows if row.error is not None)
    results = [result_of(row) for row in rows if row.status == "done"]
    single = len(results) == 1
    warnings = dict.fromkeys(
        text for result in results for text in result.warnings if single or not is_of_one_run(text)
    )
    return Summary(
        member=member,
        replications=len(evidence),
        errors=tuple(errors),
        warnings=tuple(warnings),
        warmup_segments=first,
        figures=_figures(results, evidence, first) if evidence else {},
    )


def _figures(
    results: Sequence[Result], evidence: Sequence[Evidence], first: int
) -> dict[str, Figure]:
    units, _, found = all_intervals(evidence, first)
    figures = {
        f"latency.{name}": Figure(estimate(units, name), ci95) for name, ci95 in found.items()
    }
    figures["error_rate"] = Figure(estimate(units, "error_rate"), interval(units, "error_rate"))
    for name, values in {
        "utilisation.max": [result.metric("utilisation.max") for result in results],
        "max_over_mean": [r.stages[-1]["balance"]["max_over_mean"] for r in results],
    }.items():
        known = [value for value in values if value is not None]
        figures[name] = Figure(sum(known) / len(known) if known else None)
    return figures
