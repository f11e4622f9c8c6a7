"""What a study says, for the terminal: its points, and how its variants differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.sweep_progress import SweepBar
from lbbench.report.units import count, digits_for, milliseconds, percent, ratio, span
from lbbench.stats.pairs import Difference
from lbbench.studies.differences import SAID
from lbbench.studies.study import Condition, Figure, Study, Summary

MOST_ROWS = 40
BEST, WORST = 12, 6
"""Rows of a study that has more points than a table can show."""

MOST_REASONS = 5

FEW = 5
"""Fewer replications make intervals of luck: Student's factor is 12.7 for two and 2.8 for five."""

MOST_CONDITIONS = 4
"""Conditions whose differences are said one by one; of more the outcomes are counted."""

OUTCOMES = ("lower", "higher", "cannot be told apart", "too few requests")
"""What a difference can come to, over many conditions."""

SHORT = ("distribution", "process")
"""Leaves whose last word alone says too little."""


def show(study: Study, console: Console, bar: SweepBar | None = None) -> None:
    """Print the points with their figures, then the differences in words."""
    found = []
    done = 0
    for condition in study.conditions():
        found.append(condition)
        done += len(condition.summaries)
        if bar is not None:
            bar.step("summing up", done, len(study.points))
    if bar is not None:
        bar.stop()
    summaries = [one for condition in found for one in condition.summaries]
    console.print(Text(study.name, style="bold"))
    replications = sorted({one.replications for one in summaries})
    console.print(
        Text(
            f"{count(len(study.points))} points, {_range(replications)} each; "
            f"seed {study.seed}; {study.path}"
        )
    )
    for text in (*reservations(study), *failures(study, summaries)):
        console.print(Text(f"warning: {text}", style="yellow"))
    if any(one.figures for one in summaries):
        console.print()
        for part in tables(study, summaries):
            console.print(part)
    sentences = said(found)
    if sentences:
        console.print()
        for sentence in sentences:
            console.print(Text(sentence))


def reservations(study: Study) -> list[str]:
    """Return what has to be known before a study is read: what is missing, and what is mixed."""
    texts = []
    if study.missing:
        texts.append(
            f"{count(study.missing)} replications are missing: the sweep has not ended, give its "
            "command again"
        )
    if 1 < study.replications < FEW:
        texts.append(
            f"{study.replications} replications give wide intervals, or none (-); "
            f"run.replications of {FEW} or more are worth their time"
        )
    if len(study.versions) > 1:
        texts.append(
            f"results of lbbench {', '.join(study.versions)} are taken together (--reuse); between "
            "versions the same seed may mean other requests"
        )
    return texts


def failures(study: Study, summaries: Iterable[Summary]) -> list[str]:
    """Return how many points have no result, or not all, and the reasons; then what runs warn of.

    A warning holds figures of its own run, so one stands for all.
    """
    summaries = list(summaries)
    reasons = Counter(error for one in summaries for error in one.errors)
    reasons += Counter(point.invalid for point in study.points if point.invalid is not None)
    said = [
        f"{_points(n)} without a result: {text}" for text, n in reasons.most_common(MOST_REASONS)
    ]
    left = reasons.total() - sum(n for _, n in reasons.most_common(MOST_REASONS))
    if left:
        said.append(f"{_points(left)} more have no result, for other reasons")
    warned = [one for one in summaries if one.warnings]
    if warned:
        names = short_names(study.axes)
        values = zip(names, warned[0].member.values.values(), strict=True)
        first = ", ".join(f"{name} {cell(value)}" for name, value in values)
        said.append(f"{_points(len(warned))} with a warning, the first ({first}): "
                    f"{warned[0].warnings[0]}")  # fmt: skip
    return said


def tables(study: Study, summaries: Sequence[Summary]) -> list[Grid | Text]:
    """Return one row per point; of a large study the best and the worst."""
    known = [one for one in summaries if one.figures]
    if len(known) <= MOST_ROWS:
        return [table(study, known)]
    ranked = sorted(known, key=_p99)
    left = len(known) - BEST - WORST
    return [
        table(study, ranked[:BEST], f"the {BEST} points with the lowest p99"),
        Text(),
        table(study, ranked[-WORST:], f"the {WORST} with the highest"),
        Text(),
        Text(f"{count(left)} points lie between; lbbench export {study.path} -o FILE has them all"),
    ]


def table(study: Study, summaries: Sequence[Summary], title: str = "") -> Grid:
    """Return the axes of the points, their latency with intervals, balance, errors and load."""
    axes = short_names(study.axes)
    names = ("mean", "p50", "p99")
    digits = {
        name: digits_for(_figure(one, f"latency.{name}").value for one in summaries)
        for name in names
    }
    columns = list(axes)
    for name in names:
        columns += [f"{name} ms", f"95 % of {name}"]
    columns += ["max/mean", "errors %", "busiest pod %"]
    rows = []
    for one in summaries:
        row = [cell(one.member.values[leaf]) for leaf in study.axes]
        for name in names:
            figure = _figure(one, f"latency.{name}")
            row += [milliseconds(figure.value, digits[name]), span(figure.ci95, digits[name])]
        row += [
            ratio(_figure(one, "max_over_mean").value),
            percent(_figure(one, "error_rate").value, 2),
            percent(_figure(one, "utilisation.max").value),
        ]
        rows.append(row)
    spare = ["95 % of p50", "busiest pod %", "95 % of mean", "p50 ms", "95 % of p99", "max/mean"]
    if not any(_figure(one, "error_rate").value for one in summaries):
        spare.insert(2, "errors %")
    return Grid(title, columns, rows, spare=spare, left=frozenset(axes))


def said(conditions: Sequence[Condition]) -> list[str]:
    """Return how the variants differ: by condition, or counted over many of them."""
    known = [condition for condition in conditions if condition.differences is not None]
    if len(known) <= MOST_CONDITIONS:
        return [
            f"{under(condition)}{sentence}"
            for condition in known
            if condition.differences is not None
            for sentence in condition.differences.sentences()
        ]
    return [*counted(known), *once(known)]


def under(condition: Condition) -> str:
    """Return the condition as the beginning of a sentence."""
    names = short_names(list(condition.values))
    values = zip(names, condition.values.values(), strict=True)
    text = ", ".join(f"{name} {cell(value)}" for name, value in values)
    return f"{text}: " if text else ""


def counted(conditions: Sequence[Condition]) -> list[str]:
    """Return in how many conditions each variant is lower, higher, or cannot be told apart."""
    outcomes: dict[tuple[str, str, str], Counter[str]] = {}
    for condition in conditions:
        found = condition.differences
        if found is None:
            continue
        for name, items in found.items.items():
            for item in items:
                if item.metric in SAID:
                    key = (name, item.metric, found.base)
                    told = found.told_apart[name][item.metric]
                    outcomes.setdefault(key, Counter())[_outcome(item, told=told)] += 1
    return [
        f"{name} {metric.replace('_', ' ')} against {base}: "
        + ", ".join(f"{kind} in {n[kind]:,}" for kind in OUTCOMES if n[kind])
        + f" of {n.total():,} conditions"
        for (name, metric, base), n in outcomes.items()
    ]


def _outcome(item: Difference, *, told: bool) -> str:
    lower, higher, same, few = OUTCOMES
    if item.difference_ci95 is None:
        return few
    if not told:
        return same
    return lower if (item.difference or 0.0) < 0.0 else higher


def once(conditions: Sequence[Condition]) -> list[str]:
    """Return how the counted differences were judged."""
    n = max(
        sum(len(items) for items in condition.differences.items.values())
        for condition in conditions
        if condition.differences is not None
    )
    return [f"(5 % level, corrected by Holm over the {n} differences of each condition)"]


def short_names(leaves: Sequence[str]) -> list[str]:
    """Return the last words of dotted leaves, as many as tell them apart and say something."""
    made = []
    for leaf in leaves:
        words = leaf.split(".")
        size = 2 if words[-1] in SHORT and len(words) > 1 else 1
        while size < len(words) and any(
            other != leaf and other.split(".")[-size:] == words[-size:] for other in leaves
        ):
            size += 1
        made.append(".".join(words[-size:]))
    return made


def cell(value: object) -> str:
    """Return a value of an axis as a table shows it; ``lognormal mean 50ms cv 1.5`` for keys."""
    if isinstance(value, Mapping):
        words = ((key, cell(entry)) for key, entry in value.items())
        return " ".join(text if key in SHORT else f"{key} {text}" for key, text in words)
    return f"{value:g}" if isinstance(value, float) else str(value)


def _points(n: int) -> str:
    return f"{count(n)} point{'' if n == 1 else 's'}"


def _figure(one: Summary, name: str) -> Figure:
    return one.figures.get(name, Figure(None))


def _p99(one: Summary) -> float:
    value = _figure(one, "latency.p99").value
    return float("inf") if value is None else value


def _range(numbers: Sequence[int]) -> str:
    if not numbers:
        return "no replications"
    text = str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    return f"{text} replication{'' if text == '1' else 's'}"
