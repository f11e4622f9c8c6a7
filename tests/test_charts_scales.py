"""Axes that are fixed beforehand hold what they show; labels that were moved do not touch."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lbbench.report.charts.leaves import axis_of, numbers_of
from lbbench.report.charts.scales import linear, logarithmic, span_of, spread, unit_of

few = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])

TIMES = st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=6)


@few
@given(TIMES)
def test_a_span_holds_all_values_and_its_ticks(values):
    """Every value lies within, ticks ascend within, and there are enough of them to read."""
    span = span_of(values)
    for value in values:
        assert -1e-9 <= span.place(value) <= 1.0 + 1e-9
    assert list(span.ticks) == sorted(set(span.ticks))
    assert all(-1e-9 <= span.place(tick) <= 1.0 + 1e-9 for tick in span.ticks)
    assert 2 <= len(span.ticks) <= 13


@few
@given(TIMES, st.floats(0.0, 1.0))
def test_places_and_values_are_inverse(values, place):
    """What is laid out by place comes back as the value that is drawn there."""
    span = span_of(values)
    assert span.place(span.value(place)) == pytest.approx(place, abs=1e-9)


@few
@given(TIMES)
def test_an_axis_is_logarithmic_where_values_lie_far_apart(values):
    """Times that differ eightfold are hidden at the foot of a linear axis; others start at 0."""
    span = span_of(values)
    far = max(values) / min(values) > 10**0.9
    assert span.kind == ("log" if far else "linear")
    assert far or span.low == 0.0


@few
@given(st.floats(-1e4, 1e4), st.floats(1e-3, 1e4))
def test_linear_ticks_have_equal_round_steps(low, width):
    """Steps are 1, 2, 2.5 or 5 times a power of ten, and the ends are ticks."""
    span = linear(low, low + width)
    steps = [b - a for a, b in itertools.pairwise(span.ticks)]
    assert max(steps) == pytest.approx(min(steps), rel=1e-3)
    digits = steps[0] / 10.0 ** math.floor(math.log10(steps[0]) + 1e-9)
    assert min(abs(digits - good) for good in (1.0, 2.0, 2.5, 5.0, 10.0)) < 1e-2
    assert (span.low, span.high) == (span.ticks[0], span.ticks[-1])


def test_logarithmic_ticks_are_one_two_five():
    """Within three decades 1, 2 and 5, beyond the powers of ten."""
    assert logarithmic(30.0, 900.0).ticks == (20.0, 50.0, 100.0, 200.0, 500.0, 1000.0)
    wide = logarithmic(1.0, 1e5).ticks
    assert set(wide[1:]) <= {10.0**k for k in range(7)}


@few
@given(
    st.lists(st.floats(0.0, 300.0), max_size=10),
    st.floats(5.0, 20.0),
)
def test_labels_that_were_moved_do_not_touch(places, gap):
    """They keep their order and their distance, and stay within when they fit."""
    moved = spread(places, gap, 0.0, 300.0)
    order = sorted(range(len(places)), key=lambda i: places[i])
    for i, j in itertools.pairwise(order):
        assert moved[j] - moved[i] >= gap - 1e-6
    if gap * (len(places) - 1) <= 300.0:
        assert all(-1e-6 <= place <= 300.0 + 1e-6 for place in moved)


@few
@given(st.lists(st.floats(0.0, 300.0), min_size=1, max_size=1))
def test_a_label_with_room_stays_where_it_is(places):
    """Nothing is moved that touches nothing."""
    assert spread(places, 15.0, 0.0, 300.0) == places


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0.02, 0.3], (1e3, "ms")),
        ([1.0, 30.0], (1.0, "s")),
        ([0.02, 50.0], (1.0, "s")),
        ([1e-5, 5e-4], (1e6, "µs")),
        ([], (1e3, "ms")),
    ],
)
def test_the_unit_of_times_suits_them(values, expected):
    """Milliseconds, unless all are longer than a second, one is very long, or all are short."""
    assert unit_of(values) == expected


@pytest.mark.parametrize(
    ("leaf", "values", "numbers"),
    [
        ("traffic.utilisation", [0.5, "70%"], [50.0, 70.0]),
        ("traffic.arrivals.rate", ["100/s", "2k/s"], [100.0, 2000.0]),
        ("traffic.service_time.mean", ["20ms", "1s"], [0.02, 1.0]),
        ("cluster.pods", [4, 8], [4.0, 8.0]),
        ("cluster.placement", ["spread", [3, 1]], None),
        ("cluster.hairpin", [True, False], None),
    ],
)
def test_leaves_that_are_numbers_go_along_an_axis(leaf, values, numbers):
    """Shares, rates and times are read with their units; texts and switches are no numbers."""
    assert numbers_of(leaf, values) == numbers


def test_every_axis_of_a_leaf_tells_its_unit():
    """The title ends with a unit in brackets, of leaves that nobody named as well."""
    for leaf in ("traffic.utilisation", "cluster.network.client_rtt", "cluster.pod.speed"):
        axis, _ = axis_of(leaf, [0.01, 0.02])
        assert axis.title.endswith(")")
    axis, factor = axis_of("cluster.network.client_rtt", [0.01, 0.02])
    assert (axis.title, factor) == ("network client rtt (ms)", 1e3)
