"""What an import found: notes, skipped lines, observed shares and latency beside simulated ones."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from lbbench.errors import printable
from lbbench.inputs.imported import Imported
from lbbench.model.result import Result
from lbbench.report.layout import Grid
from lbbench.report.observed import Observed
from lbbench.report.tables import ends
from lbbench.report.units import count, digits_for, milliseconds, percent, percentile
from lbbench.studies.imported import Trial

SHOWN = 10


def show(imported: Imported, trial: Trial, console: Console, written: Sequence[str]) -> None:
    """Print what was read and inferred, then the tables."""
    for note in imported.notes:
        console.print(Text(printable(f"- {note}")), soft_wrap=not console.is_terminal)
    if imported.skipped:
        console.print(Text("lines that were not used:"))
    for place, line, reason in imported.skipped[:SHOWN]:
        console.print(
            Text(printable(f"  {place}:{line}: {reason}")), soft_wrap=not console.is_terminal
        )
    if len(imported.skipped) > SHOWN:
        console.print(Text(f"  and {count(len(imported.skipped) - SHOWN)} more"))
    if trial.result is not None:
        console.print()
        console.print(shares_table(trial.result))
        console.print()
        if Observed.of(trial.result).latency:
            console.print(latency_table(trial.result))
            console.print()
    if trial.remark:
        console.print(Text(trial.remark))
    if trial.reason:
        console.print(Text(f"not simulated for comparison: {trial.reason}"))
    for path in written:
        console.print(Text(f"wrote {path}"), soft_wrap=True)


def shares_table(result: Result) -> Grid:
    """Return the observed shares of the pods beside those of the short run."""
    observed = Observed.of(result)
    rows = [
        [
            str(pod["name"]),
            count(observed.pods.get(str(pod["name"]))),
            percent(observed.share(str(pod["name"])), 2),
            percent(pod["share"], 2),
        ]
        for pod in ends(result.pods)
    ]
    stage = result.stages[-1]["balancer"]
    title = f"shares of the pods: observed, and simulated with {stage}"
    return Grid(title, ["", "observed", "observed %", "simulated %"], rows)


def latency_table(result: Result) -> Grid:
    """Return the observed latency beside that of the short run."""
    observed = Observed.of(result).latency
    block = result.latency_s
    digits = digits_for([*observed.values(), block["mean"]])
    rows = [
        [percentile(name), milliseconds(value, digits), milliseconds(block.get(name), digits)]
        for name, value in observed.items()
    ]
    load = percent(result.metric("utilisation.max"))
    title = f"latency (simulated: {count(block['n'])} requests, busiest pod at {load} %)"
    return Grid(title, ["", "observed ms", "simulated ms"], rows)
