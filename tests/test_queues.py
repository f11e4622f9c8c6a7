"""Priority queues that share endpoints: they do what a sorted list does."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st

from lbbench.core.queues import NOWHERE, empty_queues, first_of, put_in, second_of, take_out

QUEUES, ENDPOINTS = 3, 9
CALLS = st.lists(
    st.tuples(st.integers(0, ENDPOINTS - 1), st.integers(-1, QUEUES - 1), st.integers(0, 4)),
    max_size=80,
)


@given(calls=CALLS)
def test_the_first_two_are_those_of_a_sorted_list(calls):
    """Put in, moved, taken out at random, with many equal keys: the longest there comes first."""
    queues = SimpleNamespace(**empty_queues(QUEUES, ENDPOINTS))
    there: dict[int, tuple[int, int, int]] = {}
    for turn, (endpoint, queue, key) in enumerate(calls):
        if queue == NOWHERE:
            take_out(queues, endpoint)
            there.pop(endpoint, None)
        else:
            put_in(queues, queue, endpoint, key)
            there[endpoint] = (queue, key, turn)
        for number in range(QUEUES):
            rows = sorted((k, t, e) for e, (q, k, t) in there.items() if q == number)
            listed = [e for _, _, e in rows] + [NOWHERE] * 2
            assert [first_of(queues, number), second_of(queues, number)] == listed[:2]
            assert queues.size[number] == len(rows)
