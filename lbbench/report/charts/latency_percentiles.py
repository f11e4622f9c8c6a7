"""The whole distribution of latency on a percentile axis, as the HDR histogram tools draw it.

The horizontal axis is 1 / (1 - q) on a logarithmic scale: each step to the right is a tenth of the
requests that were left, so 99 %, 99.9 % and 99.99 % lie as far apart as 0 % and 90 %.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.lines import Axis, Objective, lines, margin, to_the_right
from lbbench.report.charts.lines import objective as objective_line
from lbbench.report.charts.look import looks
from lbbench.report.charts.picture import Picture, drawn, table
from lbbench.report.charts.scales import Span, span_of, unit_of
from lbbench.report.units import percentile, seconds

HEIGHT = 320.0

LEVELS: Mapping[str, float] = {
    "p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999,
}  # fmt: skip

MARKS = (1.0, 2.0, 10.0, 100.0, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8)
"""Where 1 / (1 - q) has a tick: 0 %, 50 %, 90 %, 99 % and so on."""

LABELS = "format(100 - 100 / datum.value, '.8~g')"
"""What a tick at 1 / (1 - q) says: q in %."""

FEW = 3
"""Series whose intervals can be told apart."""


def latency_percentiles(
    rows: Sequence[Mapping[str, Any]],
    *,
    objective: tuple[str, float] | None = None,
    name: str = "latency-percentiles",
    title: str = "Latency by percentile",
    note: str = "",
    what: str = "balancer",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        One per series: ``series``, ``n`` requests, ``spectrum`` (pairs of a share of the requests
        0 .. 1 and the seconds that they stay below, ascending), ``ci95_s`` by name of a percentile.
    objective
        Name of a percentile, ``p99``, and its limit in seconds.
    """
    scale, unit = unit_of(value for row in rows for share, value in row["spectrum"] if share >= 0.5)
    points = [point for row in rows for point in _curve(row, scale)]
    span = span_of(
        [point["y"] for point in points if point["x"] > 1.1],  # the fastest tenth says little
        also=[] if objective is None else [objective[1] * scale],
    )
    points = [{**point, "y": max(point["y"], span.low)} for point in points]
    x = Axis("requests that are faster (%)", _span(points), labels=LABELS,
             names="requests that are faster", tip="share")  # fmt: skip
    y = Axis(f"latency ({unit})", span, names=f"latency ({unit})")
    room = margin([str(row["series"]) for row in rows])
    layers = lines(points, x=x, y=y, height=HEIGHT, points=False, what=what)
    caption = (
        "How many % of the requests (across) are faster than how long (up); each line ends at its "
        "slowest request."
    )
    bars = [bar for row in rows for bar in _bars(row, scale)] if len(rows) <= FEW else []
    if bars:
        layers.insert(0, _intervals(bars, x, y, [str(row["series"]) for row in rows], room))
    if objective is not None:
        goal = _goal(objective, scale, points, x, y, room)
        layers = [*goal.behind, *layers, *goal.before]
        short = percentile(objective[0]).removeprefix("p")
        caption += f" The objective is met by a line that passes below the cross at {short} %."
    if bars:
        caption += " Upright bars are 95 % confidence intervals."
    return drawn(
        layers, name=name, title=title, caption=f"{caption} {note}",
        height=HEIGHT,
    )  # fmt: skip


def spectrum_of(latency_s: Mapping[str, Any]) -> list[tuple[float, float]]:
    """Return the distribution that a latency block holds: all of it, or its seven figures."""
    found = latency_s.get("spectrum")
    if found:
        return [(float(share), float(value)) for share, value in found]
    named = [(share, latency_s.get(name)) for name, share in LEVELS.items()]
    named.append((1.0, latency_s.get("max")))
    return [(share, float(value)) for share, value in named if value is not None]


def _curve(row: Mapping[str, Any], scale: float) -> Iterator[dict[str, Any]]:
    """Yield the points of a line; the slowest of n requests stands at 1 - 1/n."""
    last = max(float(row["n"]), 2.0)
    for share, value in row["spectrum"]:
        at = 1.0 / (1.0 - share) if share < 1.0 else last
        if share >= 1.0 or at < 0.8 * last:  # nearer, the line would end with a step
            tip = "the slowest" if share >= 1.0 else f"{100.0 * share:.8g} %"
            yield {"series": row["series"], "x": at, "y": value * scale, "share": tip}


def _bars(row: Mapping[str, Any], scale: float) -> Iterator[dict[str, Any]]:
    for name, share in LEVELS.items():
        interval = (row.get("ci95_s") or {}).get(name)
        if interval is not None:
            yield {
                "series": label_of(str(row["series"])),
                "x": 1.0 / (1.0 - share),
                "low": max(interval[0], 0.0) * scale,
                "high": interval[1] * scale,
            }


def _intervals(
    bars: Sequence[Mapping[str, Any]], x: Axis, y: Axis, names: Sequence[str], room: float
) -> alt.Chart:
    """Return the intervals as thick, pale, upright bars behind the lines."""
    known = looks(names)
    low = y.span.low
    data = [{**bar, "low": max(bar["low"], low)} for bar in bars if bar["high"] <= y.span.high]
    return (
        table(data)
        .mark_rule(strokeWidth=8, opacity=0.45)
        .encode(
            x=alt.X("x:Q", axis=x.axis(), scale=x.scale(**to_the_right(room))),
            y=alt.Y("low:Q", axis=y.axis(), scale=y.scale()),
            y2="high:Q",
            color=alt.Color(
                "series:N",
                scale=alt.Scale(
                    domain=[label_of(name) for name in names],
                    range=[known[name].colour for name in names],
                ),
            ),
        )
    )


def _goal(
    objective: tuple[str, float],
    scale: float,
    points: Sequence[Mapping[str, Any]],
    x: Axis,
    y: Axis,
    room: float,
) -> Objective:
    """Return the lines that cross where the objective lies, and their label."""
    name, limit_s = objective
    text = f"objective {percentile(name)} {seconds(limit_s)}"
    made = objective_line(limit_s * scale, text, points, x=x, y=y, room=room, height=HEIGHT)
    at = 1.0 / (1.0 - LEVELS[name])
    if made.behind and at <= x.span.high:
        upright = table([{"x": at}]).mark_rule(style="objective")
        made.behind.append(
            upright.encode(x=alt.X("x:Q", axis=x.axis(), scale=x.scale(**to_the_right(room))))
        )
    return made


def _span(points: Sequence[Mapping[str, Any]]) -> Span:
    last = max((point["x"] for point in points), default=10.0)
    first = min((point["x"] for point in points), default=1.0)
    first = max((mark for mark in MARKS if mark <= first), default=1.0)
    return Span(first, last, tuple(mark for mark in MARKS if first <= mark <= last), "log")
