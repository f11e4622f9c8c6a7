"""The tables of a study's page; large ones are cut, and say what they leave out."""

from __future__ import annotations

from collections.abc import Sequence

from lbbench.report.page.cells import MOST_ROWS, cut, of_ratio, of_share, of_time, of_value, words
from lbbench.report.page.content import Cell, Column, Table
from lbbench.report.page.over_conditions import Ranking
from lbbench.report.page.ranking import differences_table
from lbbench.report.page.words import figure_name, listed, trait_of
from lbbench.report.study import short_names
from lbbench.report.units import count, digits_for
from lbbench.studies.study import Condition, Figure, Study, Summary

FIGURES = ("mean", "p50", "p99")

LAST = 100
"""Of the rows of a cut table, so many are those at its end."""

MOST_PARTS = 120
"""Points whose results are read for the parts of their latency: each is a document of its own."""


def points_table(study: Study, known: Sequence[Summary]) -> Table | None:
    """Return one row per point; of a large study the lowest and the highest by its figure."""
    if not known:
        return None
    figures = list(dict.fromkeys((*FIGURES, study.headline)))
    shown, left = cut(_by_headline(study, known), last=LAST)
    digits = {n: digits_for(_figure(one, f"latency.{n}").value for one in shown) for n in figures}
    columns = [Column(name, is_text=True) for name in short_names(study.axes)]
    columns += [Column(figure_name(name), "ms") for name in figures]
    columns += [Column("max/mean"), Column("errors", "%"), Column("busiest pod", "%")]
    sizes = {one.replications for one in shown}
    if len(sizes) > 1:
        columns.append(Column("replications"))
    rows = []
    for one in shown:
        row = _axes(study, one)
        for name in figures:
            figure = _figure(one, f"latency.{name}")
            row.append(of_time(figure.value, digits[name], figure.ci95))
        row += [
            of_ratio(_figure(one, "max_over_mean").value),
            of_share(_figure(one, "error_rate").value, 2),
            of_share(_figure(one, "utilisation.max").value),
        ]
        if len(sizes) > 1:
            row.append(Cell(str(one.replications), one.replications))
        rows.append(row)
    note = "Small figures are 95 % intervals."
    if left:
        note = (
            f"{count(len(shown))} of {count(len(known))} points: the {MOST_ROWS - LAST} with the "
            f"lowest {figure_name(study.headline)} and the {LAST} with the highest. All of them: "
            f"lbbench export {study.path.name} -o points.csv. {note}"
        )
    return Table("points", "The points", columns, rows, note)


def best_table(ranking: Ranking | None) -> Table | None:
    """Return who is the best under each condition, and how sure that is."""
    if ranking is None or len(ranking.conditions) < 2:
        return None
    leaves = list(ranking.conditions[0].values)
    shown, left = cut(ranking.conditions)
    what = figure_name(ranking.figure)
    columns = [Column(name, is_text=True) for name in short_names(leaves)]
    columns += [Column(f"lowest {what}", is_text=True), Column(what, "ms"),
                Column("next", is_text=True), Column("its ratio"),
                Column("not told apart", is_text=True)]  # fmt: skip
    leaders = [(c, leader) for c in shown if (leader := ranking.leader(c)) is not None]
    digits = digits_for(leader.value for _, leader in leaders)
    rows = []
    for condition, leader in leaders:
        closest = leader.rivals[0]
        row = [of_value(condition.values[leaf]) for leaf in leaves]
        row += [
            words(leader.name),
            of_time(leader.value, digits),
            words(closest["value"]),
            of_ratio(closest["ratio"], 2, closest["ratio_ci95"]),
            words(listed(leader.tied) if leader.tied else "–"),
        ]
        rows.append(row)
    note = f"{count(left)} more conditions are left out." if left else ""
    return Table("best", "The best under each condition", columns, rows, note)


def parts_table(study: Study, known: Sequence[Summary]) -> Table | None:
    """Return where the mean of each point comes from; None where there are too many to read."""
    if not known or len(known) > MOST_PARTS:
        return None
    traits = [(one, trait_of("", study.results(one.member))) for one in known]
    names = list(dict.fromkeys(name for _, trait in traits for name in trait.parts))
    names = [name for name in names if any(trait.parts.get(name) for _, trait in traits)]
    means = [sum(trait.parts.values()) for _, trait in traits]
    digits = digits_for([min(means, default=0.0) / 10.0])
    columns = [Column(name, is_text=True) for name in short_names(study.axes)]
    columns += [Column(name.replace("_", " "), "ms") for name in names]
    rows = [
        [*_axes(study, one), *(of_time(trait.parts.get(name), digits) for name in names)]
        for one, trait in traits
    ]
    return Table("parts", "Where the mean latency comes from", columns, rows, is_folded=True)


def differences_of(conditions: Sequence[Condition]) -> Table | None:
    """Return how the variants of each condition differ from its first."""
    items = [
        {"condition": dict(condition.values), **item}
        for condition in conditions
        if condition.differences is not None
        for item in condition.differences.to_list()
    ]
    if not items:
        return None
    shown, left = cut(items)
    return differences_table(shown, left)


def warnings_table(study: Study, summaries: Sequence[Summary]) -> Table | None:
    """Return what the runs of the points warn of."""
    warned = [(one, text) for one in summaries for text in one.warnings]
    if not warned:
        return None
    shown, left = cut(warned)
    columns = [Column(name, is_text=True) for name in short_names(study.axes)]
    columns.append(Column("warning", is_text=True))
    rows = [[*_axes(study, one), words(text)] for one, text in shown]
    note = f"{count(left)} more warnings are left out." if left else ""
    return Table("warnings", "Warnings of the points", columns, rows, note, is_folded=True)


def failures_table(study: Study) -> Table | None:
    """Return the points that are no scenario, or have a replication without a result."""
    failed = []
    for condition in study.conditions():
        for one in condition.summaries:
            if one.member.invalid is not None:
                failed.append((one, "no scenario", one.member.invalid))
            failed += [(one, "no result", text) for text in one.errors]
    if not failed:
        return None
    shown, left = cut(failed)
    columns = [Column(name, is_text=True) for name in short_names(study.axes)]
    columns += [Column("what", is_text=True), Column("reason", is_text=True)]
    rows = [[*_axes(study, one), words(what), words(text)] for one, what, text in shown]
    note = f"{count(left)} more are left out." if left else ""
    return Table("failures", "Points without a result", columns, rows, note)


def _axes(study: Study, one: Summary) -> list[Cell]:
    return [of_value(one.member.values[leaf]) for leaf in study.axes]


def _by_headline(study: Study, known: Sequence[Summary]) -> list[Summary]:
    """Return the points in their order, or many of them by the figure that says who is better."""
    if len(known) <= MOST_ROWS:
        return list(known)
    name = f"latency.{study.headline}"

    def value(one: Summary) -> float:
        found = _figure(one, name).value
        return float("inf") if found is None else found

    return sorted(known, key=value)


def _figure(one: Summary, name: str) -> Figure:
    return one.figures.get(name, Figure(None))
