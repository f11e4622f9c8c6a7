"""Times, rates and shares as people write them."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.model.units import (
    parse_rate,
    parse_ratio,
    parse_share,
    parse_time,
    write_rate,
    write_time,
)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("250ms", 0.25),
        ("4min", 240.0),
        ("1.5s", 1.5),
        ("0us", 0.0),
        ("3h", 10800.0),
        ("2d", 172800.0),
        ("35us", 35e-6),
        ("35µs", 35e-6),
        ("35μs", 35e-6),
        ("0.3ms", 0.0003),
        ("7ns", 7e-9),
        (" 20 ms ", 0.02),
        ("1e3ms", 1.0),
        (".5s", 0.5),
        (0, 0.0),
        (0.0, 0.0),
    ],
)
def test_times_are_the_nearest_float(text, seconds):
    """A time is rounded once: 35us is the float of 0.000035, not 35 x 1e-6 = 3.4999...e-05."""
    assert parse_time(text) == seconds


@pytest.mark.parametrize(
    ("text", "rate"), [("400/s", 400.0), ("2k/s", 2000.0), ("30/min", 0.5), ("1.5M/s", 1.5e6),
                       ("36/h", 0.01), ("0/s", 0.0), ("0.3 / s", 0.3)]
)  # fmt: skip
def test_rates_are_per_second(text, rate):
    """A rate is a number, a multiple and a unit of time."""
    assert parse_rate(text) == rate


@pytest.mark.parametrize(
    ("value", "share"),
    [(0.8, 0.8), ("80%", 0.8), ("0.8", 0.8), (1, 1.0), ("0%", 0.0), ("5 %", 0.05)],
)
def test_shares_are_numbers_or_percentages(value, share):
    """80% and 0.8 are the same share."""
    assert parse_share(value) == share


@pytest.mark.parametrize(
    ("parse", "value", "sentence"),
    [
        (parse_time, 250, 'a time needs a unit; write "250s" or "250ms"'),
        (parse_time, True, "is not a time; write a number with a unit"),
        (parse_time, None, "is not a time"),
        (parse_time, "250", "is not a time"),
        (
            parse_time,
            "3fortnights",
            "unknown unit fortnights; allowed are ns, us, ms, s, min, h, d",
        ),
        (parse_time, "5m", "unknown unit m; allowed are"),
        (parse_time, "-1ms", "must not be negative"),
        (parse_time, -3, "must not be negative"),
        (parse_time, float("nan"), "must be a finite number"),
        (parse_time, float("inf"), "must be a finite number"),
        (parse_time, "nan", "is not a time"),
        (parse_time, "infs", "is not a time"),
        (parse_time, "1e400s", "is not a time"),
        (parse_time, "9e20s", "must be 0, or between 1e-12s and 1e+09s"),
        (parse_time, "1e-20s", "must be 0, or between"),
        (parse_time, "9" * 500 + "s", "is not a time"),
        (parse_time, 10**400, "must be a finite number"),
        (parse_rate, 400, 'a rate needs a unit; write for instance "400/s"'),
        (parse_rate, "400", "is not a rate"),
        (parse_rate, "40ms", "is not a rate"),
        (parse_rate, "4/fortnight", "unknown unit /fortnight; allowed are /s, /min, /h"),
        (parse_rate, "-4/s", "must not be negative"),
        (parse_rate, "1e30/s", "must be between"),
        (parse_rate, float("nan"), "must be a finite number"),
        (parse_share, "120%", "must be between 0 and 1"),
        (parse_share, -0.1, "must not be negative"),
        (parse_share, "some", "is not a share"),
        (parse_share, "nan", "is not a share"),
        (parse_share, float("nan"), "must be a finite number"),
        (parse_share, False, "is not a share"),
        (parse_ratio, "inf%", "is not a share"),
        (parse_ratio, "-5%", "must not be negative"),
    ],
)
def test_what_is_wrong_is_said(parse, value, sentence):
    """A value that cannot be meant is refused with a sentence on what is allowed."""
    with pytest.raises(ValueError, match="^" + sentence.replace("+", r"\+").replace("(", r"\(")):
        parse(value)


def test_a_ratio_may_exceed_one():
    """A utilisation of 120 % is an overload, not a mistake."""
    assert parse_ratio("120%") == 1.2


@given(st.floats(min_value=1e-12, max_value=1e9))
def test_a_written_time_reads_back_to_the_same_float(seconds):
    """Writing loses no bit, whatever the unit that is chosen."""
    assert parse_time(write_time(seconds)) == seconds


@given(st.floats(min_value=1e-9, max_value=1e12))
def test_a_written_rate_reads_back_to_the_same_float(rate):
    """Writing loses no bit."""
    assert parse_rate(write_rate(rate)) == rate


@given(st.integers(0, 10**6), st.integers(0, 6), st.sampled_from(["us", "ms", "s", "min", "h"]))
def test_parsing_is_exact_before_it_rounds(digits, places, unit):
    """The float is the one nearest to the decimal times the unit, computed as a fraction."""
    text = f"{Fraction(digits, 10**places).numerator}"  # a whole number of the unit
    size = {"us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600}[unit]
    exact = Fraction(text) * Fraction(str(size))
    if exact <= 10**9:
        assert parse_time(f"{text}{unit}") == float(exact)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0, "0s"), (0.25, "250ms"), (240.0, "4min"), (90.0, "90s"), (1.5, "1.5s"), (10800.0, "3h"),
     (0.00099, "990us"), (5e-10, "0.5ns"), (1 / 3, "333.33333333333331ms")],
)  # fmt: skip
def test_times_are_written_for_people(seconds, text):
    """The unit fits the size, and whole minutes, hours and days are used."""
    assert write_time(seconds) == text
