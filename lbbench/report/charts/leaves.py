"""The leaves of a scenario as axes: their values as numbers, with a title and a unit."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from lbbench.model.units import parse_rate, parse_time
from lbbench.report.charts.lines import Axis
from lbbench.report.charts.scales import Span, linear, span_of, unit_of

LOADS = ("traffic.utilisation", "traffic.arrivals.rate")
"""Leaves that are load; where a study has one, it goes along the horizontal axis."""

TITLES = {
    "traffic.utilisation": ("offered load (% of the pods' capacity)", "offered load"),
    "traffic.arrivals.rate": ("arrival rate (requests/s)", "arrival rate"),
    "traffic.arrivals.users": ("users (number)", "users"),
    "cluster.pods": ("pods (number)", "pods"),
    "cluster.nodes": ("nodes (number)", "nodes"),
    "cluster.ingress.workers": ("nginx workers per replica (number)", "nginx workers"),
    "traffic.service_time.mean": ("mean service time", "mean service time"),
    "traffic.service_time.cv": (
        "spread of service times (standard deviation / mean)",
        "spread of service times",
    ),
}

FEW_TICKS = 9
"""As many values of an axis have a tick each; of more the ticks are round numbers."""


def numbers_of(leaf: str, values: Iterable[object]) -> list[float] | None:
    """Return the values of a leaf as numbers (seconds, requests/s, %), None when one is none."""
    made = []
    for value in values:
        number = _number(leaf, value)
        if number is None or not math.isfinite(number):
            return None
        made.append(number)
    return made


def axis_of(leaf: str, numbers: Sequence[float]) -> tuple[Axis, float]:
    """Return the axis for a leaf, and the factor that brings its numbers into the axis' unit."""
    title, short = TITLES.get(leaf, ("", ""))
    if not title:
        short = " ".join(leaf.split(".")[-2:]).replace("_", " ")
        title = f"{short} (number)"
    factor = 1.0
    if is_time(leaf):
        factor, unit = unit_of(numbers)
        title = f"{short} ({unit})"
    scaled = sorted({number * factor for number in numbers})
    return Axis(title, _span(scaled), names=short), factor


def is_time(leaf: str) -> bool:
    """Tell whether a leaf holds a time that is written with a unit."""
    last = leaf.rsplit(".", 1)[-1]
    return leaf == "traffic.service_time.mean" or last.endswith(
        ("_rtt", "timeout", "interval", "cpu_per_request", "delay", "decay", "drain", "duration")
    )


def _number(leaf: str, value: object) -> float | None:
    if isinstance(value, bool):
        return None
    try:
        if leaf == "traffic.utilisation":
            return 100.0 * float(str(value).rstrip("%")) / (100.0 if "%" in str(value) else 1.0)
        if leaf.endswith("rate"):
            return parse_rate(value)
        if is_time(leaf):
            return parse_time(value)
        return float(str(value)) if isinstance(value, int | float) else None
    except ValueError:
        return None


def _span(values: Sequence[float]) -> Span:
    """Return a span from the first value to the last, ticks at the values when they are few."""
    wide = span_of(values)
    kind = wide.kind if values[0] > 0.0 else "linear"
    if len(values) == 1:
        return Span(values[0] * 0.9, values[0] * 1.1 + (values[0] == 0.0), tuple(values), "linear")
    ticks = tuple(values)
    if len(values) > FEW_TICKS:
        nice = wide if kind == "log" else linear(values[0], values[-1])
        ticks = tuple(tick for tick in nice.ticks if values[0] <= tick <= values[-1])
    return Span(values[0], values[-1], ticks, kind)
