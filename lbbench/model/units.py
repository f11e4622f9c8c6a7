"""Units at the edge: times, rates and shares as people write them, seconds and numbers inside.

Every number is rounded once: ``"35us"`` is the float nearest to 0.000035, not 35 times a float near
0.000001. The writers give texts that the readers turn back into the same float.
"""

from __future__ import annotations

import math
import re
from fractions import Fraction
from functools import lru_cache

TIME_UNITS = {
    "ns": Fraction(1, 10**9),
    "us": Fraction(1, 10**6),
    "µs": Fraction(1, 10**6),  # the micro sign
    "μs": Fraction(1, 10**6),  # the Greek letter
    "ms": Fraction(1, 10**3),
    "s": Fraction(1),
    "min": Fraction(60),
    "h": Fraction(3600),
    "d": Fraction(86400),
}
RATE_UNITS = {"s": Fraction(1), "min": Fraction(60), "h": Fraction(3600)}
MULTIPLES = {"": 1, "k": 10**3, "M": 10**6}

SHORTEST_S = 1e-12
LONGEST_S = 1e9
"""The longest time, about 32 years: beyond it a float64 no longer holds 100 ns."""

_NUMBER = r"([+-]?(?:[0-9]{1,30}(?:\.[0-9]{0,30})?|\.[0-9]{1,30})(?:[eE][+-]?[0-9]{1,2})?)"
_TIME = re.compile(rf"{_NUMBER}\s*([^\W\d_]+)")
_RATE = re.compile(rf"{_NUMBER}\s*([kM]?)\s*/\s*([a-z]+)")
_SHARE = re.compile(rf"{_NUMBER}\s*(%?)")

_ANY = re.compile(rf"{_NUMBER}\s*(.*)")

UNITS: dict[str, tuple[str, Fraction]] = {
    **{unit: ("time", size) for unit, size in TIME_UNITS.items()},
    **{
        f"{multiple}/{unit}": ("rate", number / size)
        for multiple, number in MULTIPLES.items()
        for unit, size in RATE_UNITS.items()
    },
    "": ("number", Fraction(1)),
    "%": ("number", Fraction(1, 100)),
}
"""Every unit by what it measures and its size."""

_NO_NUMBER = 'is not a number; write for instance 0.5, "20ms", "400/s" or "80%"'
_NO_TIME = 'is not a time; write a number with a unit, for instance "250ms" or "4min"'
_NO_RATE = 'is not a rate; write for instance "400/s", "2k/s" or "30/min"'
_NO_SHARE = 'is not a share; write for instance 0.8 or "80%"'


def parse_time(value: object) -> float:
    """Return seconds from ``"250ms"``, ``"4min"``, ``"1.5s"``; only 0 needs no unit.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    number = _bare(value)
    if number is not None:
        if number == 0.0:
            return 0.0
        _refuse_negative(number)
        raise ValueError(f'a time needs a unit; write "{value}s" or "{value}ms"')
    if not isinstance(value, str):
        raise ValueError(_NO_TIME)
    return _read_time(value)


@lru_cache(maxsize=4096)  # the points of a study have the same few times
def _read_time(text: str) -> float:
    match = _TIME.fullmatch(text.strip())
    if match is None:
        raise ValueError(_NO_TIME)
    digits, unit = match.groups()
    if unit not in TIME_UNITS:
        raise ValueError(f"unknown unit {unit}; allowed are ns, us, ms, s, min, h, d")
    seconds = float(Fraction(digits) * TIME_UNITS[unit])
    _refuse_negative(seconds)
    if seconds != 0.0 and not SHORTEST_S <= seconds <= LONGEST_S:
        raise ValueError(f"must be 0, or between {SHORTEST_S:g}s and {LONGEST_S:g}s")
    return seconds


def parse_rate(value: object) -> float:
    """Return events per second from ``"400/s"``, ``"2k/s"``, ``"30/min"``.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    number = _bare(value)
    if number is not None:
        _refuse_negative(number)
        raise ValueError(f'a rate needs a unit; write for instance "{value}/s"')
    match = _RATE.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(_NO_RATE)
    digits, multiple, unit = match.groups()
    if unit not in RATE_UNITS:
        raise ValueError(f"unknown unit /{unit}; allowed are /s, /min, /h")
    rate = float(Fraction(digits) * MULTIPLES[multiple] / RATE_UNITS[unit])
    _refuse_negative(rate)
    if rate != 0.0 and not 1.0 / LONGEST_S <= rate <= 1.0 / SHORTEST_S:
        raise ValueError(f"must be between {1.0 / LONGEST_S:g}/s and {1.0 / SHORTEST_S:g}/s")
    return rate


def parse_ratio(value: object) -> float:
    """Return a number from ``1.2`` or ``"120%"``; it must be finite and not negative.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    number = _bare(value)
    if number is None:
        match = _SHARE.fullmatch(value.strip()) if isinstance(value, str) else None
        if match is None:
            raise ValueError(_NO_SHARE)
        number = float(Fraction(match[1]) / (100 if match[2] else 1))
    _refuse_negative(number)
    return number


def parse_share(value: object) -> float:
    """Return a share in 0 .. 1 from ``0.8`` or ``"80%"``.

    Raises
    ------
    ValueError
        With a sentence that says what is wrong and what is allowed.
    """
    number = parse_ratio(value)
    if number > 1.0:
        raise ValueError("must be between 0 and 1 (0% and 100%)")
    return number


def write_time(seconds: float) -> str:
    """Return a time that `parse_time` reads back to the same float.

    Whole days, hours or minutes where there are some ("4min"), else the unit that fits the size
    with as many digits as it takes ("1.5s", "250ms", "990us").
    """
    if seconds == 0.0:
        return "0s"
    for unit in ("d", "h", "min"):
        number = round(seconds / float(TIME_UNITS[unit]))
        if number >= 1 and number * float(TIME_UNITS[unit]) == seconds:
            return f"{number}{unit}"
    unit = next((unit for unit in ("s", "ms", "us") if seconds >= float(TIME_UNITS[unit])), "ns")
    for digits in (6, 9, 12, 15, 17):
        text = f"{seconds / float(TIME_UNITS[unit]):.{digits}g}"
        if "e" not in text and float(Fraction(text) * TIME_UNITS[unit]) == seconds:
            return f"{text}{unit}"
    return f"{seconds!r}s"


def write_rate(rate: float) -> str:
    """Return a rate that `parse_rate` reads back to the same float."""
    text = f"{rate:.15g}/s"
    return text if parse_rate(text) == rate else f"{rate!r}/s"


def in_units(value: object) -> tuple[Fraction, str]:
    """Return a number and its unit as written: 20 and "ms" of "20ms"; "" where there is none.

    Raises
    ------
    ValueError
        When it is no number, with or without a unit that there is.
    """
    if _bare(value) is not None:
        return Fraction(str(value)), ""
    match = _ANY.fullmatch(value.strip()) if isinstance(value, str) else None
    unit = "".join(match[2].split()) if match else ""
    if match is None or (unit and unit not in UNITS):
        raise ValueError(_NO_NUMBER)
    return Fraction(match[1]), unit


def ratio(unit: str, other: str) -> Fraction | None:
    """Return how many of ``other`` one ``unit`` is; None when they measure different things."""
    (kind, size), (other_kind, other_size) = UNITS[unit], UNITS[other]
    return size / other_size if kind == other_kind else None


def _bare(value: object) -> float | None:
    """Return a number written without quotes and unit; None for a text."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        number = math.inf
    if not math.isfinite(number):
        raise ValueError("must be a finite number")
    return number


def _refuse_negative(number: float) -> None:
    if number < 0.0:
        raise ValueError("must not be negative")
