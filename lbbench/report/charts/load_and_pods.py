"""A figure for every combination of load and pods: a heat map with the border of the objective."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.report.charts.cells import texts_axis
from lbbench.report.charts.picture import Picture, drawn, table
from lbbench.report.charts.scales import unit_of
from lbbench.report.units import percentile, seconds

ROW = 34.0
"""Pixels of a row of cells."""

LETTERS = 34
"""Pixels that a number needs; in narrower cells there is none."""

FAR = 12.0
"""Times the objective: what is slower has the same colour."""

Row = Mapping[str, Any]


def load_and_pods(
    rows: Sequence[Row],
    *,
    titles: tuple[str, str],
    metric: str = "latency.p99",
    objective: float | None = None,
    ends_s: tuple[float, float] | None = None,
    name: str = "load-and-pods",
    title: str | None = None,
    note: str = "",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        ``x`` and ``y`` (load and pods, as numbers), ``x_text`` and ``y_text``, ``value_s`` seconds
        (None: no cell), ``ci95_s`` two of them or None.
    titles
        Of both axes, with their units.
    metric, objective
        The latency that is shown, and its limit in seconds.
    ends_s
        What `ends` gives for the values of all charts that are to be compared.
    """
    known = [row for row in rows if row["value_s"]]
    across = _places((row["x"], row["x_text"]) for row in rows)
    up = _places((row["y"], row["y_text"]) for row in rows)
    low, high = ends_s or ends((row["value_s"] for row in known), objective)
    scale, unit = unit_of((low, high))
    cells = [_cell(row, across, up, objective, (low, high), scale) for row in known]
    x = texts_axis(titles[0], [text for _, text in across.values()])
    y = texts_axis(titles[1], [text for _, text in up.values()])
    short = percentile(metric.removeprefix("latency."))
    base = table(cells)
    spots = {"x": alt.X("x0:Q", **x), "y": alt.Y("y0:Q", **y)}
    shades = base.mark_rect(style="gap", strokeWidth=1.5).encode(
        **spots, x2="x1:Q", y2="y1:Q",
        color=alt.Color("value:Q", legend=None, scale=alt.Scale(
            type="log", domain=[low * 1e3, high * 1e3], range="heatmap", clamp=True)),
        tooltip=[alt.Tooltip("x_text:N", title=titles[0]), alt.Tooltip("y_text:N", title=titles[1]),
                 alt.Tooltip("exact:N", title=short), alt.Tooltip("interval:N", title="95 %")],
    )  # fmt: skip
    wide = alt.ExprRef(f"width / {len(across)} < {LETTERS} ? '' : datum.label")
    middle = {"x": alt.X("xm:Q", **x), "y": alt.Y("ym:Q", **y), "text": alt.TextValue(wide)}
    texts: list[alt.Chart] = [
        table([cell for cell in cells if cell["dark"] == dark])
        .mark_text(style=style, fontSize=12, baseline="middle")
        .encode(**middle)
        for dark, style in ((False, "ink"), (True, "inverse"))
    ]
    border = (
        table(_border(cells))
        .mark_rule(style="change", strokeWidth=3.5, strokeCap="square")
        .encode(x=alt.X("x0:Q", **x), x2="x1:Q", y=alt.Y("y0:Q", **y), y2="y1:Q")
    )
    layers = [shades, *texts] + ([border] if objective is not None else [])
    caption = _caption(f"{short} latency ({unit})", objective, cells)
    return drawn(
        layers,
        name=name,
        title=title or f"{short} latency by load and pods",
        caption=f"{caption} {note}",
        height=ROW * len(up),
    )


def ends(values: Iterable[float | None], objective: float | None) -> tuple[float, float]:
    """Return the lowest and the highest value of the colours.

    Far above the objective it no longer matters how far: an overloaded cell would leave one pale
    colour to all others.
    """
    known = [value for value in values if value]
    low, high = min(known, default=1e-3), max(known, default=1.0)
    if objective is not None:
        high = min(high, max(FAR * objective, low * 1.01))
    return low, max(high, low * 1.01)


def _caption(figure: str, objective: float | None, cells: Sequence[Row]) -> str:
    text = f"{figure} of every combination; the stronger the colour, the slower."
    if objective is None:
        return text
    met = sum(cell["met"] for cell in cells)
    if 0 < met < len(cells):
        text += f" The thick line parts what meets {seconds(objective)} from what does not."
    else:
        text += f" {'All meet' if met else 'None meets'} the objective of {seconds(objective)}."
    if any(cell["label"].startswith("~") for cell in cells):
        text += " ~ is too close to the objective to be told apart from it."
    return text


def _places(pairs: Any) -> dict[float, tuple[int, str]]:
    """Return the place of every value of an axis, and its text."""
    found = dict(sorted(dict(pairs).items()))
    return {value: (k, text) for k, (value, text) in enumerate(found.items())}


def _cell(
    row: Row,
    across: Mapping[float, tuple[int, str]],
    up: Mapping[float, tuple[int, str]],
    objective: float | None,
    span: tuple[float, float],
    scale: float,
) -> dict[str, Any]:
    (i, x_text), (j, y_text) = across[row["x"]], up[row["y"]]
    value, interval = float(row["value_s"]), row.get("ci95_s")
    close = objective is not None and interval and interval[0] <= objective < interval[1]
    depth = math.log(value / span[0]) / math.log(span[1] / span[0])
    return {
        "x0": i, "x1": i + 1, "xm": i + 0.5, "y0": j, "y1": j + 1, "ym": j + 0.5,
        "x_text": x_text, "y_text": y_text, "value": value * 1e3,
        "label": ("~" if close else "") + _number(value * scale), "exact": seconds(value),
        "interval": f"{seconds(max(interval[0], 0.0))} to {seconds(interval[1])}" if interval
        else "not known",
        "met": objective is not None and value <= objective,
        "dark": depth > 0.55,
    }  # fmt: skip


def _number(value: float) -> str:
    """Return a number with three digits, all of them if it has more before the point."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.1f}" if value >= 9.995 else f"{value:.2f}"


def _border(cells: Sequence[Row]) -> list[dict[str, int]]:
    """Return the edges between cells that meet the objective and neighbours that do not."""
    met = {(cell["x0"], cell["y0"]): cell["met"] for cell in cells}
    edges = []
    for (i, j), good in met.items():
        if met.get((i + 1, j), good) != good:
            edges.append({"x0": i + 1, "x1": i + 1, "y0": j, "y1": j + 1})
        if met.get((i, j + 1), good) != good:
            edges.append({"x0": i, "x1": i + 1, "y0": j + 1, "y1": j + 1})
    return edges
