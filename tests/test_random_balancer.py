"""random is a uniform draw per attempt."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import NO_TRIES, Counted, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chi2, chisquare

from lbbench.balancers import random
from lbbench.balancers.base import Endpoint
from lbbench.balancers.random import RANDOM
from lbbench.core.rng import stream, uniform, wrapping

STATE = RANDOM.state({}, ())
NO_RNG = np.zeros(4, np.uint64)
FALSE_ALARM = 1e-5  # of each chi-square test


def picks(n: int, count: int, seed: int = 1) -> np.ndarray:
    rng, busy = stream(seed, 0, "ingress", "a/0"), np.zeros(n, np.int64)
    with wrapping():
        return np.array([random.pick(STATE, rng, 0.0, -1, busy, NO_TRIES) for _ in range(count)])


@given(st.floats(0.0, 1.0, exclude_max=True), st.integers(1, 50))
def test_a_pick_is_floor_u_n(u: float, n: int):
    """Every u below 1 gives a position of the list, the one whose n-th it lies in."""
    ours = fed(random.pick, uniform=Script([u]))
    assert ours(STATE, NO_RNG, 0.0, -1, np.zeros(n, np.int64), NO_TRIES) == int(u * n) < n


@pytest.mark.parametrize("n", [2, 7, 10])
def test_picks_are_uniform_and_independent(n: int):
    """Chi-square of 20 000 picks and of successive pairs; a false alarm in 100 000 each."""
    found = picks(n, 20_000)
    assert chisquare(np.bincount(found, minlength=n)).pvalue > FALSE_ALARM
    pairs = np.bincount(n * found[:-1] + found[1:], minlength=n * n)
    expected = (len(found) - 1) / n**2
    statistic = ((pairs - expected) ** 2 / expected).sum()
    assert chi2.sf(statistic, n * n - 1) > FALSE_ALARM


@pytest.mark.parametrize("n", [0, 1, 5])
def test_one_draw_per_pick_and_none_for_an_empty_list(n: int):
    """An empty list gives -1 without a draw."""
    counted, rng = Counted(uniform), stream(1, 0, "ingress", "a/0")
    with wrapping():
        found = fed(random.pick, uniform=counted)(
            STATE, rng, 0.0, -1, np.zeros(n, np.int64), np.arange(n)
        )
    assert counted.calls == min(n, 1)
    assert found in (range(n) if n else [-1])


def test_a_stream_decides_everything():
    """The same stream gives the same picks, another one others."""
    assert picks(9, 50).tolist() == picks(9, 50).tolist() != picks(9, 50, seed=2).tolist()


def test_compiled_and_plain_agree(monkeypatch, tmp_path):
    """Picks and draws of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    calls = history(6, calls=2000, endpoints=6)
    picked = assert_compiled_agrees(RANDOM, {}, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
