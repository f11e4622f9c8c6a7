"""least_conn takes the fewest outstanding attempts, ties uniformly at random."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from feeding import Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lbbench.balancers import least_conn
from lbbench.balancers.base import Endpoint
from lbbench.balancers.least_conn import LEAST_CONN
from lbbench.core.rng import stream, wrapping

STATE = LEAST_CONN.state({}, ())
NO_RNG = np.zeros(4, np.uint64)


def pick(busy: Sequence[int], tried: Sequence[int] = (), draws: Sequence[float] = ()) -> int:
    """Return the pick when the draws give these uniforms, all of them used."""
    script = Script(draws)
    found = fed(least_conn.pick, uniform=script)(
        STATE, NO_RNG, 0.0, -1, np.array(busy, np.int64), np.array(tried, np.int64)
    )
    assert not script.waiting
    return int(found)


@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_ties_are_shared_equally(busy: list[int], data: st.DataObject):
    """With k tied, u in [j/k, (j+1)/k) gives the j-th of them; one draw, and none without a tie."""
    n = len(busy)
    tried = data.draw(st.lists(st.sampled_from(range(n)), unique=True)) if n else []
    left = [i for i in range(n) if i not in tried] or list(range(n))
    if not left:
        assert pick(busy, tried) == -1
        return
    least = min(busy[i] for i in left)
    tied = [i for i in left if busy[i] == least]
    if len(tied) == 1:
        assert pick(busy, tried) == tied[0]
        return
    middle = [(j + 0.5) / len(tied) for j in range(len(tied))]
    assert [pick(busy, tried, [u]) for u in middle] == tied
    assert pick(busy, tried, [1.0 - 2**-53]) == tied[-1]


@pytest.mark.parametrize(
    ("busy", "tried", "draws", "expected"),
    [
        ([2, 1, 3], [], [], 1),
        ([2, 1, 3], [1], [], 0),
        ([2, 1, 3], [1, 0], [], 2),
        ([2, 1, 3], [2, 1, 0], [], 1),
        ([1, 1, 0], [2], [0.6], 1),
        ([0], [0], [], 0),
        ([], [], [], -1),
    ],
)
def test_what_failed_is_left_out_unless_all_has(busy, tried, draws, expected):
    """Written out: the fewest, without what has failed, starting over when all have."""
    assert pick(busy, tried, draws) == expected


def test_an_idle_pool_is_split_evenly():
    """All tied: 10 000 picks are uniform, chi-square with a false alarm in 100 000."""
    rng, busy = stream(4, 0, "ingress", "a/0"), np.zeros(6, np.int64)
    with wrapping():
        found = Counter(
            least_conn.pick(STATE, rng, 0.0, -1, busy, np.zeros(0, np.int64)) for _ in range(10_000)
        )
    assert chisquare([found[i] for i in range(6)]).pvalue > 1e-5


@given(st.integers(1, 6), st.integers(0, 60), st.integers(0, 1000))
def test_outstanding_attempts_never_differ_by_more_than_one_without_answers(
    n: int, arrivals: int, seed: int
):
    """Picks alone keep the counts within 1: water filling, whatever the ties."""
    rng, busy = stream(seed, 0, "ingress", "a/0"), np.zeros(n, np.int64)
    with wrapping():
        for _ in range(arrivals):
            busy[least_conn.pick(STATE, rng, 0.0, -1, busy, np.zeros(0, np.int64))] += 1
            assert busy.max() - busy.min() <= 1


def test_compiled_and_plain_agree(monkeypatch, tmp_path):
    """Picks and draws of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    calls = history(8, calls=2000, endpoints=6)
    picked = assert_compiled_agrees(LEAST_CONN, {}, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
