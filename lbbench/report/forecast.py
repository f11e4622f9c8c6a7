"""What `lbbench check` says about a scenario: load per pod, instability, cost of a run."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.tables import ends
from lbbench.report.terminal import show_warnings
from lbbench.report.units import count, percent, ratio, seconds
from lbbench.studies.check import Forecast


def show(forecast: Forecast, console: Console) -> None:
    """Print warnings, the offered load and what a run needs."""
    console.print()
    show_warnings(forecast.warnings, console)
    at_most = "at most " if forecast.is_bound else ""
    console.print(
        Text(
            f"offered: {at_most}{forecast.rate:,.4g} requests/s, {percent(forecast.utilisation)} % "
            f"of what all pods can serve; {count(forecast.requests)} requests per replication"
        )
    )
    console.print()
    console.print(load_table(forecast))
    console.print()
    if forecast.changes:
        console.print(changes_table(forecast))
        console.print()
    console.print(
        Text(
            f"a run needs about {forecast.memory_mib:,.0f} MiB and {seconds(forecast.seconds)}, "
            "compilation aside"
        )
    )


def changes_table(forecast: Forecast) -> Grid:
    """Return what happens to the cluster, and when everybody's view follows."""
    rows = [
        [
            str(change["what"]),
            *(
                "-" if change[key] is None else f"{change[key]:,.2f}"
                for key in ("at_s", "list_changed_at_s", "first_view_at_s", "last_view_at_s")
            ),
        ]
        for change in forecast.changes
    ]
    columns = ["", "at s", "list changes", "first view", "last view"]
    title = "changes of the cluster, and when the views follow (first replication)"
    return Grid(title, columns, rows)


def load_table(forecast: Forecast) -> Grid:
    """Return the predicted load of the pods, of many the busiest and the idlest."""
    rows = [
        {"name": name, "share": load, "requests": forecast.rate_by_pod[name]}
        for name, load in forecast.load_by_pod.items()
    ]
    shown = [
        [str(row["name"]), ratio(row["requests"], 2), percent(row["share"])] for row in ends(rows)
    ]
    when = " at the start" if forecast.changes else ""
    title = f"predicted load per pod{when}, from {forecast.basis} (100 % is a pod's capacity)"
    return Grid(title, ["", "requests/s", "load %"], shown)
