"""The charts of a plan: what is needed, by balancer, by rate, by hour, and the evidence for it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbbench.report.charts.grid import named
from lbbench.report.charts.latency_against_load import latency_against_load
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.pods_against_rate import pods_against_rate, pods_by_hour, pods_needed
from lbbench.report.charts.scales import Span, linear
from lbbench.report.units import percentile, seconds

Row = Mapping[str, Any]

TITLES = {
    "pods": "pods (number)",
    "nodes": "nodes (number)",
    "places": "places per pod (number)",
    "requests/s": "arrival rate (requests/s)",
}

FAR = 4.0
"""Times the limit: evidence beyond only shows that a queue grew without end."""


def pictures(document: Mapping[str, Any]) -> list[Picture]:
    """Return the charts of a plan (schema lbbench.plan/1)."""
    blocks = list(document.get("balancers") or [document])
    unit = str(document["unit"])
    objectives = ", ".join(map(_objective, document["objectives"]))
    made = list(_by_profile(document, unit, objectives))
    if len(blocks) > 1 and any(block["answer"] is not None for block in blocks):
        made.append(_by_balancer(document, blocks, unit, objectives))
    return [*made, *_evidence(document, blocks, unit)]


def _by_profile(document: Row, unit: str, objectives: str) -> Iterator[Picture]:
    """Yield what each hour's rate needs, of plans that have a profile."""
    rows = [
        {"series": name, "hour": hour["hour"], "rate_per_s": hour["rate_per_s"], "needed": needed}
        for hour in document.get("profile") or ()
        for name, needed in hour["answers"].items()
    ]
    if not any(row["needed"] is not None for row in rows):
        return
    lost = sum(row["needed"] is None for row in rows)
    note = f"For {lost} of the hours and balancers no number is enough." if lost else ""
    yield pods_against_rate(rows, unit=unit, objectives=objectives, note=note)
    yield pods_by_hour(rows, unit=unit, objectives=objectives, note=note)


def _by_balancer(document: Row, blocks: Sequence[Row], unit: str, objectives: str) -> Picture:
    """Return what each balancer needs, or serves, with what one central queue would."""
    rows = [
        {
            "series": block["balancer"],
            "needed": block["answer"],
            "undecided": block.get("undecided"),
        }
        for block in blocks
    ]
    missing = [str(row["series"]) for row in rows if row["needed"] is None]
    note = f"Cannot meet the objectives: {', '.join(missing)}." if missing else ""
    lost = document.get("survive")
    at = document.get("rate_per_s")
    aim = objectives + (f", also without a {lost}" if lost else "")
    if at is not None and document["for"] != "rate":
        aim += f", at {at:,.4g} requests/s"
    return pods_needed(
        rows,
        unit=unit,
        central=_central(document),
        objectives=aim,
        title="Requests per second served by balancer" if document["for"] == "rate" else None,
        note=note,
    )


def _central(document: Row) -> float | None:
    found = document.get("erlang_c")
    if isinstance(found, Mapping):
        found = found.get("answer")
    return None if found is None else float(found)


def _evidence(document: Row, blocks: Sequence[Row], unit: str) -> Iterator[Picture]:
    """Yield, for each latency of the objectives, what was found at the values that were tried."""
    for item in document["objectives"]:
        metric, limit = str(item["metric"]), float(item["limit"])
        if not metric.startswith("latency."):
            continue
        rows = [row for block in blocks for row in _tried(block, metric, limit)]
        if not rows:
            continue
        short = percentile(metric.removeprefix("latency."))
        values = sorted({row["x"] for row in rows})
        axis = Axis(TITLES.get(unit, f"{unit} (number)"), _span(values), names=unit)
        yield latency_against_load(
            rows,
            x=axis,
            metric=metric,
            objective=limit,
            name=named("evidence", short),
            title=f"{short} latency at the {'rates' if document['for'] == 'rate' else unit} "
            "that were tried",
            note=f"What is beyond {FAR:g} times the objective is left out.",
        )


def _tried(block: Row, metric: str, limit: float) -> Iterator[dict[str, Any]]:
    """Yield the worst reading of every value that a balancer was tried with."""
    worst: dict[float, Row] = {}
    for row in block["evidence"]:
        estimate = row["estimate"]
        if row["metric"] != metric or estimate is None or estimate > FAR * limit:
            continue
        known = worst.get(row["value"])
        if known is None or estimate > known["estimate"]:
            worst[row["value"]] = row
    for value, row in sorted(worst.items()):
        yield {
            "series": block["balancer"],
            "x": float(value),
            "value_s": row["estimate"],
            "ci95_s": row["ci95"],
        }


def _span(values: Sequence[float]) -> Span:
    if len(values) == 1:
        return Span(values[0] - 1.0, values[0] + 1.0, tuple(values), "linear")
    nice = linear(values[0], values[-1])
    return Span(values[0], values[-1], tuple(
        tick for tick in nice.ticks if values[0] <= tick <= values[-1]), "linear")  # fmt: skip


def _objective(item: Row) -> str:
    metric, limit = str(item["metric"]), float(item["limit"])
    if metric.startswith("latency."):
        return f"{percentile(metric.removeprefix('latency.'))} at most {seconds(limit)}"
    side = "at least" if metric == "attainment" else "at most"
    return f"{metric.replace('_', ' ').replace('.', ' ')} {side} {100.0 * limit:.4g} %"
