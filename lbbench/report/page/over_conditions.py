"""Variants over many conditions: who is the best where, and what the one choice for all costs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from lbbench.model.objectives import parse_objective
from lbbench.report.page.ranking import Leader, leaders_of, ranked, sureness
from lbbench.report.page.words import figure_name, limit_text, listed
from lbbench.report.study import under
from lbbench.report.units import count
from lbbench.studies.study import Condition, Study, Summary, name_of


class Regret(NamedTuple):
    """How far a variant is behind the best, over all conditions."""

    name: str
    worst: float  # its figure over the lowest one, where that is the largest
    where: Condition
    typical: float  # the geometric mean of the same ratio


@dataclass(frozen=True)
class Ranking:
    """The variants of a study under each condition.

    Attributes
    ----------
    figure
        By which they are ranked.
    conditions
        Those under which at least two variants have the figure.
    names
        The variants, in the order of the study.
    """

    figure: str
    conditions: Sequence[Condition]
    names: Sequence[str]

    def leaders(self, condition: Condition) -> dict[str, Leader]:
        """Return who leads under a condition, by figure."""
        found = condition.differences
        return leaders_of([] if found is None else [one.to_dict() for one in found.leads.values()])

    def leader(self, condition: Condition) -> Leader | None:
        """Return who leads under a condition in the headline's figure."""
        return self.leaders(condition).get(self.figure)

    def sentences(self) -> list[str]:
        """Return which variant is the best, under how many conditions, and the choice for all."""
        what = figure_name(self.figure)
        if len(self.conditions) == 1:
            leader = self.leader(self.conditions[0])
            return [] if leader is None else ranked(leader)
        n = len(self.conditions)
        wins = Counter(leader.name for c in self.conditions if (leader := self.leader(c)))
        (first, most), *others = wins.most_common()
        if not others:
            said = [f"{first} has the lowest {what} under all {count(n)} conditions."]
        else:
            rest = [f"{name} under {count(k)}" for name, k in others]
            text = f"{first} has the lowest {what} under {count(most)} of {count(n)} conditions"
            said = [f"{text}, {listed(rest)}."]
        return [*said, *self._one_for_all()]

    def _one_for_all(self) -> list[str]:
        """Return the variant that is never far behind, and how far the others are."""
        found = self.regrets()
        if len(found) < 2:
            return []
        best, *others = found
        what = figure_name(self.figure)
        behind = [f"{one.name} by up to {_factor(one.worst)}" for one in others]
        if best.worst <= 1.0:
            return [f"The others are behind: {listed(behind)}."]
        where = under(best.where).removesuffix(": ")
        return [
            f"As the one choice for all of them, {best.name}: its {what} is at most "
            f"{_factor(best.worst)} the lowest ({where}). The others are behind: {listed(behind)}."
        ]

    def regrets(self) -> list[Regret]:
        """Return how far each variant is behind, the least first.

        Only variants that have the figure under every condition: the rest cannot be the choice.
        """
        found = []
        for name in self.names:
            ratios = []
            for condition in self.conditions:
                values = self._values(condition)
                if name not in values:
                    break
                ratios.append((values[name] / min(values.values()), condition))
            else:
                worst, where = max(ratios, key=lambda item: item[0])
                typical = math.exp(sum(math.log(r) for r, _ in ratios) / len(ratios))
                found.append(Regret(name, worst, where, typical))
        return sorted(found, key=lambda one: (one.worst, one.typical))

    def kept(self, slo: Mapping[str, Any]) -> list[str]:
        """Return under how many conditions each variant keeps each objective."""
        said = []
        by_name: dict[str, list[Summary]] = {name: [] for name in self.names}
        for condition in self.conditions:
            for one in condition.summaries:
                if one.figures:
                    by_name[name_of(one.member)].append(one)
        each = {name: list(keeps(slo, found)) for name, found in by_name.items()}
        for number, (metric, limit, _) in enumerate(next(iter(each.values()))):
            by_count: dict[int, list[str]] = {}
            for name, found in each.items():
                by_count.setdefault(found[number][2].count("kept"), []).append(name)
            told = [f"{count(n)} with {listed(by_count[n])}" for n in sorted(by_count)[::-1]]
            said.append(
                f"The limit of {limit_text(metric, limit)} for {figure_name(metric)} is kept with "
                f"confidence under {'; '.join(told)}, of {count(len(self.conditions))} conditions."
            )
        return said

    def sureness(self) -> list[str]:
        """Return under how many conditions the best is told apart from every other."""
        if len(self.conditions) == 1:
            text = sureness(self.leaders(self.conditions[0]))
            return [text] if text else []
        n = len(self.conditions)
        told: dict[str, Counter[str]] = {}
        for condition in self.conditions:
            for figure, leader in self.leaders(condition).items():
                closest = leader.rivals[0]
                outcome = "apart" if closest["told_apart"] else "tied"
                outcome = "few" if closest["p_value"] is None else outcome
                told.setdefault(figure, Counter())[outcome] += 1
        said = []
        for figure, found in told.items():
            name = figure_name(figure)
            text = f"By {'the mean' if name == 'mean' else name} the best is told apart from the "
            text += f"next under {count(found['apart']) if found['apart'] else 'none'} of "
            text += f"{count(n)} conditions"
            if found["few"]:
                text += f"; under {count(found['few'])} there are too few independent requests"
            said.append(f"{text}.")
        return [*said, "That is at the 5 % level, corrected for every pair of a condition."]

    def widest(self) -> tuple[Condition, Summary, Summary] | None:
        """Return the condition under which best and worst differ most, and these two."""
        found = None
        most = 1.0
        for condition in self.conditions:
            values = self._values(condition)
            low, high = min(values, key=values.__getitem__), max(values, key=values.__getitem__)
            if values[high] / values[low] > most:
                most = values[high] / values[low]
                by_name = {name_of(one.member): one for one in condition.summaries}
                found = condition, by_name[low], by_name[high]
        return found

    def _values(self, condition: Condition) -> dict[str, float]:
        return {
            name_of(one.member): value
            for one in condition.summaries
            if one.figures and (value := one.figures[f"latency.{self.figure}"].value)
        }


def ranking_of(study: Study, conditions: Sequence[Condition]) -> Ranking | None:
    """Return the ranking of a study's variants; None when it compares none."""
    known = [c for c in conditions if c.differences is not None and c.differences.lead is not None]
    known = [c for c in known if study.headline in (c.differences.leads if c.differences else {})]
    names = dict.fromkeys(name_of(one.member) for c in known for one in c.summaries)
    return Ranking(study.headline, known, list(names)) if known else None


def keeps(
    slo: Mapping[str, Any], summaries: Sequence[Summary]
) -> Iterator[tuple[str, float, list[str]]]:
    """Yield every objective with its limit and how each point stands to it.

    ``kept``: the upper end of the interval is at most the limit; ``missed``: the lower end is above
    it; ``open``: neither, or there is no interval. A figure without intervals (utilisation) is
    judged by its value.
    """
    for metric, written in slo.items():
        limit = parse_objective(metric, written)
        if not any(metric in one.figures for one in summaries):
            continue
        stands = []
        for one in summaries:
            figure = one.figures.get(metric)
            if figure is None or figure.value is None:
                stands.append("open")
            elif metric == "utilisation.max":
                stands.append("kept" if figure.value <= limit else "missed")
            elif figure.ci95 is None:
                stands.append("open")
            elif figure.ci95[1] <= limit:
                stands.append("kept")
            else:
                stands.append("missed" if figure.ci95[0] > limit else "open")
        yield metric, limit, stands


def _factor(value: float) -> str:
    return f"{value:.2f} times" if value < 10 else f"{value:.0f} times"
