"""What ``lbbench sweep --dry-run`` says: axes, points, what is missing, how long it takes."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.study import cell, short_names
from lbbench.report.sweep_progress import clock
from lbbench.report.units import count
from lbbench.studies.dry_run import Ahead

MOST_SHOWN = 8


def show(ahead: Ahead, console: Console) -> None:
    """Print the axes and what a sweep would run."""
    names = short_names(list(ahead.axes))
    rows = [
        [name, count(len(values)), _values(values)]
        for name, values in zip(names, ahead.axes.values(), strict=True)
    ]
    console.print(Grid("", ["axis", "values", ""], rows, left=frozenset({""})))
    console.print()
    console.print(
        Text(
            f"{count(ahead.points)} points in {count(ahead.conditions)} conditions, "
            f"{count(ahead.replications)} replications"
        )
    )
    for reason, n in ahead.invalid.items():
        console.print(Text(f"warning: {count(n)} points: {reason}", style="yellow"))
    if ahead.begun is not None:
        console.print(Text(ahead.begun.sentence(ahead.name)))
    console.print(
        Text(
            f"{count(ahead.missing)} replications would be run: about {clock(ahead.seconds)} with "
            f"{ahead.workers} workers, compilation aside; nothing was run or written"
        )
    )


def _values(values: list[object]) -> str:
    shown = ", ".join(cell(value) for value in values[:MOST_SHOWN])
    return f"{shown}, ... {cell(values[-1])}" if len(values) > MOST_SHOWN else shown
