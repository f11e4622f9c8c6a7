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

FEW = 3
"""Conditions that a sentence names one by one."""


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
        won: dict[str, list[Condition]] = {}
        for condition in self.conditions:
            if leader := self.leader(condition):
                won.setdefault(leader.name, []).append(condition)
        (first, most), *others = sorted(won.items(), key=lambda item: -len(item[1]))
        apart = sum(self._is_apart(condition) for condition in most)
        text = f"{first} has the lowest {what} under {_of(len(most), n)} conditions (told apart "
        text += f"from the next under {count(apart) if apart else 'none'})"
        regrets = self.regrets()
        best = regrets[0] if regrets else None
        if others and best is not None and best.name == first:
            text += f", and at most {_factor(best.worst)} the lowest under the others"
        said = [f"{text}."]
        told: list[str] = []
        for name, where in others:
            text = f"{name}{'' if told else ' has the lowest'} under {count(len(where))}"
            if len(where) <= FEW:
                text += f" ({'; '.join(under(c).removesuffix(': ') for c in where)})"
            told.append(text)
        if told:
            said.append(f"{listed(told)}.")
        if others and best is not None and best.name != first:
            said.insert(
                1,
                f"As the one choice for all, {best.name}: it is at most {_factor(best.worst)} the "
                "lowest.",
            )
        rest = regrets[1:]
        if rest:
            told = [
                f"{_factor(one.worst)}{'' if i else ' the lowest'} with {one.name}"
                for i, one in enumerate(rest)
            ]
            said.append(f"Where it is farthest off, {what} is {listed(told)}.")
        return said

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
            whole = len(self.conditions)
            told = [f"under {count(n) if n else 'none'} with {listed(by_count[n])}"
                    for n in sorted(by_count)[::-1]]  # fmt: skip
            said.append(
                f"Of the {count(whole)} conditions, {figure_name(metric)} surely stays within "
                f"{limit_text(metric, limit)} {', '.join(told)}."
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
            text = f"by {'the mean' if name == 'mean' else name} under "
            text += (
                f"{count(found['apart']) if found['apart'] else 'none'} of {count(n)} conditions"
            )
            if found["few"]:
                text += f" (under {count(found['few'])} too few requests are independent)"
            said.append(text)
        text = f"The best is told apart from the next {', '.join(said)}; at the 5 % level, "
        return [f"{text}corrected for every pair of a condition."]

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

    def _is_apart(self, condition: Condition) -> bool:
        """Tell whether the best under a condition is told apart from the next."""
        leader = self.leader(condition)
        return leader is not None and bool(leader.rivals[0]["told_apart"])

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


def _of(n: int, whole: int) -> str:
    return f"all {count(n)}" if n == whole else f"{count(n)} of {count(whole)}"


def _factor(value: float) -> str:
    return f"{value:.2f} times" if value < 10 else f"{value:.0f} times"
