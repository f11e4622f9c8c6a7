"""Latency against load, or against any other number that a study varies: one line per policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.report.charts.lines import Axis, lines, margin
from lbbench.report.charts.lines import objective as objective_line
from lbbench.report.charts.picture import Picture, drawn
from lbbench.report.charts.scales import Span, span_of, unit_of
from lbbench.report.units import percentile, seconds

HEIGHT = 320.0


def latency_against_load(
    rows: Sequence[Mapping[str, Any]],
    *,
    x: Axis,
    metric: str = "latency.p99",
    objective: float | None = None,
    shared: Sequence[Mapping[str, Any]] = (),
    name: str = "latency-against-load",
    title: str | None = None,
    note: str = "",
    what: str = "balancer",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        ``series`` (the policy), ``x`` in the unit of the axis, ``value_s`` seconds (None: left
        out), ``ci95_s`` two of them or None.
    x
        What the horizontal axis says.
    metric
        Name of the latency, as objectives have it.
    objective
        Its limit in seconds.
    shared
        The rows of all charts that have the same vertical axis.
    """
    known = [row for row in rows if row["value_s"] is not None]
    every = [row for row in (shared or rows) if row["value_s"] is not None]
    scale, unit = unit_of(row["value_s"] for row in every)
    plain = [_plain(row, scale) for row in known]
    span = _span(every, objective, scale)
    short = percentile(metric.removeprefix("latency."))
    y = Axis(f"{short} latency ({unit})", span, names=f"{short} ({unit})")
    chart = lines(plain, x=x, y=y, height=HEIGHT, what=what)
    if objective is not None:
        text = f"objective {seconds(objective)}"
        room = margin([str(row["series"]) for row in known])
        goal = objective_line(objective * scale, text, plain, x=x, y=y, room=room, height=HEIGHT)
        chart = [*goal.behind, *chart, *goal.before]
    bands = any(row["low"] is not None for row in plain)
    caption = f"{_meaning(short)}, lower is better."
    caption += " Bands are 95 % confidence intervals." if bands else ""
    caption += " The dashed line is the objective." if objective is not None else ""
    caption += " The vertical axis is logarithmic." if span.kind == "log" else ""
    return drawn(
        chart,
        name=name,
        title=title or f"{short} latency against {x.names or x.title}",
        caption=f"{caption} {note}",
        height=HEIGHT,
    )


def _span(rows: Sequence[Mapping[str, Any]], objective: float | None, scale: float) -> Span:
    """Return a span over all values of ``rows`` and the objective; of intervals what fits."""
    values = [row["value_s"] * scale for row in rows]
    most = max(values, default=1.0)
    ends = [row["ci95_s"][1] * scale for row in rows if row.get("ci95_s")]
    seen = [*values, *(min(end, 1.6 * most) for end in ends)]
    return span_of(seen, also=[objective * scale] if objective is not None else [])


def _plain(row: Mapping[str, Any], scale: float) -> dict[str, Any]:
    interval = row.get("ci95_s")
    return {
        "series": row["series"],
        "x": row["x"],
        "y": row["value_s"] * scale,
        "low": max(interval[0], 1e-9) * scale if interval else None,
        "high": interval[1] * scale if interval else None,
    }


def _meaning(short: str) -> str:
    """Say what a figure of the latency is."""
    if short == "mean":
        return "The mean latency of all requests"
    if short == "max":
        return "The latency of the slowest request"
    return f"{short.removeprefix('p')} % of the requests are faster than {short}"
