"""What a rate needs: pods (or nodes, or places) against requests per second, one line per balancer.

Beside it the same over the hours of a day, and, for a single rate, the balancers below each other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.lines import Axis, lines
from lbbench.report.charts.look import looks
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import Span, linear

HEIGHT = 300.0
ROW = 30.0
"""Pixels of a bar with its gap."""

MOST_HOURS = 8
"""Hours that have a label."""

CENTRAL = "Erlang C"
"""What one central queue with exponential service of the same mean would need."""

Row = Mapping[str, Any]


def pods_against_rate(
    rows: Sequence[Row],
    *,
    unit: str = "pods",
    objectives: str = "",
    name: str = "pods-against-rate",
    note: str = "",
) -> Picture:
    """Return how many are needed at which rate.

    Parameters
    ----------
    rows
        ``series``, ``rate_per_s``, ``needed`` (None: nothing is enough, left out), ``undecided``
        ([from, to], the answer at one end, or None).
    unit
        What is counted.
    objectives
        What has to be met, in words.
    """
    points = [_point(row, float(row["rate_per_s"])) for row in rows if row["needed"] is not None]
    most = max((point["x"] for point in points), default=1.0)
    x = Axis("arrival rate (requests/s)", linear(0.0, most), names="requests/s")
    return _drawn(points, x, unit, objectives, name, f"{_capital(unit)} needed against rate", note)


def pods_by_hour(
    rows: Sequence[Row],
    *,
    unit: str = "pods",
    objectives: str = "",
    name: str = "pods-by-hour",
    note: str = "",
) -> Picture:
    """Return how many are needed in which hour; ``rows`` as above, with ``hour``."""
    hours = list(dict.fromkeys(str(row["hour"]) for row in rows))
    points = [
        _point(row, float(hours.index(str(row["hour"]))))
        for row in rows
        if row["needed"] is not None
    ]
    # an hour lasts until the next begins, the last one too
    last = len(hours) - 1.0
    points += [{**point, "x": last + 1.0} for point in points if point["x"] == last]
    ticks = tuple(float(k) for k in range(0, len(hours), -(-len(hours) // MOST_HOURS)))
    x = Axis(
        "hour of the profile", Span(0.0, max(last + 1.0, 1.0), ticks, "linear"),
        labels=f"{json.dumps(hours)}[datum.value]", names="hour",
    )  # fmt: skip
    return _drawn(points, x, unit, objectives, name, f"{_capital(unit)} needed by hour", note)


def pods_needed(
    rows: Sequence[Row],
    *,
    unit: str = "pods",
    central: float | None = None,
    objectives: str = "",
    name: str = "pods-needed",
    title: str | None = None,
    note: str = "",
) -> Picture:
    """Return what each balancer needs at one rate; ``central`` is what Erlang C asks for."""
    known = [row for row in rows if row["needed"] is not None]
    marks = looks(str(row["series"]) for row in rows)
    data = [
        {
            "series": label_of(str(row["series"])),
            "needed": row["needed"],
            "label": _amount(row),
        }
        for row in known
    ]
    most = max([*(row["needed"] for row in known), central or 0.0], default=1.0)
    order = [row["series"] for row in data]
    y = alt.Y("series:N", sort=order, axis=alt.Axis(title=None, ticks=False, domain=False,
              labelPadding=8))  # fmt: skip
    room = max((len(row["label"]) for row in data), default=0) * LETTER + 14.0
    axis = Axis(
        f"{unit} needed (number)" if unit != "requests/s" else "served (requests/s)", _whole(most)
    )
    x = alt.X("needed:Q", axis=axis.axis(), scale=axis.scale(
        range=[0, alt.ExprRef(f"width - {room:.0f}")]))  # fmt: skip
    bars = table(data).mark_bar(height=14).encode(
        x=x, y=y,
        color=alt.Color("series:N", legend=None, scale=alt.Scale(
            domain=[label_of(name) for name in marks],
            range=[look.colour for look in marks.values()])),
        tooltip=[alt.Tooltip("series:N", title="balancer"), alt.Tooltip("label:N", title=unit)],
    )  # fmt: skip
    text = table(data).mark_text(align="left", baseline="middle", dx=6).encode(
        x=x, y=y, text="label:N"
    )  # fmt: skip
    layers: list[alt.Chart] = [bars, text]
    caption = f"What each balancer needs for {objectives}." if objectives else ""
    if central is not None:
        line = table([{"needed": central, "label": CENTRAL}])
        layers.append(line.mark_rule(style="objective").encode(x=x))
        layers.append(
            line.mark_text(align="left", baseline="bottom", dx=4, y=-3).encode(x=x, text="label:N")
        )
        caption += (
            f" The dashed line is {CENTRAL} ({central:,.6g}): one central queue with exponential "
            "service of the same mean."
        )
    return drawn(
        layers, name=name, title=title or f"{_capital(unit)} needed by balancer",
        caption=f"{caption} {note}", height=max(60.0, ROW * len(data)),
    )  # fmt: skip


def _drawn(
    points: Sequence[Row], x: Axis, unit: str, objectives: str, name: str, title: str, note: str
) -> Picture:
    most = max((point["high"] or point["y"] for point in points), default=1.0)
    y = Axis(f"{unit} needed (number)", _whole(most), names=f"{unit} needed")
    by_hour = x.names == "hour"
    chart = lines(
        points, x=x, y=y, height=HEIGHT, points=not by_hour,
        interpolate="step-after" if by_hour else "linear", nested=True,
    )  # fmt: skip
    aim = f" for {objectives}" if objectives else ""
    caption = f"The least number of {unit} that is enough{aim}, with confidence; lower is better."
    if any(point["low"] is not None for point in points):
        caption += " A band spans what could not be decided."
    return drawn(chart, name=name, title=title, caption=f"{caption} {note}", height=HEIGHT)


def _point(row: Row, x: float) -> dict[str, Any]:
    undecided = row.get("undecided")
    return {
        "series": row["series"],
        "x": x,
        "y": row["needed"],
        "low": undecided[0] if undecided else None,
        "high": undecided[-1] if undecided else None,
    }


def _whole(most: float) -> Span:
    """Return a span from 0 whose ticks are whole numbers: there is no half a pod."""
    span = linear(0.0, most)
    return span._replace(ticks=tuple(tick for tick in span.ticks if tick == round(tick)))


def _amount(row: Row) -> str:
    text = f"{row['needed']:,.6g}"
    undecided = row.get("undecided")
    if not undecided:
        return text
    other = undecided[0] if undecided[-1] == row["needed"] else undecided[-1]
    return f"{text} (perhaps {other:,.6g})"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
