"""Values over time, and clocks that tick."""

import math

from hypothesis import example, given
from hypothesis import strategies as st
from living import track

from lbbench.engines.timeline.track import next_from, periods, tick_from


def test_a_value_holds_from_its_time_on():
    """At the very time it is the new one; before the first change it is the first."""
    made = track("a", (1.0, "b"), (2.0, "c"))
    assert [made.at(time) for time in (-math.inf, 0.9, 1.0, 1.9, 2.0, 9.0)] == list("aabbcc")
    assert made.last == "c"
    assert list(made.changes()) == [(1.0, "b", frozenset({0})), (2.0, "c", frozenset({1}))]


def test_what_does_not_change_is_no_change():
    """The same value again, and there and back at one time."""
    assert list(track("a", (1.0, "a"), (2.0, "b"), (2.0, "a")).changes()) == []


def test_changes_at_one_time_are_one():
    """The last value counts, and all causes."""
    made = track("a", (1.0, "b"), (1.0, "c"))
    assert list(made.changes()) == [(1.0, "c", frozenset({0, 1}))]


def test_periods_are_when_it_holds():
    """The first may reach back for ever, the last goes on for ever."""
    made = track(True, (1.0, False), (5.0, True), (7.0, False), (9.0, True))
    assert periods(made, 8.0) == [(-math.inf, 1.0), (5.0, 7.0)]
    assert periods(made, 9.0)[-1] == (9.0, math.inf)


def test_the_next_of_some_times():
    """At the time itself it is that one; after the last there is none."""
    assert [next_from([1.0, 2.0], time) for time in (0.0, 1.0, 1.5, 3.0)] == [
        1.0,
        1.0,
        2.0,
        math.inf,
    ]


@example(phase=3.3237176080423367, period=0.1, time=59.423717608042345, exact=False)
@given(
    phase=st.floats(0.0, 100.0),
    period=st.floats(1e-3, 1e3),
    time=st.one_of(st.floats(0.0, 1e5), st.integers(0, 1000)),
    exact=st.booleans(),
)
def test_a_tick_is_the_first_that_is_not_before(phase, period, time, exact):
    """Also when the time is a tick itself, where a division may fall on the wrong side."""
    if exact:
        time = phase + int(time) * period
    k = tick_from(phase, period, time)
    assert phase + k * period >= time
    assert k == 0 or phase + (k - 1) * period < time
