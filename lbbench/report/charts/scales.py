"""Scales that are fixed before a chart is drawn: domains, ticks, units of time.

A domain that is known beforehand lets labels be laid out beforehand too.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Literal, NamedTuple

FEW_DECADES = 0.9
"""A span of more decades than this (a factor of 8) is drawn on a logarithmic axis."""

LONG = 20.0
"""Seconds from which times are no longer told in milliseconds."""

STEPS = (1.0, 2.0, 5.0)


class Span(NamedTuple):
    """One axis: what it reaches over, and where its ticks stand."""

    low: float
    high: float
    ticks: tuple[float, ...]
    kind: Literal["linear", "log"]

    def place(self, value: float) -> float:
        """Return where a value lies, 0 at the low end and 1 at the high one."""
        if self.kind == "log":
            return math.log(max(value, 1e-300) / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def value(self, place: float) -> float:
        """Return the value that lies at ``place``."""
        if self.kind == "log":
            return float(self.low * (self.high / self.low) ** place)
        return self.low + place * (self.high - self.low)


def unit_of(values: Iterable[float]) -> tuple[float, str]:
    """Return the unit for times in seconds: how many of it are a second, and its name."""
    known = [value for value in values if value > 0.0]
    if known and (min(known) >= 1.0 or max(known) >= LONG):
        return 1.0, "s"
    if known and max(known) < 1e-3:
        return 1e6, "µs"
    return 1e3, "ms"


def span_of(values: Iterable[float], *, also: Iterable[float] = ()) -> Span:
    """Return the span for values that begin at 0: logarithmic when they lie far apart.

    ``also`` is kept in sight, but does not decide whether the axis is logarithmic.
    """
    values = [value for value in values if value > 0.0]
    seen = [*values, *(value for value in also if value > 0.0)]
    if not seen:
        return linear(0.0, 1.0)
    if values and math.log10(max(values) / min(values)) > FEW_DECADES:
        return logarithmic(min(seen), max(seen))
    return linear(0.0, max(seen))


def linear(low: float, high: float, n: int = 5) -> Span:
    """Return a linear span from ``low`` to a round number above ``high``, of about n steps."""
    rough = max(high - low, 1e-12) / n
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1.0, 2.0, 2.5, 5.0, 10.0) if m * power >= rough * 0.999)
    first = math.floor(low / step + 1e-9)
    last = math.ceil(high / step - 1e-9)
    last = max(last, first + 1)
    ticks = tuple(round(k * step, 12) for k in range(first, last + 1))
    return Span(ticks[0], ticks[-1], ticks, "linear")


def logarithmic(low: float, high: float) -> Span:
    """Return a logarithmic span whose ends are of 1, 2, 5 and leave a little room."""
    marks = _marks(low / 10.0, high * 10.0)
    first = max((mark for mark in marks if mark <= low * 0.97), default=low)
    last = min((mark for mark in marks if mark >= high * 1.03), default=high)
    ticks = [mark for mark in marks if first <= mark <= last]
    if math.log10(last / first) > 3.2:  # 1, 2, 5 of four decades are too many
        ticks = [mark for mark in ticks if abs(math.log10(mark) % 1.0) < 1e-9 or mark == first]
    return Span(first, last, tuple(ticks), "log")


def _marks(low: float, high: float) -> list[float]:
    decades = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [float(f"{step}e{decade}") for decade in decades for step in STEPS]


def spread(places: Sequence[float], gap: float, low: float, high: float) -> list[float]:
    """Return ``places`` moved apart so that neighbours have at least ``gap`` between them.

    Those that would touch stand around their own mean; all stay within ``low`` .. ``high`` when
    they fit. The order of equal places is that of the list.
    """
    order = sorted(range(len(places)), key=lambda i: places[i])
    groups: list[tuple[float, int]] = []  # middle, number of members
    for i in order:
        groups.append((places[i], 1))
        while len(groups) > 1:
            (a, n), (b, m) = groups[-2:]
            if b - a >= gap * (n + m) / 2.0:
                break
            groups[-2:] = [((a * n + b * m) / (n + m), n + m)]
    moved = [middle + gap * (k - (n - 1) / 2.0) for middle, n in groups for k in range(n)]
    floor = low
    for k, place in enumerate(moved):
        moved[k] = max(place, floor)
        floor = moved[k] + gap
    ceiling = high
    for k in reversed(range(len(moved))):
        moved[k] = min(moved[k], ceiling)
        ceiling = moved[k] - gap
    made = [0.0] * len(places)
    for k, i in enumerate(order):
        made[i] = moved[k]
    return made
