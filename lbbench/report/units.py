"""Numbers as people read them: times, shares, counts, intervals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def seconds(value: float | None) -> str:
    """Return a time with the unit that suits it: 1.20 s, 85.3 ms, 740 us."""
    if value is None:
        return "-"
    if value >= 100:
        return f"{value:,.0f} s"
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "us")):
        if value >= 0.9995 * scale:
            number = value / scale
            digits = 2 if number < 9.995 else 1 if number < 99.95 else 0
            return f"{number:.{digits}f} {unit}"
    return "0 s" if value == 0 else f"{value * 1e6:.2f} us"


def moment(value: float | None) -> str:
    """Return a time of the run in seconds without the unit, for a column; nothing for None."""
    return "" if value is None else f"{value:,.1f}"


def digits_for(values: Iterable[float | None]) -> int:
    """Return the decimals that a column of milliseconds needs: three digits of its least value.

    Values below 10 us do not count: beside milliseconds they are nothing.
    """
    least = min((value * 1e3 for value in values if value and value >= 1e-5), default=100.0)
    return 3 if least < 1 else 2 if least < 10 else 1 if least < 100 else 0


def milliseconds(value: float | None, digits: int | None = None) -> str:
    """Return a time in milliseconds without its unit, for a column with so many decimals."""
    if value is None:
        return "-"
    digits = digits_for([value]) if digits is None else digits
    return _unsigned(f"{value * 1e3:,.{digits}f}")


def span(interval: Sequence[float] | None, digits: int | None = None) -> str:
    """Return an interval of times in milliseconds, for a column; no time is below 0."""
    if interval is None:
        return "-"
    digits = digits_for(interval) if digits is None else digits
    return f"{milliseconds(max(interval[0], 0.0), digits)}-{milliseconds(interval[1], digits)}"


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share in percent without the sign, for a column."""
    return "-" if value is None else _unsigned(f"{100 * value:.{digits}f}")


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


def percentile(name: str) -> str:
    """Return the name of a percentile as people write it: p99.9 for p999."""
    digits = name.removeprefix("p")
    if name == digits or not digits.isdigit():
        return name
    return f"p{digits[:2]}.{digits[2:]}" if len(digits) > 2 else name


def _unsigned(text: str) -> str:
    """Return the text of a number; one that rounds to zero from below has no sign."""
    return text.removeprefix("-") if text.startswith("-0") and not text.strip("-0.,") else text
