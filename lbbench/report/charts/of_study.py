"""The charts of a study: latency against what it varies, one line per policy."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from lbbench.model.objectives import parse_objective
from lbbench.report.charts.latency_against_load import latency_against_load, latency_span
from lbbench.report.charts.leaves import LOADS, axis_of, numbers_of
from lbbench.report.charts.picture import Picture
from lbbench.report.study import cell, short_names
from lbbench.studies.study import Study, Summary, name_of

MOST = 6
"""Charts of one kind; what other conditions show stands in the tables."""


def pictures(study: Study) -> list[Picture]:
    """Return the charts of a study."""
    grid = Grid.of(study)
    return grid.latency()


@dataclass(frozen=True)
class Grid:
    """The points of a study with their figures, and which leaf goes along which axis.

    Attributes
    ----------
    summaries
        Of the points that have figures.
    across
        The leaf along the horizontal axis; None when nothing that varies is a number.
    facets
        Leaves of the condition that tell charts apart.
    metric, limit_s
        The latency that is looked at, and what is asked of it (None: nothing).
    """

    summaries: Sequence[Summary]
    across: str | None
    facets: Sequence[str]
    metric: str
    limit_s: float | None
    what: str = field(default="balancer")

    @classmethod
    def of(cls, study: Study) -> Grid:
        """Return the grid of a study."""
        found = [one for condition in study.conditions() for one in condition.summaries]
        known = [one for one in found if one.figures]
        values = known[0].member.values if known else {}
        varied = [leaf for leaf in values if len(distinct(known, leaf)) > 1]
        condition = [leaf for leaf in varied if not leaf.startswith("stages.")]
        numeric = [leaf for leaf in condition if numbers_of(leaf, distinct(known, leaf))]
        first = [leaf for leaf in numeric if leaf in LOADS]
        across = next(iter([*first, *numeric]), None)
        metric, limit_s = latency_objective(study.scenario)
        policies = {leaf for leaf in varied if leaf.startswith("stages.")}
        is_balancer = all(leaf.endswith(".balancer") for leaf in policies)
        return cls(
            summaries=known,
            across=across,
            facets=[leaf for leaf in condition if leaf != across],
            metric=metric,
            limit_s=limit_s,
            what="balancer" if is_balancer else "policy",
        )

    def groups(self) -> dict[str, list[Summary]]:
        """Return the summaries by what tells charts apart, in words; at most `MOST` of them."""
        found: dict[str, list[Summary]] = {}
        names = short_names(self.facets)
        for one in self.summaries:
            values = [one.member.values[leaf] for leaf in self.facets]
            text = ", ".join(f"{n} {cell(v)}" for n, v in zip(names, values, strict=True))
            found.setdefault(text, []).append(one)
        return found

    def latency(self) -> list[Picture]:
        """Return latency against the leaf that goes across, a chart per group."""
        if self.across is None:
            return []
        numbers = numbers_of(self.across, distinct(self.summaries, self.across)) or []
        axis, factor = axis_of(self.across, numbers)
        groups = {text: self._rows(some, factor) for text, some in self.groups().items()}
        span = latency_span([row for rows in groups.values() for row in rows], self.limit_s)
        left = len(groups) - MOST
        note = f"{left} more conditions are in the table." if left > 0 else ""
        of_load = self.across in LOADS
        stem = "latency-against-load" if of_load else f"latency-against-{slug(axis.names)}"
        return [
            latency_against_load(
                rows,
                x=axis,
                metric=self.metric,
                objective=self.limit_s,
                span_s=span,
                name=f"{stem}-{slug(text)}" if text else stem,
                title=self._title(axis.names, text),
                note=note,
                what=self.what,
            )
            for text, rows in list(groups.items())[:MOST]
        ]

    def _rows(self, summaries: Sequence[Summary], factor: float) -> list[dict[str, Any]]:
        rows = []
        for one in summaries:
            assert self.across is not None
            figure = one.figures[self.metric]
            numbers = numbers_of(self.across, [one.member.values[self.across]]) or [0.0]
            rows.append(
                {
                    "series": name_of(one.member) or "latency",
                    "x": numbers[0] * factor,
                    "value_s": figure.value,
                    "ci95_s": figure.ci95,
                }
            )
        return rows

    def _title(self, across: str, text: str) -> str:
        from lbbench.report.units import percentile

        short = percentile(self.metric.removeprefix("latency."))
        return f"{short} latency against {across}" + (f", {text}" if text else "")


def latency_objective(scenario: Mapping[str, Any]) -> tuple[str, float | None]:
    """Return the first objective on a latency, p99 without a limit when there is none."""
    for metric, limit in (scenario.get("slo") or {}).items():
        if metric.startswith("latency."):
            return metric, parse_objective(metric, limit)
    return "latency.p99", None


def distinct(summaries: Sequence[Summary], leaf: str) -> list[Any]:
    """Return the values that a leaf has, each once, in the order of the study."""
    found = {json.dumps(one.member.values[leaf]): one.member.values[leaf] for one in summaries}
    return list(found.values())


def slug(text: str) -> str:
    """Return a text as part of a file's name."""
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")
