"""Lines of several series with their bands, points and names at their ends."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import altair as alt

from lbbench.model.label import label_of
from lbbench.report.charts.look import Look, looks
from lbbench.report.charts.picture import LETTER, at, table
from lbbench.report.charts.scales import Span, spread

MOST_NAMED = 8
"""Lines that carry their names at their ends; more get a legend."""

WIDEST = 20
"""Letters of a name that may stand beside the plot; of longer ones the plot would be a strip."""

LINE = 15.0
"""Pixels from one name to the next."""

NARROW = 300.0
"""Pixels of a plot that labels are laid out for: what has room on a telephone has it everywhere."""

STEPS = 24
"""Places looked at between two points of a line."""

Row = Mapping[str, Any]
"""A point of a line: ``series``, ``x``, ``y``, ``low``, ``high`` (None: no interval known)."""


class Axis(NamedTuple):
    """What an axis says."""

    title: str  # with its unit
    span: Span
    format: str = ",.6~r"  # of its numbers, as d3 has it
    labels: str | None = None  # a Vega expression for the text of a tick
    names: str = ""  # of the value in a tooltip, without unit; the title if empty
    tip: str = ""  # field of the rows whose text a tooltip has in place of the number

    def scale(self, **more: Any) -> alt.Scale:
        """Return the scale, with its domain fixed."""
        span = self.span
        more |= {"base": 10} if span.kind == "log" else {"zero": False}
        return alt.Scale(type=span.kind, domain=[span.low, span.high], nice=False, **more)

    def axis(self, **more: Any) -> alt.Axis:
        """Return ticks and title."""
        if self.labels is not None:
            more["labelExpr"] = self.labels
        return alt.Axis(title=self.title, values=list(self.span.ticks), format=self.format, **more)


def lines(
    rows: Sequence[Row],
    *,
    x: Axis,
    y: Axis,
    height: float,
    interpolate: Any = "linear",
    points: bool = True,
    what: str = "balancer",
    nested: bool = False,
) -> list[alt.Chart]:
    """Return one line per series, in the order in which they come, with intervals as bands.

    ``nested`` makes earlier lines wider, so that lines on top of each other can all be seen. Up to
    `MOST_NAMED` series have their names at the ends of their lines, more a legend below.
    """
    names = list(dict.fromkeys(str(row["series"]) for row in rows))
    known = looks(names)
    room = margin(names)
    rows = [{**row, "series": label_of(str(row["series"]))} for row in rows if row["y"] is not None]
    named = {label_of(name): known[name] for name in names}
    across = alt.X("x:Q", axis=x.axis(), scale=x.scale(**to_the_right(room)))
    up = alt.Y("y:Q", axis=y.axis(), scale=y.scale())
    tips = _tooltip(rows, x, y, what)
    base = table(rows)
    width = _widths(list(named)) if nested else alt.StrokeWidthValue(2)
    paint = _paint(named, legend=not room, what=what)
    parts: list[alt.Chart] = []
    if any(row.get("low") is not None for row in rows):
        bands = [row for row in rows if row.get("low") is not None]
        parts.append(
            table(bands)
            .mark_area(opacity=0.16, clip=True, interpolate=interpolate)
            .encode(
                x=across,
                y=alt.Y("low:Q", axis=y.axis(), scale=y.scale()),
                y2="high:Q",
                color=paint["color"],
            )
        )
    parts.append(
        base.mark_line(interpolate=interpolate, strokeCap="butt").encode(
            x=across, y=up, color=paint["color"], strokeDash=paint["dash"], strokeWidth=width
        )
    )
    # without points there are places for the mouse
    size, opacity = (46, 1.0) if points else (90, 0.0)
    parts.append(
        base.mark_point(filled=True, size=size, opacity=opacity).encode(
            x=across, y=up, color=paint["color"], shape=paint["shape"], tooltip=tips
        )
    )
    if room:
        parts += _names(rows, named, (x, y), room, height, paint)
    return parts


def margin(names: Sequence[str]) -> float:
    """Return the pixels that names at the ends of lines need; 0 when a legend has to do.

    A name may be there several times.
    """
    longest = max((len(label_of(name)) for name in names), default=0)
    if len(set(names)) > MOST_NAMED or longest > WIDEST:
        return 0.0
    return longest * LETTER + 30.0


class Objective(NamedTuple):
    """The parts of an objective's line: what lies behind the data and what stands before it."""

    behind: list[alt.Chart]
    before: list[alt.Chart]


def objective(
    value: float, text: str, rows: Sequence[Row], *, x: Axis, y: Axis, room: float, height: float
) -> Objective:
    """Return the dashed line of an objective and its label, where ``rows`` leave it most room.

    Nothing when the value is out of sight. ``room`` is what `margin` gave.
    """
    if not y.span.low <= value <= y.span.high:
        return Objective([], [])
    row = table([{"limit": value, "label": text}])
    up = alt.Y("limit:Q", axis=y.axis(), scale=y.scale())
    right = alt.ExprRef(f"width - {room:.0f}")
    end = alt.X2Value(right)  # type: ignore[no-untyped-call]
    rule = row.mark_rule(style="objective").encode(y=up, x=at(0), x2=end)
    at_left, above = _spot(value, text, rows, x, y, height)
    place: dict[str, Any] = {
        "align": "left" if at_left else "right",
        "baseline": "bottom" if above else "top",
        "dy": -5 if above else 6,
        "dx": 4 if at_left else -4,
    }
    label = row.encode(x=at(0 if at_left else right), y=up, text="label:N")
    return Objective([rule], [label.mark_text(style="halo", **place), label.mark_text(**place)])


def _spot(
    value: float, text: str, rows: Sequence[Row], x: Axis, y: Axis, height: float
) -> tuple[bool, bool]:
    """Tell whether a label fits best at the left, and above its line: where least is crossed."""
    length = min(len(text) * LETTER / NARROW, 0.8)
    base = y.span.place(value) * height
    curves: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        place = x.span.place(row["x"]), y.span.place(row["y"]) * height
        curves.setdefault(row["series"], []).append(place)
    crossed = {}
    for at_left, above in ((True, True), (False, True), (False, False), (True, False)):
        low, high = (base + 2.0, base + 20.0) if above else (base - 20.0, base - 2.0)
        begin, end = (0.0, length) if at_left else (1.0 - length, 1.0)
        fits = low >= 0.0 and high <= height + 6.0
        hits = sum(
            begin <= across <= end and low <= up <= high
            for curve in curves.values()
            for across, up in _between(curve)
        )
        crossed[at_left, above] = hits if fits else 10**6
    return min(crossed, key=lambda spot: crossed[spot])


def _between(curve: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Yield points along a curve, close enough that none jumps over a label."""
    for (x1, y1), (x2, y2) in itertools.pairwise(curve):
        for k in range(STEPS):
            yield x1 + (x2 - x1) * k / STEPS, y1 + (y2 - y1) * k / STEPS
    yield from curve[-1:]


def to_the_right(room: float) -> dict[str, Any]:
    """Return what keeps a scale out of the ``room`` for names at the right."""
    return {"range": [0, {"expr": f"width - {room:.0f}"}]} if room else {}


def _paint(named: Mapping[str, Look], *, legend: bool, what: str) -> dict[str, Any]:
    """Return the channels that tell series apart."""
    domain = list(named)
    shown_below = alt.Legend(
        orient="bottom", title=what, columns=alt.ExprRef("width < 480 ? 2 : 4"), symbolType="stroke"
    )
    key = shown_below if legend else None
    return {
        "color": alt.Color(
            "series:N",
            scale=alt.Scale(domain=domain, range=[look.colour for look in named.values()]),
            legend=key,
        ),
        "dash": alt.StrokeDash(
            "series:N",
            scale=alt.Scale(domain=domain, range=[list(look.dash) for look in named.values()]),
            legend=key,
        ),
        "shape": alt.Shape(
            "series:N",
            scale=alt.Scale(domain=domain, range=[look.shape for look in named.values()]),
            legend=key,
        ),
    }


def _widths(names: Sequence[str]) -> alt.StrokeWidth:
    """Return a width for every series, the last one's the least."""
    widths = [2.0 + 2.5 * min(k, 4) for k in reversed(range(len(names)))]
    return alt.StrokeWidth("series:O", legend=None, scale=alt.Scale(domain=names, range=widths))


def _names(
    rows: Sequence[Row],
    named: Mapping[str, Look],
    axes: tuple[Axis, Axis],
    room: float,
    height: float,
    paint: Mapping[str, Any],
) -> list[alt.Chart]:
    """Return the names at the ends of the lines, moved apart, each with its point beside it."""
    x, y = axes
    ends: dict[str, Row] = {}
    for row in rows:
        known = ends.get(row["series"])
        if known is None or row["x"] >= known["x"]:
            ends[row["series"]] = row
    last = [ends[name] for name in named if name in ends]
    furthest = max((row["x"] for row in last), default=0.0)
    heights = [y.span.place(row["y"]) * height for row in last]
    moved = spread(heights, LINE, 0.0, height)
    data = [
        {"series": row["series"], "x": row["x"], "end": furthest, "y": row["y"],
         "at": y.span.value(place / height)}
        for row, place in zip(last, moved, strict=True)
    ]  # fmt: skip
    base = table(data)
    end = alt.X("end:Q", axis=x.axis(), scale=x.scale(**to_the_right(room)))
    at = alt.Y("at:Q", axis=y.axis(), scale=y.scale())
    leader = base.mark_rule(opacity=0.8, strokeWidth=1, strokeDash=[1, 2], x2Offset=14).encode(
        x=alt.X("x:Q", axis=x.axis(), scale=x.scale(**to_the_right(room))), x2="end:Q",
        y=alt.Y("y:Q", axis=y.axis(), scale=y.scale()), y2="at:Q", color=paint["color"],
    )  # fmt: skip
    mark = base.mark_point(filled=True, size=50, opacity=1.0, xOffset=17).encode(
        x=end, y=at, color=paint["color"], shape=paint["shape"]
    )
    text = base.mark_text(align="left", baseline="middle", dx=24).encode(
        x=end, y=at, text="series:N"
    )
    return [leader, mark, text]


def _tooltip(rows: Sequence[Row], x: Axis, y: Axis, what: str) -> list[alt.Tooltip]:
    tips = [
        alt.Tooltip("series:N", title=what),
        alt.Tooltip(f"{x.tip}:N", title=x.names or x.title)
        if x.tip
        else alt.Tooltip("x:Q", title=x.names or x.title, format=x.format),
        alt.Tooltip("y:Q", title=y.names or y.title, format=",.4~r"),
    ]
    if any(row.get("low") is not None for row in rows):
        tips += [
            alt.Tooltip("low:Q", title="95 % from", format=",.4~r"),
            alt.Tooltip("high:Q", title="95 % to", format=",.4~r"),
        ]
    return tips
