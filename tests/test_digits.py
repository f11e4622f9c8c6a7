"""Numbers are written digit by digit as Lua prints them."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from lbbench.balancers.digits import write_number, write_seconds


def written(write, at: int, number: int) -> str:
    text = np.full(64, ord("_"), np.uint8)
    end = write(text, at, number)
    whole = text.tobytes().decode()
    assert whole == "_" * at + whole[at:end] + "_" * (64 - end)
    return whole[at:end]


@given(st.integers(0, 20), st.integers(0, 10**15))
@example(0, 0)
@example(3, 10)
def test_a_whole_number_has_its_decimal_digits(at: int, number: int):
    """From the place given on, and nothing beside them."""
    assert written(write_number, at, number) == str(number)


@given(st.integers(0, 20), st.integers(0, 10**13 - 1))
@example(0, 1000)
@example(0, 1100)
@example(0, 1001)
@example(0, 7)
def test_seconds_are_printed_with_14_digits_at_most(at: int, milliseconds: int):
    """What ``%.14g`` prints of the float, so without trailing zeros."""
    assert written(write_seconds, at, milliseconds) == f"{milliseconds / 1000:.14g}"
