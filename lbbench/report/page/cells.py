"""Cells of tables from figures; and tables of the terminal as tables of a page."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.report.layout import Grid
from lbbench.report.page.content import Cell, Column, Table
from lbbench.report.units import count, milliseconds, moment, p_value, percent, ratio, span

MOST_ROWS = 500
"""Rows of a table that a page holds; the whole is what `lbbench export` is for."""

SCALES = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "min": 60.0, "h": 3600.0}
NUMBER = re.compile(r"([<>+-]?)\s?([0-9][0-9,]*\.?[0-9]*(?:e[+-]?[0-9]+)?)\s?([a-zµ%]*)")


def words(text: object, tone: str = "") -> Cell:
    """Return a cell of text."""
    return Cell(str(text), tone=tone)


def of_time(
    value: float | None, digits: int | None = None, interval: Sequence[float] | None = None
) -> Cell:
    """Return a time in milliseconds, with its interval beside it."""
    note = "" if interval is None else span(interval, digits).replace("-", "–")
    return Cell(milliseconds(value, digits), value, note)


def of_share(value: float | None, digits: int = 1) -> Cell:
    """Return a share in percent."""
    return Cell(percent(value, digits), value)


def of_count(value: float | None) -> Cell:
    """Return a whole number."""
    return Cell(count(value), value)


def of_ratio(value: float | None, digits: int = 3, interval: Sequence[float] | None = None) -> Cell:
    """Return a plain number, with its interval beside it."""
    note = "" if interval is None else f"{interval[0]:.{digits}f}–{interval[1]:.{digits}f}"
    return Cell(ratio(value, digits), value, note)


def of_chance(value: float | None) -> Cell:
    """Return a p-value."""
    return Cell(p_value(value), value)


def of_moment(value: float | None) -> Cell:
    """Return a time of the run in seconds."""
    return Cell(moment(value), value)


def of_value(value: object) -> Cell:
    """Return a value of an axis; numbers and texts with a number in front sort as numbers."""
    if isinstance(value, bool):
        return Cell(str(value).lower())
    if isinstance(value, (int, float)):
        return Cell(f"{value:g}" if isinstance(value, float) else str(value), float(value))
    return Cell(str(value), order_of(str(value)))


def order_of(text: str) -> float | None:
    """Return the number that a text begins with, in its unit; None when there is none.

    Seconds for times ("85.3 ms" is less than "1.20 s"), else the number as it stands; a bound such
    as "<0.0001" is just beyond its number.
    """
    found = NUMBER.fullmatch(text.strip())
    if found is None:
        return None
    sign, digits, unit = found.groups()
    value = float(digits.replace(",", "")) * SCALES.get(unit, 1.0)
    return {"-": -value, "<": value * 0.999, ">": value * 1.001}.get(sign, value)


def from_grid(grid: Grid, name: str, first: str) -> Table:
    """Return a table of the terminal whose rows are named by ``first``.

    A column "95 % ..." goes beside the figure before it; one without a head holds verdicts.
    """
    beside = [i for i, head in enumerate(grid.columns) if i and head.startswith("95 %")]
    kept = [i for i in range(len(grid.columns)) if i not in beside]
    columns = [Column(first, is_text=True), *(_column(grid, i) for i in kept[1:])]
    rows = [
        [
            Cell(
                row[i],
                None if i == 0 else order_of(row[i]),
                row[i + 1].replace("-", "–") if i + 1 in beside and row[i + 1] != "-" else "",
                {"met": "good", "missed": "bad"}.get(row[i], ""),
            )
            for i in kept
        ]
        for row in grid.rows
    ]
    return Table(name, grid.title, columns, rows)


def cut(rows: Sequence[Any], most: int = MOST_ROWS, *, last: int = 0) -> tuple[list[Any], int]:
    """Return at most ``most`` rows, ``last`` of them from the end, and how many were left out."""
    if len(rows) <= most:
        return list(rows), 0
    return [*rows[: most - last], *rows[len(rows) - last :]], len(rows) - most


def of_rows(name: str, title: str, rows: Sequence[Mapping[str, Any]], *, note: str = "") -> Table:
    """Return a table of plain data: a column per key, numbers with four digits that matter."""
    heads = list(dict.fromkeys(key for row in rows for key in row))
    texts = {key for key in heads if any(isinstance(row.get(key), str) for row in rows)}
    columns = [Column(key, is_text=key in texts) for key in heads]
    return Table(
        name, title, columns, [[_plain(row.get(key)) for key in heads] for row in rows], note
    )


def _plain(value: Any) -> Cell:
    if value is None:
        return Cell("-")
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return Cell(str(value), order_of(str(value)))
    return Cell(f"{value:,.4g}" if abs(value) < 1e4 else f"{value:,.0f}", float(value))


def _column(grid: Grid, i: int) -> Column:
    """Return a column's head with its unit apart: "p99 ms" is p99 in ms."""
    head = grid.columns[i]
    title, _, unit = head.rpartition(" ")
    if unit in ("ms", "s", "%") and title:
        return Column(title, unit)
    if head in ("ms", "%"):
        return Column("value" if head == "ms" else "share", head)
    return Column(head or "verdict", is_text=not head or head in grid.left)
