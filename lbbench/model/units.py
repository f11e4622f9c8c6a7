"""Units at the edge: times, rates and shares as people write them, seconds and numbers inside."""

from __future__ import annotations

import math
import re

TIME_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "min": 60.0, "h": 3600.0,
              "d": 86400.0}  # fmt: skip
RATE_UNITS = {"s": 1.0, "min": 60.0, "h": 3600.0}
MULTIPLES = {"": 1.0, "k": 1e3, "M": 1e6}

_NUMBER = r"([0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|\.[0-9]+)"
_TIME = re.compile(rf"^{_NUMBER}\s*([a-zµ]+)$")
_RATE = re.compile(rf"^{_NUMBER}\s*([kM]?)\s*/\s*([a-z]+)$")


def parse_time(value: object) -> float:
    """Return seconds from ``"250ms"``, ``"4min"``, ``"1.5s"``; a bare 0 needs no unit.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError('is not a time; write a number with a unit, for instance "250ms"')
    if isinstance(value, (int, float)):
        if value == 0:
            return 0.0
        raise ValueError(f'a time needs a unit; write "{value}s" or "{value}ms"')
    match = _TIME.match(value.strip())
    if match is None:
        if value.strip().startswith("-"):
            raise ValueError("a time must not be negative")
        raise ValueError(
            'is not a time; write a number with a unit, for instance "250ms" or "4min"'
        )
    number, unit = match.groups()
    if unit not in TIME_UNITS:
        raise ValueError(f"unknown unit {unit!r}; allowed are {', '.join(TIME_UNITS)}")
    return _finite(float(number) * TIME_UNITS[unit])


def parse_rate(value: object) -> float:
    """Return events per second from ``"400/s"``, ``"2k/s"``, ``"30/min"``.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, str):
        raise ValueError('a rate needs a unit; write for instance "400/s" or "2k/s"')
    match = _RATE.match(value.strip())
    if match is None:
        if value.strip().startswith("-"):
            raise ValueError("a rate must not be negative")
        raise ValueError('is not a rate; write for instance "400/s", "2k/s" or "30/min"')
    number, multiple, unit = match.groups()
    if unit not in RATE_UNITS:
        raise ValueError(f"unknown unit /{unit}; allowed are /s, /min, /h")
    return _finite(float(number) * MULTIPLES[multiple] / RATE_UNITS[unit])


def parse_share(value: object) -> float:
    """Return a share in 0 .. 1 from ``0.8`` or ``"80%"``.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    number = parse_ratio(value)
    if not 0.0 <= number <= 1.0:
        raise ValueError("must be between 0 and 1 (0% and 100%)")
    return number


def parse_ratio(value: object) -> float:
    """Return a number from ``1.2`` or ``"120%"``; it must be finite and not negative.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    if isinstance(value, bool) or not isinstance(value, (str, int, float)):
        raise ValueError('is not a share; write for instance 0.8 or "80%"')
    try:
        if isinstance(value, str) and value.strip().endswith("%"):
            number = float(value.strip()[:-1]) / 100.0
        else:
            number = float(value)
    except ValueError:
        raise ValueError('is not a share; write for instance 0.8 or "80%"') from None
    if _finite(number) < 0.0:
        raise ValueError("must not be negative")
    return number


def write_time(seconds: float) -> str:
    """Return a time that `parse_time` reads back to the same float."""
    for unit in ("h", "min", "s", "ms", "us"):
        number = seconds / TIME_UNITS[unit]
        if number >= 1 and number == round(number) and number < 1e6:
            text = f"{round(number)}{unit}"
            if parse_time(text) == seconds:
                return text
    for unit in ("s", "ms", "us"):
        text = f"{seconds / TIME_UNITS[unit]:.6g}{unit}"
        if "e" not in text and parse_time(text) == seconds:
            return text
    return f"{seconds!r}s"


def write_rate(rate: float) -> str:
    """Return a rate that `parse_rate` reads back to the same float."""
    text = f"{rate:.12g}/s"
    return text if parse_rate(text) == rate else f"{rate!r}/s"


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number
