"""Who leads among variants that met the same requests, in words and as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from lbbench.report.page.cells import of_chance, of_ratio, of_time, of_value, words
from lbbench.report.page.content import Cell, Column, Table
from lbbench.report.page.words import figure_name, listed, times
from lbbench.report.study import short_names
from lbbench.report.units import digits_for, seconds


class Leader(NamedTuple):
    """The best of several variants in one figure, from whatever document says so."""

    figure: str
    name: str
    value: float
    rivals: Sequence[Mapping[str, Any]]  # value, estimate, ratio, ratio_ci95, p_value, told_apart

    @property
    def tied(self) -> list[str]:
        """Rivals that the data do not tell apart from the best."""
        return [str(rival["value"]) for rival in self.rivals if not rival["told_apart"]]


def leaders_of(blocks: Sequence[Mapping[str, Any]]) -> dict[str, Leader]:
    """Return the leaders of a document by figure, the headline's first."""
    found = {}
    for block in blocks:
        figure = str(block["metric"]).removeprefix("latency.")
        found[figure] = Leader(figure, str(block["value"]), block["estimate"], block["rivals"])
    return found


def ranked(leader: Leader) -> list[str]:
    """Return who is the best and by how much, in a sentence or two."""
    name = figure_name(leader.figure)
    what = "mean latency" if name == "mean" else name
    apart = [rival for rival in leader.rivals if rival["told_apart"]]
    few = [rival for rival in leader.rivals if rival["p_value"] is None]
    tied = [rival for rival in leader.rivals if rival not in apart and rival not in few]
    first = f"{leader.name} has the lowest {what}, {seconds(leader.value)}"
    if tied:
        first += f", but is not told apart from {_named(tied)}"
    said = [f"{first}."]
    if apart:
        told = [f"{apart[0]['value']} has {_times(apart[0])} that"]
        told += [f"{rival['value']} {_times(rival)}" for rival in apart[1:3]]
        more = len(apart) - 3
        told += [f"{more} more at least {times(apart[3]['ratio'])}"] if more > 0 else []
        said.append(f"{listed(told)}.")
    if few:
        told = [f"{rival['value']} has {times(rival['ratio'])} that" for rival in few]
        said.append(f"{listed(told)}, but on too few independent requests to be sure.")
    return said


def sureness(leaders: Mapping[str, Leader]) -> str:
    """Return how sure the ranking is, by the headline's figure and by the mean."""
    said = []
    for figure, leader in leaders.items():
        what = "the mean" if figure == "mean" else figure_name(figure)
        few = [str(r["value"]) for r in leader.rivals if r["p_value"] is None]
        if not leader.tied:
            said.append(f"by {what} {leader.name} is told apart from every other")
        elif few == leader.tied:
            said.append(f"by {what} there are too few independent requests to judge {listed(few)}")
        else:
            said.append(f"by {what} {leader.name} is not told apart from {listed(leader.tied)}")
    if not said:
        return ""
    text = "; ".join(said)
    return (
        f"{text[0].upper()}{text[1:]} (5 % level, corrected for every pair that could have been "
        "the best)."
    )


def rivals_table(leaders: Mapping[str, Leader], head: str) -> Table | None:
    """Return the others against the best, by figure."""
    rows = [
        [
            words(rival["value"]),
            words(figure_name(figure)),
            of_time(rival["estimate"], digits_for([leader.value])),
            words(leader.name),
            of_time(leader.value, digits_for([leader.value])),
            of_ratio(rival["ratio"], 2, rival["ratio_ci95"]),
            of_chance(rival["p_value"]),
            words("yes" if rival["told_apart"] else _undecided(rival)),
        ]
        for figure, leader in leaders.items()
        for rival in leader.rivals
    ]
    if not rows:
        return None
    columns = [Column(head, is_text=True), Column("figure", is_text=True), Column("value", "ms"),
               Column("best", is_text=True), Column("its value", "ms"), Column("ratio"),
               Column("p-value"), Column("told apart", is_text=True)]  # fmt: skip
    note = (
        "Each against the best under the same requests. The p-value is that of the pair; told "
        "apart is what survives a factor for every pair that could have been the best, at 5 %."
    )
    return without_constant(Table("rivals", "Against the best", columns, rows, note), 3)


def differences_table(items: Sequence[Mapping[str, Any]], left: int = 0) -> Table:
    """Return the figures of every variant against those of the first."""
    leaves = list(dict.fromkeys(leaf for item in items for leaf in item.get("condition", {})))
    columns = [Column(name, is_text=True) for name in short_names(leaves)]
    columns += [Column("variant", is_text=True), Column("against", is_text=True),
                Column("figure", is_text=True), Column("difference"), Column("ratio"),
                Column("p-value"), Column("told apart", is_text=True)]  # fmt: skip
    rows = [
        [
            *(of_value(item.get("condition", {}).get(leaf, "–")) for leaf in leaves),
            words(item["value"]),
            words(item["against"]),
            words(figure_name(item["metric"])),
            _difference(item),
            of_ratio(item["ratio"], 3, item["ratio_ci95"]),
            of_chance(item["p_value"]),
            words("yes" if item["told_apart"] else _undecided(item)),
        ]
        for item in items
    ]
    note = (
        "Paired under the same requests; intervals at 95 % each, told apart at 5 % after Holm's "
        "correction over all differences that are compared together."
    )
    if left:
        note = f"The first {len(items):,} of {len(items) + left:,} differences. {note}"
    table = Table("differences", "Differences", columns, rows, note, is_folded=len(rows) > 24)
    return without_constant(table, len(leaves) + 1)


def without_constant(table: Table, i: int) -> Table:
    """Return the table with column ``i`` in its title, where all rows have the same there."""
    texts = {row[i].text for row in table.rows}
    if len(texts) != 1:
        return table
    name = table.columns[i].title
    said = f", {texts.pop()}" if name in table.title else f" {name} {texts.pop()}"
    return replace(
        table,
        title=table.title + said,
        columns=[*table.columns[:i], *table.columns[i + 1 :]],
        rows=[[*row[:i], *row[i + 1 :]] for row in table.rows],
    )


def _difference(item: Mapping[str, Any]) -> Cell:
    value, ci = item["difference"], item["difference_ci95"]
    if value is None:
        return Cell("–")
    scale, unit = (100.0, "%") if item["metric"] == "error_rate" else (1e3, "ms")
    digits = 3 if unit == "%" else digits_for([abs(value)])

    def signed(number: float) -> str:
        return f"{scale * number:+,.{digits}f}".replace("-", "−")

    note = "" if ci is None else f"{signed(ci[0])} to {signed(ci[1])}"
    return Cell(f"{signed(value)} {unit}", value, note)


def _named(rivals: Sequence[Mapping[str, Any]]) -> str:
    return listed([str(rival["value"]) for rival in rivals])


def _undecided(item: Mapping[str, Any]) -> str:
    return "too few requests" if item["p_value"] is None else "no"


def _times(rival: Mapping[str, Any]) -> str:
    return times(rival["ratio"], rival["ratio_ci95"])
