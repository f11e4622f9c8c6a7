"""What a pick costs against what it buys: a point per balancer, dozens with their names.

Good balancers lie close together, so a name may stand away from its point, with a line to it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.look import looks
from lbbench.report.charts.picture import LETTER, Picture, drawn, table
from lbbench.report.charts.scales import Span, logarithmic

WIDTH, HEIGHT = 640.0, 380.0
"""Pixels of the plot in which names are placed; many names get more height."""

NAME_HIGH = 15.0
"""Pixels of height that each name adds."""

HIGH, FONT = 13.0, 11.0
"""Pixels of a line of text, and its size."""

RINGS = (10.0, 24.0, 42.0, 64.0, 90.0, 120.0, 155.0, 195.0)
"""How far a name may stand from its point, pixels."""

ANGLES = (0, 180, 90, 270, 35, 325, 145, 215)
"""In which direction, degrees, the best first."""

ROUNDS = 8
"""Times that every name may look for a better place."""

FAR = 0.2
"""What a pixel of distance costs, in square pixels of overlap."""

Row = Mapping[str, Any]
Box = tuple[float, float, float, float]


class Side(NamedTuple):
    """Where a name stands at its point."""

    align: str
    dx: float
    dy: float
    ring: float


SIDES = tuple(
    Side(
        "center"
        if angle in (90, 270)
        else "left"
        if math.cos(math.radians(angle)) > 0
        else "right",
        ring * math.cos(math.radians(angle)),
        -ring * math.sin(math.radians(angle)),
        ring,
    )
    for ring in RINGS
    for angle in ANGLES
)


def pick_cost_against_quality(
    rows: Sequence[Row],
    *,
    quality: str = "busiest share / mean share (ratio)",
    lower: str = "spreads more evenly",
    name: str = "pick-cost-against-quality",
    title: str = "What a pick costs, and how even the shares are",
    note: str = "",
) -> Picture:
    """Return the chart.

    Parameters
    ----------
    rows
        ``balancer``, ``ns`` per pick, ``quality``: a ratio from 1, of which less is better.
    quality, lower
        What that is, and what a lower one does.
    """
    across = logarithmic(min(row["ns"] for row in rows), max(row["ns"] for row in rows))
    up = _from_one(max(row["quality"] for row in rows))
    x, y = Axis("time per pick (ns)", across), Axis(quality, up)
    height = HEIGHT + NAME_HIGH * max(len(rows) - 16, 0)
    marks = looks(str(row["balancer"]) for row in rows)
    data = [
        {"series": label_of(str(row["balancer"])), "x": row["ns"], "y": row["quality"]}
        for row in rows
    ]
    place: dict[str, Any] = {
        "x": alt.X("x:Q", axis=x.axis(grid=True), scale=x.scale()),
        "y": alt.Y("y:Q", axis=y.axis(), scale=y.scale()),
    }
    domain = [label_of(name) for name in marks]
    points = table(data).mark_point(filled=True, size=70, opacity=1.0).encode(
        **place,
        color=alt.Color("series:N", legend=None, scale=alt.Scale(
            domain=domain, range=[look.colour for look in marks.values()])),
        shape=alt.Shape("series:N", legend=None, scale=alt.Scale(
            domain=domain, range=[look.shape for look in marks.values()])),
        tooltip=[alt.Tooltip("series:N", title="balancer"),
                 alt.Tooltip("x:Q", title="ns per pick", format=",.3~r"),
                 alt.Tooltip("y:Q", title=quality, format=".4~r")],
    )  # fmt: skip
    lines, texts = [], []
    for side, some in _sides(data, across, up, height).items():
        style: dict[str, Any] = {"align": side.align, "baseline": "middle", "dx": side.dx,
                                 "dy": side.dy, "fontSize": FONT}  # fmt: skip
        if side.ring > RINGS[0]:
            lines.append(
                table(some).mark_rule(x2Offset=side.dx, y2Offset=side.dy, strokeWidth=0.8).encode(
                    **place, x2="x:Q", y2="y:Q")
            )  # fmt: skip
        text = table(some).encode(**place, text="series:N")
        texts += [text.mark_text(style="halo", **style), text.mark_text(**style)]
    caption = f"Further left costs less time, further down {lower}; the best is below left."
    return drawn(
        [*lines, *texts, points], name=name, title=title, caption=f"{caption} {note}",
        height=height,
    )  # fmt: skip


def _from_one(high: float) -> Span:
    """Return a logarithmic span from a little below 1, where the best lie."""
    found = logarithmic(1.05, max(high, 1.5))
    ticks = tuple(tick for tick in found.ticks if tick >= 1.0)
    if found.high <= 5.0:
        ticks = tuple(t for t in (1.0, 1.2, 1.5, 2.0, 3.0, 4.0, 5.0) if t <= found.high)
    return Span(0.93, found.high, ticks, "log")


def _sides(data: Sequence[Row], across: Span, up: Span, height: float) -> dict[Side, list[Row]]:
    """Return the rows by where their name covers least of points and other names.

    Each name takes the place that is best for it as the others stand, round by round.
    """
    spots = [(across.place(row["x"]) * WIDTH, (1.0 - up.place(row["y"])) * height) for row in data]
    points = [(x - 5.0, y - 5.0, x + 5.0, y + 5.0) for x, y in spots]
    boxes = [
        [_box(x, y, side, len(row["series"])) for side in SIDES]
        for row, (x, y) in zip(data, spots, strict=True)
    ]
    chosen = [0] * len(data)
    for _ in range(ROUNDS):
        for k, choices in enumerate(boxes):
            taken = [*(boxes[j][chosen[j]] for j in range(len(data)) if j != k), *points]
            costs = [
                sum(_common(box, other) for other in taken)
                + 30.0 * _outside(box, height)
                + FAR * (side.ring - RINGS[0])
                + number % len(ANGLES)
                for number, (side, box) in enumerate(zip(SIDES, choices, strict=True))
            ]
            chosen[k] = costs.index(min(costs))
    found: dict[Side, list[Row]] = {}
    for row, number in zip(data, chosen, strict=True):
        found.setdefault(SIDES[number], []).append(row)
    return found


def _box(x: float, y: float, side: Side, letters: int) -> Box:
    """Return the box (left, top, right, bottom) of a name at a point."""
    long = letters * LETTER * FONT / 12.0
    left = x + side.dx - {"left": 0.0, "center": long / 2.0, "right": long}[side.align]
    top = y + side.dy - HIGH / 2.0
    return left, top, left + long, top + HIGH


def _common(a: Box, b: Box) -> float:
    """Return the area that two boxes (left, top, right, bottom) have in common."""
    wide = min(a[2], b[2]) - max(a[0], b[0])
    if wide <= 0.0:
        return 0.0
    return wide * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def _outside(box: Box, height: float) -> float:
    """Return by how many pixels a box stands out of the plot."""
    return max(-box[0], 0.0) + max(box[2] - WIDTH, 0.0) + max(box[3] - height, 0.0)
