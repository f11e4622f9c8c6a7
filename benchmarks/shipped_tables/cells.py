"""Cells that the tables of the shipped studies share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from lbbench.stats.intervals import student
from lbbench.stats.pairs import Difference
from lbbench.studies.study import Figure

NOTHING = "–"
OVER = 0.995
"""A pod that is busy for more of the time is over capacity: its queue grows with the run."""


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> str:
    """Return a table of Markdown; the first ``left`` columns are words, the others numbers."""
    rule = ["---"] * left + ["---:"] * (len(columns) - left)
    lines = [list(columns), rule, *(list(row) for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def short(value: float) -> str:
    """Return a number with three digits, without an exponent."""
    text = f"{value:.3g}"
    return f"{value:,.0f}" if "e" in text or abs(value) >= 1000 else text


def ratio(item: Difference | None, *, told: bool) -> str:
    """Return a ratio with its interval; ``=`` where the two cannot be told apart."""
    if item is None or item.ratio is None:
        return NOTHING
    if item.ratio_ci95 is None:
        return f"{short(item.ratio)} (no interval)"
    low, high = item.ratio_ci95
    text = f"{short(item.ratio)} ({short(low)} to {short(high)})"
    return text if told else f"= {text}"


def figure_ms(figure: Figure) -> str:
    """Return a latency in milliseconds with its interval."""
    if figure.value is None:
        return NOTHING
    text = short(1e3 * figure.value)
    if figure.ci95 is None:
        return text
    low, high = (short(1e3 * end) for end in figure.ci95)
    return f"{text} ({low} to {high})"


def mean_of(values: Sequence[float]) -> tuple[float, float]:
    """Return the mean over replications and half its 95 % interval (Student)."""
    n = len(values)
    mean = sum(values) / n
    if n < 2:
        return mean, float("nan")
    spread = (sum((value - mean) ** 2 for value in values) / (n - 1)) ** 0.5
    return mean, student(n - 1) * spread / n**0.5


def plus_minus(values: Sequence[float | None], digits: int, factor: float = 1.0) -> str:
    """Return the mean over replications with half its interval; "never" where one has none."""
    known = [value * factor for value in values if value is not None]
    if not known:
        return "never"
    mean, half = mean_of(known)
    text = f"{mean:,.{digits}f} ± {half:,.{digits}f}"
    lacking = len(values) - len(known)
    return f"{text} (never in {lacking} of {len(values)})" if lacking else text


def seconds_of(text: Any) -> float:
    """Return a time of an axis in seconds."""
    from lbbench.model.units import parse_time

    return parse_time(text)
