"""When an expectation is met, and how it reads."""

import math

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lbbench.verify.judging import expected_text, meets, number_text

numbers = st.floats(-1e6, 1e6)
tolerances = st.floats(0.0, 10.0)


@given(numbers, numbers, tolerances)
def test_equality_is_met_within_its_tolerance_alone(found, value, tol):
    """Met when the distance is within the tolerance, not met when it is clearly beyond."""
    apart = abs(found - value)
    assume(abs(apart - tol) > 1e-6)
    assert meets("==", found, value, tol) == (apart < tol)


@given(numbers, numbers)
def test_of_two_opposite_inequalities_one_is_met(found, value):
    """Unlike numbers are either below or above, and ``<=`` goes with ``<``."""
    assume(abs(found - value) > 1e-6)
    assert meets("<", found, value) != meets(">", found, value)
    assert meets("<=", found, value) == meets("<", found, value)
    assert meets(">=", found, value) == meets(">", found, value)


@given(numbers, numbers, st.floats(0.0, 1e6), tolerances)
def test_an_interval_is_met_between_its_ends(found, low, width, tol):
    """A value beyond an end by more than the tolerance is outside."""
    high = low + width
    assume(min(abs(found - low + tol), abs(found - high - tol)) > 1e-6)
    assert meets("in", found, [low, high], tol) == (low - tol < found < high + tol)


@pytest.mark.parametrize("found", [None, math.nan, math.inf, []])
@pytest.mark.parametrize(("op", "value"), [("==", 0.0), ("<=", 1.0), (">", 0.0), ("in", [0, 1])])
def test_nothing_found_meets_nothing(found, op, value):
    """A missing or infinite figure and an empty list are no proof of anything."""
    assert not meets(op, found, value)


def test_lists_are_met_entry_by_entry():
    """One expectation counts for every entry; as many as entries count in turn; else none."""
    assert meets("==", [0.1, 0.1], 0.1)
    assert not meets("==", [0.1, 0.2], 0.1)
    assert meets("==", [1.0, 0.0], [1.0, 0.0])
    assert not meets("==", [0.0, 1.0], [1.0, 0.0])
    assert not meets("==", [1.0, 0.0], [1.0, 0.0, 0.0])
    assert meets("in", [501, 499], [448, 552])
    assert not meets("in", [601, 399], [448, 552])


def test_expectations_and_findings_read_well():
    """Tolerances and intervals are shown, numbers are short, equal entries are counted."""
    assert expected_text("==", 0.2, 0.01) == "0.2 ± 0.01"
    assert expected_text("==", 4.0) == "4"
    assert expected_text("in", [448, 552]) == "448 .. 552"
    assert expected_text("<=", 0.13) == "<= 0.13"
    assert number_text([0.1] * 10) == "10 x 0.1"
    assert number_text([0.5, 1 / 3]) == "[0.5, 0.3333]"
    assert number_text(None) == "-"
