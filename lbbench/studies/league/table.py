"""One job of the league: its entrants' figures, their order, and how relatives differ.

The order is that of the p99 of all requests, where a failed one counts as never answered: who fails
more than one request in a hundred has no p99, comes behind all others and goes by the errors.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

from lbbench.balancers.base import registry
from lbbench.stats.evidence import Evidence
from lbbench.stats.pairs import Difference, Side, holm, paired, paired_sides, side_of
from lbbench.studies.gathered import gathered
from lbbench.studies.league.figures import Figure, figures_of
from lbbench.studies.league.jobs import Entrant, Starters
from lbbench.studies.study import Study

FAILS = 0.01
"""Share of failed requests beyond which one in a hundred, and so the p99, is a failure."""

CHANCE = 0.05

COMPARED = ("p99", "error_rate")
"""Figures in which relatives are compared."""


@dataclass(frozen=True)
class Standing:
    """One entrant at one job.

    Attributes
    ----------
    figures
        By name, see studies/league/figures.py.
    ratio
        Its p99 over that of the job's best entrant, paired by replication.
    utilisation
        Of its busiest pod.
    warnings
        What its runs warn of, each sentence once.
    """

    entrant: Entrant
    figures: Mapping[str, Figure]
    ratio: Figure
    utilisation: float | None
    warnings: tuple[str, ...]

    @property
    def fails(self) -> bool:
        """Tell whether more than one request in a hundred failed, so that there is no p99."""
        return (self.figures["error_rate"].value or 0.0) > FAILS

    @property
    def order(self) -> tuple[bool, float, float, str]:
        """What a job's table is sorted by."""
        p99 = self.figures["p99"].value
        slow = math.inf if p99 is None else p99
        errors = self.figures["error_rate"].value or 0.0
        return self.fails, errors if self.fails else slow, slow, self.entrant.name


@dataclass(frozen=True)
class Pair:
    """How a balancer differs from one that it names as a relative; names of the registry."""

    name: str
    other: str
    difference: Difference  # of `name` against `other`
    told_apart: bool  # by Holm's correction over all pairs of the job


@dataclass(frozen=True)
class JobTable:
    """What one job gave.

    Attributes
    ----------
    scenario
        Resolved, as the job is defined: each entrant changes its own leaves only.
    question
        What the job asks, one line; empty for a scenario of somebody's own.
    standings
        The best first.
    missing
        Why an entrant has no figures, by name.
    """

    scenario: Mapping[str, Any]
    question: str
    leaves: tuple[str, ...]
    replications: int
    warmup_segments: int
    standings: tuple[Standing, ...]
    missing: Mapping[str, str]
    pairs: tuple[Pair, ...]

    @property
    def name(self) -> str:
        """The name of the job."""
        return str(self.scenario["name"])

    @property
    def counts(self) -> bool:
        """Tell whether p99 orders the job: most entrants answer 99 of 100 requests."""
        rates = [one.figures["error_rate"].value or 0.0 for one in self.standings]
        return bool(rates) and median(rates) <= FAILS


def table_of(
    study: Study, starting: Starters, *, question: str = "", own_scenario: Mapping[str, Any]
) -> JobTable:
    """Return the table of a job whose sweep has ended.

    ``own_scenario`` is the job's, resolved, without the sweep that was made of it.
    """
    entrants = {tuple(one.values.items()): one for one in starting.entrants}
    names = {p.number: entrants[tuple(p.values.items())] for p in study.points}
    rows = {point.number: study.rows(point) for point in study.points}
    first, evidence = gathered(rows)
    missing = dict(starting.refused)
    found: dict[str, dict[str, Any]] = {}
    for point in study.points:
        entrant, done = names[point.number], evidence.get(point.number, {})
        errors = [row.error for row in rows[point.number] if row.error is not None]
        if errors or not done:
            missing[entrant.name] = point.invalid or next(iter(errors), "has no result")
            continue
        results = study.results(point)
        busiest = [r.metric("utilisation.max") or 0.0 for r in results]
        found[entrant.name] = {
            "entrant": entrant,
            "figures": figures_of(results, list(done.values()), first),
            "utilisation": sum(busiest) / len(busiest),
            "warnings": tuple(dict.fromkeys(text for r in results for text in r.warnings)),
        }
    counted = {names[number].name: runs for number, runs in evidence.items()}
    counted = {name: runs for name, runs in counted.items() if name in found}
    sides = _Sides(counted, first)
    ratios = _ratios({name: one["figures"] for name, one in found.items()}, sides)
    standings = [Standing(ratio=ratios[name], **one) for name, one in found.items()]
    return JobTable(
        scenario=own_scenario,
        question=question,
        leaves=starting.leaves,
        replications=max((len(runs) for runs in counted.values()), default=0),
        warmup_segments=first,
        standings=tuple(sorted(standings, key=lambda one: one.order)),
        missing=missing,
        pairs=_pairs([one["entrant"] for one in found.values()], sides),
    )


class _Sides:
    """Paired differences between entrants, each entrant's side of them worked out once."""

    def __init__(self, runs: Mapping[str, Mapping[int, Evidence]], first: int) -> None:
        self.runs, self.first = runs, first
        self.known: dict[str, Side] = {}

    def between(self, a: str, b: str, figure: str) -> Difference:
        """Return how ``b`` differs from ``a`` on the replications, all of which both have."""
        left, right = list(self.runs[a].values()), list(self.runs[b].values())
        if min(len(left), len(right)) < 2 or len(left) != len(right):
            return paired(left[:1], right[:1], figure, first=self.first)
        return paired_sides(self._side(a), self._side(b), figure)

    def _side(self, name: str) -> Side:
        if name not in self.known:
            self.known[name] = side_of(list(self.runs[name].values()), self.first)
        return self.known[name]


def _ratios(figures: Mapping[str, Mapping[str, Figure]], sides: _Sides) -> dict[str, Figure]:
    """Return every entrant's p99 as a multiple of the least one among those that do not fail."""
    p99 = {name: found["p99"].value for name, found in figures.items()}
    known = {name: value for name, value in p99.items() if value is not None}
    sound = {n: v for n, v in known.items() if (figures[n]["error_rate"].value or 0.0) <= FAILS}
    least = sound or known
    if not least:
        return dict.fromkeys(figures, Figure(None))
    best = min(least, key=lambda name: least[name])
    made = {}
    for name in figures:
        found = sides.between(best, name, "p99")
        made[name] = Figure(found.ratio, found.ratio_ci95)
    return made | {best: Figure(1.0)}


def _pairs(entrants: Sequence[Entrant], sides: _Sides) -> tuple[Pair, ...]:
    """Return every balancer against the relatives that it names, as far as they ran.

    Of a balancer that entered several times (schedulers of one mode) the first counts.
    """
    by_balancer: dict[str, str] = {}
    for one in entrants:
        by_balancer.setdefault(one.balancer, one.name)
    known = registry()
    asked = [
        (balancer, other)
        for balancer in by_balancer
        if balancer in known
        for other, _ in known[balancer].differs
        if other in by_balancer and other != balancer
    ]
    found = [
        (a, b, sides.between(by_balancer[b], by_balancer[a], figure))
        for figure in COMPARED
        for a, b in asked
    ]
    corrected = holm([1.0 if item.p_value is None else item.p_value for _, _, item in found])
    return tuple(
        Pair(a, b, item, item.p_value is not None and p < CHANCE)
        for (a, b, item), p in zip(found, corrected, strict=True)
    )
