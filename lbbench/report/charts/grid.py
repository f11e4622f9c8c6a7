"""The points of a study as charts need them: which leaf goes across, which tells charts apart."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lbbench.model.objectives import parse_objective
from lbbench.report.charts.leaves import LOADS, numbers_of
from lbbench.report.study import cell, short_names
from lbbench.studies.schedule import POLICY
from lbbench.studies.study import Study, Summary, name_of

PODS = "cluster.pods"

BUSY = 0.97
"""A pod that works more of its time than this is as good as overloaded."""


@dataclass(frozen=True)
class Grid:
    """The points of a study that have figures.

    Attributes
    ----------
    summaries
        Of these points.
    across
        The leaf along the horizontal axis; None when nothing that varies is a number.
    facets
        Leaves of the condition that tell charts apart.
    metric, limit_s
        The latency that is looked at, and what is asked of it (None: nothing).
    what
        What the lines are: ``balancer``, or ``policy`` when other leaves of the stages vary.
    """

    summaries: Sequence[Summary]
    across: str | None
    facets: Sequence[str]
    metric: str
    limit_s: float | None
    what: str

    @classmethod
    def of(cls, study: Study) -> Grid:
        """Return the grid of a study."""
        found = [one for condition in study.conditions() for one in condition.summaries]
        known = [one for one in found if one.figures]
        leaves = list(known[0].member.values) if known else []
        varied = [leaf for leaf in leaves if len(distinct(known, leaf)) > 1]
        condition = [leaf for leaf in varied if not leaf.startswith(POLICY)]
        numeric = [leaf for leaf in condition if numbers_of(leaf, distinct(known, leaf))]
        loads = [leaf for leaf in numeric if leaf in LOADS]
        across = next(iter([*loads, *numeric]), None)
        metric, limit_s = latency_objective(study.scenario)
        policies = [leaf for leaf in varied if leaf.startswith(POLICY)]
        return cls(
            summaries=known,
            across=across,
            facets=[leaf for leaf in condition if leaf != across],
            metric=metric,
            limit_s=limit_s,
            what="balancer" if all(leaf.endswith(".balancer") for leaf in policies) else "policy",
        )

    def groups(self, leaves: Sequence[str] | None = None) -> dict[str, list[Summary]]:
        """Return the summaries by their values of ``leaves``, in words; the facets without any."""
        leaves = self.facets if leaves is None else leaves
        names = short_names(leaves)
        found: dict[str, list[Summary]] = {}
        for one in self.summaries:
            values = [one.member.values[leaf] for leaf in leaves]
            text = ", ".join(f"{n} {cell(v)}" for n, v in zip(names, values, strict=True))
            found.setdefault(text, []).append(one)
        return found

    def by_policy(self) -> dict[str, list[Summary]]:
        """Return the summaries by the name of their policy."""
        found: dict[str, list[Summary]] = {}
        for one in self.summaries:
            found.setdefault(name_of(one.member), []).append(one)
        return found

    def number(self, one: Summary, leaf: str) -> float:
        """Return the value that a point has of a leaf whose values are numbers."""
        return (numbers_of(leaf, [one.member.values[leaf]]) or [0.0])[0]

    def most_loaded(self, most: int) -> dict[str, list[Summary]]:
        """Return conditions in words, each with its policies: of every facet the most loaded one.

        Of the loads at which some pod of a policy is always busy nothing can be learned, as queues
        grow as long as the run lasts; they count only where there are no others. At most ``most``
        conditions; with nothing across, they are taken as they come.
        """
        leaves = [*([self.across] if self.across else []), *self.facets]
        best: dict[str, tuple[str, list[Summary]]] = {}
        groups = self.groups(leaves)
        if self.across is not None:
            across = self.across
            groups = dict(sorted(groups.items(), key=lambda item: self.number(item[1][0], across)))
        for text, some in groups.items():
            facet = repr([some[0].member.values[leaf] for leaf in self.facets])
            if facet not in best or all(map(_is_stable, some)):
                best[facet] = text, some
        return dict(list(best.values())[:most])


def _is_stable(one: Summary) -> bool:
    figure = one.figures.get("utilisation.max")
    return figure is None or figure.value is None or figure.value < BUSY


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
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-.")


def left(n: int, most: int, where: str = "are in the tables") -> str:
    """Say how many of ``n`` are not drawn when ``most`` are; nothing when all are."""
    return f"{n - most} more {where}." if n > most else ""


def named(stem: str, text: str) -> str:
    """Return the name of a chart of several that ``text`` tells apart."""
    return f"{stem}-{slug(text)}" if text else stem
