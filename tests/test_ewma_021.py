"""ewma of 0.21: every worker for itself, forgetful, blind to failures, counting first attempts."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from feeding import Script, assert_compiled_agrees, history
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers import ewma, ewma_021
from lbbench.balancers.base import Endpoint
from lbbench.balancers.ewma import EwmaState
from lbbench.balancers.ewma_021 import EWMA_021
from lbbench.core.rng import stream, wrapping

NO_RNG = np.zeros(4, np.uint64)


def ids(numbers: Sequence[int]) -> np.ndarray:
    return np.array(numbers, np.int64)


def state_of(n: int, listed: Sequence[int] | None = None, **options) -> EwmaState:
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(n)]
    state = EWMA_021.state(EWMA_021.options(options), endpoints)
    EWMA_021.on_endpoints(state, NO_RNG, ids([]), ids(range(n) if listed is None else listed), 0.0)
    return state


def drawn(monkeypatch, state: EwmaState, values: Sequence[int], n: int, tried=(), now=1.0) -> int:
    script = Script(values)
    monkeypatch.setattr(ewma, "lua_random", script)
    found = EWMA_021.pick(state, NO_RNG, now, -1, np.zeros(n, np.int64), ids(tried))
    assert not script.waiting
    return int(found)


def test_what_it_declares_is_its_generation():
    """A state per worker with nothing in common, told of first attempts, without a lock."""
    assert EWMA_021.scope == "worker"
    assert EWMA_021.common == ()
    assert EWMA_021.accounts == "first"
    assert set(EWMA_021.params) == {"decay", "choices"}


@given(
    st.lists(st.integers(0, 4), unique=True),
    st.lists(st.integers(0, 4), unique=True),
    st.dictionaries(st.integers(0, 4), st.floats(0.001, 5.0)),
)
def test_every_other_list_forgets_all(old: list[int], new: list[int], samples: dict[int, float]):
    """Another set or order: no value is left, of those that stay or leave; the same list: all."""
    state = state_of(5, old)
    for endpoint, rtt in samples.items():
        EWMA_021.done(state, endpoint, 1.0, rtt, True)
    before = [field.copy() for field in state]
    EWMA_021.on_endpoints(state, NO_RNG, ids(old), ids(new), 2.0)
    if old == new:
        for field, was in zip(state, before, strict=True):
            np.testing.assert_array_equal(field, was)
    else:
        left = [*state.known, *state.value, *state.touched]
        assert not any(left)
        assert state.listed[: len(new)].tolist() == new


def test_there_is_no_slow_start(monkeypatch):
    """After a change all score 0, so the first drawn wins; ewma would have given a mean."""
    state = state_of(3, [0, 1])
    EWMA_021.done(state, 0, 1.0, 0.1, True)
    EWMA_021.done(state, 1, 1.0, 0.4, True)
    EWMA_021.on_endpoints(state, NO_RNG, ids([0, 1]), ids([0, 1, 2]), 1.0)
    for pair in itertools.product((1, 2, 3), (2, 3)):
        assert drawn(monkeypatch, state, pair, 3) == pair[0] - 1
        assert state.last_score[0] == 0.0


@pytest.mark.parametrize("choices", [2, 3])
def test_a_retry_may_go_to_the_failed_endpoint(monkeypatch, choices: int):
    """Of all draws each endpoint wins as often whatever has failed."""
    state = state_of(4, choices=choices)
    for endpoint in range(4):
        EWMA_021.done(state, endpoint, 1.0, 0.1 * (endpoint + 1), True)
    draws = list(itertools.product(*(range(i + 1, 5) for i in range(choices))))
    wins = [
        Counter(drawn(monkeypatch, state, values, 4, tried) for values in draws)
        for tried in ([], [0], [0, 1, 2], [0, 1, 2, 3])
    ]
    assert wins[0][0] == len(draws) * choices / 4  # whenever the best is drawn
    assert all(counts == wins[0] for counts in wins)


def test_the_arithmetic_is_ewmas():
    """The same samples give the same values and scores, bit for bit."""
    ours, theirs = state_of(1, decay="4s"), state_of(1, decay="4s")
    for now, rtt in ((0.5, 0.3), (0.5, 9.0), (0.7, 0.1), (30.0, 0.25)):
        EWMA_021.done(ours, 0, now, rtt, True)
        ewma.done(theirs, 0, now, rtt, True)
        assert ours.value[0] == theirs.value[0]
    assert ours.value[0] == pytest.approx(0.25, rel=1e-2)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_endpoints(monkeypatch, n: int):
    """None gives -1, one costs no draw, two cost two."""
    state = state_of(2, range(n))
    assert drawn(monkeypatch, state, [2, 2] if n == 2 else [], n) == [-1, 0, 1][n]


def test_a_cold_worker_gathers_on_the_endpoints_that_have_not_answered():
    """With k of n known, one without a value wins unless both drawn are known.

    Exactly 1 - k (k-1) / (n (n-1)) of the pairs, here 0.9 with k = 2, n = 5; 4000 picks, z = 4: a
    false alarm in 16 000.
    """
    state = state_of(5)
    for endpoint in (0, 1):
        EWMA_021.done(state, endpoint, 1.0, 0.001, True)
    rng, busy = stream(1, 0, "test", "cold"), np.zeros(5, np.int64)
    with wrapping():
        picks = [EWMA_021.pick(state, rng, 1.0, -1, busy, busy[:0]) for _ in range(4000)]
    unknown = sum(place >= 2 for place in picks)
    assert abs(unknown - 3600) < 4 * np.sqrt(4000 * 0.9 * 0.1)


@pytest.mark.parametrize("choices", [2, 3])
def test_compiled_and_plain_agree(choices: int, monkeypatch, tmp_path):
    """Picks, values, scores and draws of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(7)]
    calls = history(choices, calls=3000, endpoints=7)
    picked = assert_compiled_agrees(
        EWMA_021, {"choices": choices}, endpoints, calls, monkeypatch, tmp_path
    )
    assert set(picked) == {-9, -1, *range(7)}


def test_its_parts_are_its_own_where_it_differs():
    """The explanation printed for it is that of its module, not of today's ewma."""
    assert EWMA_021.pick.__module__ == ewma_021.__name__
