"""The charts of a comparison: its variants beside each other."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.model.result import Result
from lbbench.report.charts.grid import left, named
from lbbench.report.charts.latency_percentiles import latency_percentiles
from lbbench.report.charts.of_result import (
    busy_rows,
    distribution,
    over_time,
    stages,
    tail_objective,
)
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.pod_utilisation import pod_utilisation
from lbbench.report.charts.session_loss import keys_moved, session_loss

MOST = 6
"""Charts of one kind."""


def pictures(document: Mapping[str, Any]) -> list[Picture]:
    """Return the charts of a comparison (schema lbbench.compare/1)."""
    leaf = str(document["leaf"])
    results = {
        series_of(leaf, value): Result.from_dict(one) for value, one in document["results"].items()
    }
    what = leaf.rsplit(".", 1)[-1].replace("_", " ")
    rows = [distribution(name, result) for name, result in results.items()]
    rows = [row for row in rows if row["spectrum"]]
    objective = next((tail_objective(result.slo) for result in results.values()), None)
    sessions = [{"series": name, "affinity": one.affinity} for name, one in results.items()]
    changing = any(result.changes for result in results.values())
    busy = [row for name, result in results.items() for row in busy_rows(name, result)]
    made = [
        latency_percentiles(rows, objective=objective, what=what) if rows else None,
        pod_utilisation(busy),
        session_loss(sessions) if changing else None,
        keys_moved(sessions),
    ]
    note = left(len(results), MOST, "have no such picture")
    for name, result in list(results.items())[:MOST]:
        if result.changes:
            made.append(
                over_time(
                    result,
                    name=named("shares-over-time", name),
                    title=f"Share of the requests per pod over time, {name}",
                    note=note,
                )
            )
    for name, result in list(results.items())[:MOST]:
        made.append(
            stages(
                result,
                name=named("shares-per-stage", name),
                title=f"Which way the requests went, {name}",
                note=note,
            )
        )
    return [picture for picture in made if picture is not None]


def series_of(leaf: str, value: str) -> str:
    """Return the name of a variant: a balancer's own, of other leaves with the leaf's last word."""
    if leaf.endswith(".balancer"):
        return value
    return f"{leaf.rsplit('.', 1)[-1]}={value}"
