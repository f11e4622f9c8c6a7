"""Affinity by a map of clients: who is remembered, how long, and what is forgotten."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.base import registry
from lbbench.balancers.client_map import client_map, forget_endpoint, remember, remembered
from lbbench.core.rng import wrapping
from lbbench.errors import BalancerError

PROXIES = [
    name for name, item in registry().items() if "affinity_entries" in item.params
]  # fmt: skip


def made(timeout=10.0, entries=8, endpoints=3):
    return SimpleNamespace(**client_map("x", endpoints, timeout, entries))


@pytest.fixture(autouse=True)
def _wraps():
    with wrapping():
        yield


def test_an_entry_lasts_for_the_timeout_after_the_last_connection():
    """Renewed at 6 it holds at 16, and not a moment later."""
    state = made()
    remember(state, 7, 2, 0.0)
    assert remembered(state, 7, 6.0) == 2
    remember(state, 7, 2, 6.0)
    assert remembered(state, 7, 16.0) == 2
    assert remembered(state, 7, 16.001) == -1
    assert remembered(state, 8, 6.0) == -1


def test_a_full_table_remembers_no_more_until_an_entry_expires():
    """Eight places: the ninth client is not remembered; ten seconds later there is room."""
    state = made()
    for client in range(8):
        remember(state, client, 1, 0.0)
    remember(state, 8, 1, 5.0)
    assert remembered(state, 8, 5.0) == -1
    assert [remembered(state, client, 5.0) for client in range(8)] == [1] * 8
    remember(state, 8, 0, 10.5)
    assert remembered(state, 8, 10.5) == 0


def test_an_endpoint_that_left_takes_its_entries_with_it():
    """They stay void when it comes back, and other endpoints' entries stay."""
    state = made()
    remember(state, 1, 0, 0.0)
    remember(state, 2, 1, 0.0)
    forget_endpoint(state, 0)
    assert remembered(state, 1, 1.0) == -1
    assert remembered(state, 2, 1.0) == 1
    remember(state, 1, 0, 1.0)
    assert remembered(state, 1, 1.0) == 0


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 2), st.sampled_from([0.0, 1.0, 4.0])),
        max_size=60,
    )
)
def test_with_room_it_is_a_dictionary_with_expiry(calls):
    """16 places for 10 clients: the same as a dict of (endpoint, last second)."""
    state, known, now = made(timeout=3.0, entries=16), {}, 0.0
    with wrapping():
        for client, endpoint, gap in calls:
            now += gap
            expected = known.get(client, (-1, -1.0))
            expected = expected[0] if expected[1] >= now else -1
            assert remembered(state, client, now) == expected
            if endpoint == 2 and expected >= 0:
                continue
            remember(state, client, endpoint, now)
            known[client] = (endpoint, now + 3.0)


@pytest.mark.parametrize("name", PROXIES)
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ({"affinity_timeout": -1.0}, "must be a number, 0 or more"),
        ({"affinity_entries": 100}, "must be a power of two"),
    ],
)
def test_impossible_options_are_sentences(name, option, said):
    """With the balancer's name, the option and its value."""
    balancer = registry()[name]
    with pytest.raises(BalancerError, match=f"{name}: {next(iter(option))} = .*{said}"):
        balancer.state(balancer.options(option), ())
