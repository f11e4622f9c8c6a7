"""Connections carry their budgets, sessions belong to their clients and last their time."""

from __future__ import annotations

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.traffic.service import exponential
from lbbench.traffic.sessions import Budget, Jars, session_lives
from lbbench.traffic.streams import LIFETIME, Streams

Z = 4.5
P = 1e-5
LANES = 40

BUDGETS = {
    "one": Budget(),
    "fixed": Budget(5.0),
    "geometric": Budget(4.0, is_geometric=True),
    "unlimited": Budget(math.inf),
}
every_budget = pytest.mark.parametrize("budget", BUDGETS.values(), ids=BUDGETS.keys())


def lanes(n, *, seed=1):
    return Streams(seed, 0).open("client").integers(0, LANES, n)


def lengths(lane, last):
    """Return (lengths of finished connections, [length, finished] of all) in order of openings."""
    opened: list[list[int]] = []
    current: dict[int, list[int]] = {}
    for where, is_last in zip(lane.tolist(), last.tolist(), strict=True):
        if where not in current:
            current[where] = [0, 0]
            opened.append(current[where])
        current[where][0] += 1
        if is_last:
            current.pop(where)[1] = 1
    return [n for n, finished in opened if finished], opened


def test_one_request_per_connection_ends_every_connection():
    """With a budget of 1 every request is the last one; without end none is."""
    lane = lanes(100)
    assert BUDGETS["one"].start(LANES, Streams(1, 0)).last(lane).all()
    assert not BUDGETS["unlimited"].start(LANES, Streams(1, 0)).last(lane).any()


def test_fixed_budgets_end_every_fifth_request_of_a_lane():
    """A lane's requests number 5, 10, 15, ... are last ones."""
    lane = lanes(3_000)
    last = BUDGETS["fixed"].start(LANES, Streams(1, 0)).last(lane)
    seen: Counter[int] = Counter()
    for where, is_last in zip(lane.tolist(), last.tolist(), strict=True):
        seen[where] += 1
        assert is_last == (seen[where] % 5 == 0)


def test_geometric_budgets_have_mean_variance_and_law():
    """Requests per connection: mean m, variance m (m - 1), P(k) = (1/m) (1 - 1/m)^(k-1).

    Budgets are taken in the order of openings, so the first 20 000 are a sample without length
    bias.
    """
    m, n = 4.0, 20_000
    lane = lanes(130_000)
    last = BUDGETS["geometric"].start(LANES, Streams(1, 0)).last(lane)
    opened = lengths(lane, last)[1][:n]
    assert all(finished for _, finished in opened)
    found = np.array([length for length, _ in opened])
    assert abs(found.mean() - m) < Z * math.sqrt(m * (m - 1) / n)
    law = stats.geom(1 / m)
    most = 20
    counts = np.bincount(np.minimum(found, most), minlength=most + 1)[1:]
    expected = n * np.append(law.pmf(np.arange(1, most)), law.sf(most - 1))
    assert stats.chisquare(counts, expected).pvalue > P


def test_budgets_are_drawn_in_the_order_of_openings():
    """The k-th connection that opens has the k-th draw, whatever lane it is on."""
    first, second = lanes(2_000, seed=1), lanes(2_000, seed=2)
    found = []
    for lane in (first, second):
        last = BUDGETS["geometric"].start(LANES, Streams(7, 0)).last(lane)
        found.append(lengths(lane, last)[1])
    complete = [
        (a, b) for (a, a_done), (b, b_done) in zip(*found, strict=False) if a_done and b_done
    ]
    assert len(complete) > 300
    assert all(a == b for a, b in complete)


@every_budget
@given(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_last_requests_do_not_depend_on_the_size_of_blocks(budget, sizes):
    """In any pieces the same requests end their connections."""
    lane = lanes(sum(sizes))
    connections = budget.start(LANES, Streams(3, 0))
    pieces = [connections.last(part) for part in np.split(lane, np.cumsum(sizes)[:-1])]
    whole = budget.start(LANES, Streams(3, 0)).last(lane)
    assert np.concatenate(pieces).tolist() == whole.tolist()
    assert whole.dtype == np.uint8


@given(st.integers(0, 60), st.integers(1, 30), st.integers(0, 99))
def test_a_request_uses_a_session_of_its_client(sessions, clients, seed):
    """Session j belongs to client j mod the number of clients; who has none gets -1."""
    client = Streams(seed, 0).open("client").integers(0, clients, 200)
    found = Jars(sessions, clients).start(Streams(seed, 0)).draw(client)
    assert found.dtype == np.int64
    for who, session in zip(client.tolist(), found.tolist(), strict=True):
        if who < sessions:
            assert 0 <= session < sessions
            assert session % clients == who
        else:
            assert session == -1


def test_a_clients_sessions_are_equally_likely():
    """25 sessions on 10 clients: three for clients 0-4, two for the others; chi-square each."""
    client = np.repeat(np.arange(10), 3_000)
    found = Jars(25, 10).start(Streams(1, 0)).draw(client)
    for who in range(10):
        counts = np.bincount(found[client == who] // 10)
        assert len(counts) == (3 if who < 5 else 2)
        assert stats.chisquare(counts).pvalue > P


@given(sizes=st.lists(st.integers(0, 200), min_size=1, max_size=8))
def test_sessions_do_not_depend_on_the_size_of_blocks(sizes):
    """In any pieces the same sessions are drawn."""
    client = lanes(sum(sizes))
    draws = Jars(100, LANES).start(Streams(3, 0))
    pieces = [draws.draw(part) for part in np.split(client, np.cumsum(sizes)[:-1])]
    whole = Jars(100, LANES).start(Streams(3, 0)).draw(client)
    assert np.concatenate(pieces).tolist() == whole.tolist()


def test_sessions_last_as_long_as_their_law_says():
    """Every row has a draw of the lifetime, from its own stream: mean and law are right."""
    n = 20_000
    lives = session_lives(exponential(60.0), 50, Streams(1, 0))(n)
    assert abs(lives.mean() - 60.0) < Z * 60.0 / math.sqrt(n)
    assert stats.kstest(lives, stats.expon(scale=60.0).cdf).pvalue > P
    own = 60.0 * Streams(1, 0).open(LIFETIME).standard_exponential(n)
    assert lives.tolist() == own.tolist()


@pytest.mark.parametrize(("lifetime", "sessions"), [(None, 50), (exponential(60.0), 0), (None, 0)])
def test_sessions_without_a_lifetime_last_for_ever(lifetime, sessions):
    """Neither sessions alone nor a lifetime without sessions bring an end."""
    assert np.isinf(session_lives(lifetime, sessions, Streams(1, 0))(100)).all()
