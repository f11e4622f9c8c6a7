"""What a pick costs against how evenly it spreads: a point per balancer, less is better on both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import altair as alt

from lbbench.report.charts.lines import Axis
from lbbench.report.charts.look import looks, shown
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import Span, linear, logarithmic, span_of

HEIGHT = 360.0

WIDTH = 330.0
"""Pixels of the narrowest plot: what has room there has room in every other."""

HIGH = 13.0
"""Pixels of a line of text."""

SIDES = (
    ("left", "middle", 9, 0),
    ("right", "middle", -9, 0),
    ("center", "bottom", 0, -8),
    ("center", "top", 0, 8),
    ("left", "bottom", 6, -4),
    ("right", "bottom", -6, -4),
    ("left", "top", 6, 4),
    ("right", "top", -6, 4),
)
"""Where a name may stand at its point, the best first: align, baseline, and how far away."""

ROUNDS = 4
"""Times that every name may look for a better side."""

Row = Mapping[str, Any]
Box = tuple[float, float, float, float]


def pick_cost_against_quality(
    rows: Sequence[Row],
    *,
    quality: str = "busiest share / mean share (ratio)",
    best: float | None = 1.0,
    name: str = "pick-cost-against-quality",
    title: str = "What a pick costs, and how even the shares are",
    note: str = "",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        ``balancer``, ``ns`` per pick, ``quality``: a figure of which less is better.
    quality
        What it is, with its unit where it has one.
    best
        The least that it can be; None: 0.
    """
    across = logarithmic(min(row["ns"] for row in rows), max(row["ns"] for row in rows))
    values = [row["quality"] for row in rows]
    low = 0.0 if best is None else best
    up = span_of(values) if best is None else linear(low, max(*values, low + 0.01))
    if up.kind == "linear":  # the best lie on the edge otherwise
        up = up._replace(low=up.low - 0.04 * (up.high - up.low))
    x = Axis("time per pick (ns)", across)
    y = Axis(quality, up)
    marks = looks(str(row["balancer"]) for row in rows)
    data = [
        {"series": shown(str(row["balancer"])), "x": row["ns"], "y": row["quality"]} for row in rows
    ]
    base = table(data)
    place: dict[str, Any] = {
        "x": alt.X("x:Q", axis=x.axis(grid=True), scale=x.scale()),
        "y": alt.Y("y:Q", axis=y.axis(), scale=y.scale()),
    }
    domain = [shown(name) for name in marks]
    points = base.mark_point(filled=True, size=85, opacity=1.0).encode(
        **place,
        color=alt.Color("series:N", legend=None, scale=alt.Scale(
            domain=domain, range=[look.colour for look in marks.values()])),
        shape=alt.Shape("series:N", legend=None, scale=alt.Scale(
            domain=domain, range=[look.shape for look in marks.values()])),
        tooltip=[alt.Tooltip("series:N", title="balancer"),
                 alt.Tooltip("x:Q", title="ns per pick", format=",.3~r"),
                 alt.Tooltip("y:Q", title=quality, format=".4~r")],
    )  # fmt: skip
    layers: list[alt.Chart] = [points]
    for side, some in _sides(data, across, up).items():
        align, baseline, dx, dy = SIDES[side]
        text = table(some).encode(**place, text="series:N")
        style: dict[str, Any] = {
            "align": align, "baseline": baseline, "dx": dx, "dy": dy, "fontSize": 11,
        }  # fmt: skip
        layers += [text.mark_text(style="halo", **style), text.mark_text(**style)]
    caption = (
        "Further left costs less time, further down spreads more evenly; the best is below left."
    )
    return drawn(
        layers, name=name, title=title, caption=f"{caption} {note}",
        height=HEIGHT,
    )  # fmt: skip


def _sides(data: Sequence[Row], across: Span, up: Span) -> dict[int, list[Row]]:
    """Return the rows by the side on which their name covers least of points and other names.

    Each name takes the side that is best for it as the others stand, round by round.
    """
    spots = [(across.place(row["x"]) * WIDTH, (1.0 - up.place(row["y"])) * HEIGHT) for row in data]
    points = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in spots]
    boxes = [
        [_box(x, y, side, len(row["series"])) for side in SIDES]
        for row, (x, y) in zip(data, spots, strict=True)
    ]
    chosen = [0] * len(data)
    for _ in range(ROUNDS):
        for k, choices in enumerate(boxes):
            others = [boxes[j][chosen[j]] for j in range(len(data)) if j != k]
            taken = [*others, *points]
            costs = [
                sum(_common(box, other) for other in taken) + 30.0 * _outside(box) + side
                for side, box in enumerate(choices)
            ]
            chosen[k] = costs.index(min(costs))
    found: dict[int, list[Row]] = {}
    for row, side in zip(data, chosen, strict=True):
        found.setdefault(side, []).append(row)
    return found


def _box(x: float, y: float, side: tuple[str, str, int, int], letters: int) -> Box:
    """Return the box (left, top, right, bottom) of a name at a point."""
    align, baseline, dx, dy = side
    long = letters * LETTER * 11.0 / 12.0
    left = x + dx - {"left": 0.0, "center": long / 2.0, "right": long}[align]
    top = y + dy - {"top": 0.0, "middle": HIGH / 2.0, "bottom": HIGH}[baseline]
    return left, top, left + long, top + HIGH


def _common(a: Box, b: Box) -> float:
    """Return the area that two boxes (left, top, right, bottom) have in common."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    high = min(a[3], b[3]) - max(a[1], b[1])
    return max(wide, 0.0) * max(high, 0.0)


def _outside(box: Box) -> float:
    """Return by how many pixels a box stands out of the plot."""
    return max(-box[0], 0.0) + max(box[2] - WIDTH, 0.0) + max(box[3] - HEIGHT, 0.0)
