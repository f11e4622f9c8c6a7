"""Recorded runs as tables: for each run what was measured, what was predicted, the verdict."""

from __future__ import annotations

import itertools
import math

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.verify.reality import Reality
from lbbench.verify.reality_ensemble import LATENCIES, Row

COLUMNS = ("measure", "measured", "predicted", "± sd", "z", "limit", "verdict")
SPARE = ("± sd", "limit")
LEFT = frozenset({"limit", "verdict"})
MS = 1e3


def show(found: Reality, console: Console) -> None:
    """Print a table per run, a sentence for every measure that fails, and the count."""
    for name, group in itertools.groupby(found.rows, key=title):
        rows = list(group)
        console.print(Grid(name, COLUMNS, [_cells(row) for row in rows], SPARE, LEFT))
        for row in rows:
            if row.note:
                console.print(Text(f"  {row.statistic}: {row.note}", style="dim"))
        console.print()
    for row in found.failed:
        console.print(Text(f"{title(row)} fails: {sentence(row)}", style="red"))
    if found.failed:
        console.print()
    console.print(Text(summary(found)))


def title(row: Row) -> str:
    """Return a run's name with its repeat."""
    return f"{row.name} r{row.repeat}"


def sentence(row: Row) -> str:
    """Return what was measured and how far off that is."""
    if row.mean is None:
        return f"{row.statistic}: {value(row, row.measured)}, allowed is {row.limit}"
    away = "no" if row.z is None else f"{row.z:.1f}"
    return (
        f"{row.statistic} {value(row, row.measured)}, predicted {value(row, row.mean)} "
        f"± {value(row, row.sd)}: {away} standard deviations of the logarithm away, {row.limit}"
    )


def summary(found: Reality) -> str:
    """Return how many runs and measures there were, and the verdict."""
    n, runs = len(found.rows), len(found.recordings)
    verdict = "all pass" if found.passed else f"{len(found.failed)} fail"
    return (
        f"{n} measures of {runs} recorded run{'s' if runs > 1 else ''}, {verdict}. "
        f"{found.replications} simulated runs each, seed {found.seed}, {found.wall_s:.0f} s."
    )


def value(row: Row, number: float | None) -> str:
    """Return a figure of a row: latencies in milliseconds, shares and counts as they are."""
    if number is None:
        return ""
    if row.statistic in LATENCIES:
        return f"{MS * number:,.1f} ms"
    return f"{number:.4f}" if row.mean is not None else f"{number:.4g}"


def _cells(row: Row) -> list[str]:
    z = "" if row.z is None else f"{row.z:+.1f}" if math.isfinite(row.z) else "∞"
    return [
        row.statistic,
        value(row, row.measured),
        value(row, row.mean),
        value(row, row.sd),
        z,
        row.limit,
        row.verdict,
    ]
