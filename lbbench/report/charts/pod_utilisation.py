"""How busy the pods were: one bar each, or, of many or of several runs, one point each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.model.label import label_of
from lbbench.model.natural import natural
from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.look import colour, looks
from lbbench.report.charts.picture import Picture, at, drawn, table
from lbbench.report.charts.scales import Span

MOST = 30
"""Pods that have a bar each."""

BAR, STRIP = 20.0, 40.0
"""Pixels of a row."""

BUSY = Axis("busy time of a pod (%)", Span(0.0, 100.0, (0, 20, 40, 60, 80, 100), "linear"))

ROOM = 66.0
"""Pixels for the numbers at the right."""

Row = Mapping[str, Any]


def pod_utilisation(
    rows: Sequence[Row],
    *,
    name: str = "pod-utilisation",
    title: str = "How busy the pods were",
    note: str = "",
) -> Picture | None:
    """Return the chart; None when nothing is known.

    ``rows`` are ``series`` (who chose the pods), ``pod``, ``node``, ``utilisation`` (0 .. 1, None:
    left out).
    """
    known = [row for row in rows if row["utilisation"] is not None]
    if not known:
        return None
    series = list(dict.fromkeys(str(row["series"]) for row in known))
    mean = sum(row["utilisation"] for row in known) / len(known)
    if len(series) == 1 and len(known) <= MOST:
        bars, n, size = _bars(known, series[0]), len(known), BAR
        caption = "Share of its time that each pod was at work; the dashed line is their mean."
        parts = [*bars, *_mean(mean)]
    else:
        by = "series" if len(series) > 1 else "node"
        parts, n = _points(known, by, series)
        size = STRIP
        caption = (
            "Each point is a pod and the share of its time that it was at work; the number is that "
            "of the busiest. The closer together, the more even."
        )
    return drawn(
        parts, name=name, title=title, caption=f"{caption} {note}",
        height=size * n,
    )  # fmt: skip


def _scale() -> dict[str, Any]:
    right = alt.ExprRef(f"width - {ROOM:.0f}")
    return {"axis": BUSY.axis(grid=True), "scale": BUSY.scale(range=[0, right])}


def _bars(rows: Sequence[Row], series: str) -> list[alt.Chart]:
    order = sorted(rows, key=lambda row: (natural(str(row["node"])), natural(str(row["pod"]))))
    data = [
        {
            "busy": 100.0 * row["utilisation"],
            "y": k + 0.5,
            "label": f"{100.0 * row['utilisation']:.1f} %",
            "who": f"{row['pod']} on {row['node']}",
        }
        for k, row in enumerate(order)
    ]
    y = texts_axis(None, [f"{row['pod']} · {row['node']}" for row in order], reverse=True)
    base = table(data).encode(x=alt.X("busy:Q", **_scale()), y=alt.Y("y:Q", **y))
    bars = base.mark_bar(orient="horizontal", height=12, color=colour(series)).encode(
        tooltip=[alt.Tooltip("who:N", title="pod"), alt.Tooltip("label:N", title="busy")]
    )
    # in a column of their own: behind their bars the line of the mean would cross them
    texts = base.mark_text(align="right", baseline="middle", fontSize=11).encode(
        x=at(alt.ExprRef("width")), text="label:N"
    )
    return [bars, texts]


def _mean(mean: float) -> list[alt.Chart]:
    line = table([{"busy": 100.0 * mean}]).encode(x=alt.X("busy:Q", **_scale()))
    return [line.mark_rule(style="objective")]


def _points(rows: Sequence[Row], by: str, series: Sequence[str]) -> tuple[list[alt.Chart], int]:
    names = list(dict.fromkeys(str(row[by]) for row in rows))
    names = names if by == "series" else sorted(names, key=natural)
    marks = looks(series)
    data = [
        {
            "busy": 100.0 * row["utilisation"],
            "y": names.index(str(row[by])) + 0.5,
            "series": label_of(str(row["series"])),
            "who": f"{row['pod']} on {row['node']}",
        }
        for row in rows
    ]
    busiest = [max((row for row in data if row["y"] == k + 0.5), key=lambda row: row["busy"])
               for k in range(len(names))]  # fmt: skip
    y = texts_axis(None, [label_of(name) for name in names], reverse=True)
    place = {"x": alt.X("busy:Q", **_scale()), "y": alt.Y("y:Q", **y)}
    points = table(data).mark_point(filled=True, size=75, opacity=0.8).encode(
        **place,
        color=alt.Color("series:N", legend=None, scale=alt.Scale(
            domain=[label_of(name) for name in marks],
            range=[look.colour for look in marks.values()])),
        shape=alt.Shape("series:N", legend=None, scale=alt.Scale(
            domain=[label_of(name) for name in marks],
            range=[look.shape for look in marks.values()])),
        tooltip=[alt.Tooltip("series:N", title=" "), alt.Tooltip("who:N", title="pod"),
                 alt.Tooltip("busy:Q", title="busy %", format=".1f")],
    )  # fmt: skip
    texts = (
        table([{**row, "label": f"{row['busy']:.1f} %"} for row in busiest])
        .mark_text(align="left", baseline="middle", dx=10, fontSize=11)
        .encode(**place, text="label:N")
    )
    return [points, texts], len(names)
