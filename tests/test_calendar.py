"""The calendar queue: whatever the width of a day, events come out in order."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.core.calendar import (
    NEAR,
    NEVER,
    add_event,
    day_of,
    drop_next,
    grown_calendar,
    new_calendar,
    turn_to,
)

TIMES = st.one_of(
    st.floats(0.0, 5.0), st.integers(0, 40).map(lambda n: n / 8), st.floats(0.0, 100.0)
)


@settings(deadline=None)
@given(
    steps=st.lists(st.tuples(TIMES, st.booleans()), min_size=1, max_size=80),
    rate=st.sampled_from([1e-3, 0.3, 7.0, 50.0]),
)
def test_events_come_out_by_time_and_order(steps, rate):
    """Mixed additions and removals agree with a sorted list; times never lie before the last."""
    calendar = new_calendar(4, rate=rate, inside=1.0)
    waiting: list[tuple[float, int, int]] = []
    now = 0.0
    for slot, (wait, takes) in enumerate(steps):
        if slot >= len(calendar.entry):
            calendar = grown_calendar(calendar, 2 * len(calendar.entry))
        event = (now + wait, 1000 - slot, slot)
        add_event(calendar, *event)
        waiting.append(event)
        if takes:
            now = _take(calendar, waiting)
    while waiting:
        now = _take(calendar, waiting)
    turn_to(calendar, NEVER)
    assert calendar.number[NEAR] == 0


def _take(calendar, waiting) -> float:
    first = min(waiting)
    # a day before the event: nothing comes that is not there
    turn_to(calendar, max(int(calendar.number[0]), int(day_of(calendar, first[0])) - 1))
    if calendar.number[NEAR] == 0:
        turn_to(calendar, NEVER)
    found = (calendar.near_time[0], calendar.near_order[0], calendar.near_slot[0])
    assert found == first
    drop_next(calendar)
    waiting.remove(first)
    return first[0]


def test_a_day_is_never_missed_by_rounding():
    """Times that round to the edge of a day keep their order across it."""
    calendar = new_calendar(64, rate=3.0, inside=1.0)
    edge = 7.0 / 3.0
    times = [edge]
    for _ in range(10):
        times = [np.nextafter(times[0], 0.0), *times, np.nextafter(times[-1], 9.0)]
    days = [int(day_of(calendar, time)) for time in times]
    assert days == sorted(days)
