"""Numbers as people read them: times, shares, counts."""

from __future__ import annotations


def seconds(value: float | None) -> str:
    """Return a time with the unit that suits it: 1.20 s, 85.3 ms, 740 us."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:.0f} s"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= 0.9995 * scale:
            number = value / scale
            digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
            return f"{number:.{digits}f} {unit}"
    return "0" if value == 0 else f"{value * 1e6:.2f} us"


def milliseconds(value: float | None) -> str:
    """Return a time in milliseconds without its unit, for a column."""
    if value is None:
        return "-"
    number = value * 1e3
    digits = 2 if number < 10 else 1 if number < 1000 else 0
    return f"{number:,.{digits}f}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent without the sign, for a column."""
    return "-" if value is None else f"{100 * value:.{digits}f}"


def count(value: float | None) -> str:
    """Return a whole number with thousands separated."""
    return "-" if value is None else f"{value:,.0f}"


def ratio(value: float | None, digits: int = 3) -> str:
    """Return a plain number."""
    return "-" if value is None else f"{value:.{digits}f}"


def p_value(value: float | None) -> str:
    """Return a p-value; very small ones as a bound."""
    if value is None:
        return "-"
    return "<0.0001" if value < 1e-4 else f"{value:.4f}"
