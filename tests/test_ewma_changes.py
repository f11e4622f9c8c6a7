"""What ewma does when its list of endpoints changes: slow start, deletion, late samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from feeding import worker_of
from test_ewma import NO_RNG, pick_with, state_of

from lbbench.balancers import ewma
from lbbench.balancers.ewma import EWMA, EwmaState

# --- changes of the list --------------------------------------------------------------------------


def change(state: EwmaState, old: Sequence[int], new: Sequence[int], now: float = 10.0) -> None:
    ewma.on_endpoints(state, NO_RNG, np.array(old, np.int64), np.array(new, np.int64), now)


def known(state: EwmaState) -> dict[int, float]:
    return {int(i): float(state.value[i]) for i in np.flatnonzero(state.known)}


def test_an_added_endpoint_starts_with_the_plain_mean():
    """The mean of stored values, neither decayed nor counting endpoints without a value."""
    state = state_of(4)
    change(state, [], [0, 1, 2])
    ewma.done(state, 0, 1.0, 0.1, True)
    ewma.done(state, 1, 9.0, 0.4, True)
    change(state, [0, 1, 2], [0, 1, 2, 3])
    assert known(state) == {0: 0.1, 1: 0.4, 3: 0.25}
    assert state.touched.tolist() == [1.0, 9.0, 0.0, 10.0]


def test_the_first_list_and_one_after_an_empty_list_start_nothing():
    """A balancer object is made anew then; values survive, no endpoint gets a mean."""
    state = state_of(3)
    change(state, [], [0, 1])
    ewma.done(state, 0, 1.0, 0.1, True)
    change(state, [0, 1], [])
    change(state, [], [0, 1, 2])
    assert known(state) == {0: 0.1}


def test_a_removed_endpoint_is_forgotten_unless_a_late_sample_comes():
    """Its value is deleted; a sample logged later re-creates it, taken whole."""
    state = state_of(2)
    change(state, [], [0, 1])
    ewma.done(state, 0, 1.0, 0.1, True)
    change(state, [0, 1], [1])
    assert known(state) == {}
    ewma.done(state, 0, 12.0, 0.9, True)
    assert known(state) == {0: 0.9}


def test_a_reordered_list_keeps_the_order_of_the_draws():
    """The draws count the old order, the answer is a position in the new list."""
    state = state_of(3)
    change(state, [], [0, 1, 2])
    ewma.done(state, 2, 1.0, 0.5, True)
    change(state, [0, 1, 2], [2, 0, 1])
    assert known(state) == {2: 0.5}
    # the first drawn is id 0, which is now at position 1; ties keep it
    assert pick_with(state, [1, 2]) == 1
    # id 0 has failed: left are ids 1 and 2, of which 1 (position 2) has no value and wins
    assert pick_with(state, [2, 2], now=1.0, tried=[1]) == 2


def test_scratch_is_clean_after_every_change():
    """No mark of one change is left for the next."""
    state = state_of(5)
    for old, new in (
        ([], [0, 1, 3]),
        ([0, 1, 3], [1, 2, 4]),
        ([1, 2, 4], [4, 2, 1]),
        ([1, 2, 4], []),
    ):
        change(state, old, new)
        assert not state.mark.any()


# --- workers that learn of a change at different times --------------------------------------------


def two_workers(n: int, listed: Sequence[int]) -> tuple[EwmaState, EwmaState]:
    """Return two workers of one replica, both with the list ``listed``."""
    shared = state_of(n)
    workers = worker_of(shared, EWMA.common), worker_of(shared, EWMA.common)
    for worker in workers:
        change(worker, [], listed)
    return workers


def test_the_second_worker_repeats_slow_start_over_what_was_learnt():
    """Its mean counts the new endpoint's own value, which it then overwrites, time included."""
    first, second = two_workers(3, [0, 1])
    ewma.done(first, 0, 1.0, 0.1, True)
    ewma.done(second, 1, 1.0, 0.3, True)
    change(first, [0, 1], [0, 1, 2], now=10.0)
    assert known(second) == {0: 0.1, 1: 0.3, 2: 0.2}
    ewma.done(first, 2, 10.4, 0.8, True)
    learnt = float(first.value[2])
    assert 0.2 < learnt < 0.8
    change(second, [0, 1], [0, 1, 2], now=10.9)
    assert known(first) == {0: 0.1, 1: 0.3, 2: pytest.approx((0.1 + 0.3 + learnt) / 3)}
    assert first.touched.tolist() == [1.0, 1.0, 10.9]


def test_a_worker_of_the_old_list_still_draws_a_deleted_endpoint():
    """It reads 0 for it, so the endpoint that has gone wins; its sample comes back to the table."""
    first, second = two_workers(2, [0, 1])
    for endpoint in (0, 1):
        ewma.done(first, endpoint, 1.0, 0.5, True)
    change(first, [0, 1], [1])
    assert pick_with(first, [], now=10.0, n=1) == 0
    assert pick_with(second, [2, 2], now=10.0, n=2) == 0
    assert second.last_score[0] == 0.0
    ewma.done(second, 0, 10.5, 0.7, True)
    assert known(first) == {0: 0.7, 1: 0.5}
    change(second, [0, 1], [1], now=10.9)
    assert known(first) == {1: 0.5}


def test_the_position_is_that_of_the_workers_own_list():
    """The same draws lead two workers with different lists to different endpoints of one table."""
    first, second = two_workers(3, [0, 1, 2])
    change(first, [0, 1, 2], [1, 2])
    ewma.done(first, 1, 1.0, 0.5, True)
    assert pick_with(first, [1, 2], now=1.0, n=2) == 1  # ids 1 and 2; 2 has no value
    assert pick_with(second, [2, 3], now=1.0) == 2  # the same two in its list
    assert pick_with(second, [1, 2], now=1.0) == 0
