"""The rule of least_conn and jsq: the fewest busy, ties at random, what has failed left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest
from feeding import NO_TRIES, Script, fed
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lbbench.balancers import fewest
from lbbench.balancers.base import Endpoint
from lbbench.core.rng import stream, wrapping

NO_RNG = np.zeros(4, np.uint64)


def ranked(busy: Sequence[int], listed: Sequence[int] | None = None):
    """Return the state that was told these numbers and then its list, all unless given."""
    state = fewest.state({}, [Endpoint(f"10.0.0.{i}:80") for i in range(len(busy))])
    for endpoint, count in enumerate(busy):
        fewest.on_busy(state, endpoint, count)
    ids = np.array(range(len(busy)) if listed is None else listed, np.int64)
    fewest.on_endpoints(state, NO_RNG, NO_TRIES, ids, 0.0)
    return state


def pick(state, tried: Sequence[int] = (), draws: Sequence[float] = ()) -> int:
    """Return the pick when the draws give these uniforms, all of them used."""
    script = Script(draws)
    found = fed(fewest.pick_fewest, uniform=script)(state, NO_RNG, np.array(tried, np.int64))
    assert not script.waiting
    return int(found)


@given(st.lists(st.integers(0, 3), max_size=8), st.data())
def test_ties_are_shared_equally(busy: list[int], data: st.DataObject):
    """With k tied each j of u in [j/k, (j+1)/k) gives another; one draw, and none without a tie."""
    n = len(busy)
    tried = data.draw(st.lists(st.sampled_from(range(n)))) if n else []
    left = [i for i in range(n) if i not in tried] or list(range(n))
    if not left:
        assert pick(ranked(busy), tried) == -1
        return
    least = min(busy[i] for i in left)
    tied = {i for i in left if busy[i] == least}
    if len(tied) == 1:
        assert {pick(ranked(busy), tried)} == tied
        return
    k = len(tied)
    for inside in (0.0, 0.5, 1.0 - 2**-30):  # of each k-th of the unit interval
        found = [pick(ranked(busy), tried, [(j + inside) / k]) for j in range(k)]
        assert sorted(found) == sorted(tied)


@pytest.mark.parametrize(
    ("busy", "tried", "draws", "expected"),
    [
        ([2, 1, 3], [], [], 1),
        ([2, 1, 3], [1], [], 0),
        ([2, 1, 3], [1, 0], [], 2),
        ([2, 1, 3], [1, 0, 1], [], 2),
        ([2, 1, 3], [2, 1, 0], [], 1),
        ([5, 1, 1], [1, 2], [], 0),
        ([0], [0], [], 0),
        ([], [], [], -1),
    ],
)
def test_what_failed_is_left_out_unless_all_has(busy, tried, draws, expected):
    """Written out: the fewest, without what has failed, starting over when all have."""
    assert pick(ranked(busy), tried, draws) == expected


def test_positions_are_those_of_the_list():
    """Endpoints 1 and 3 are listed: position 1 is endpoint 3, which has fewer; 0 has none."""
    state = ranked([0, 2, 0, 1], listed=[1, 3])
    assert pick(state) == 1
    assert pick(state, tried=[1]) == 0
    fewest.on_busy(state, 1, 0)
    assert pick(state) == 0


def test_an_idle_pool_is_split_evenly():
    """All tied: 10 000 picks are uniform, chi-square with a false alarm in 100 000."""
    rng, state = stream(4, 0, "ingress", "a/0"), ranked([0] * 6)
    with wrapping():
        found = Counter(fewest.pick_fewest(state, rng, NO_TRIES) for _ in range(10_000))
    assert chisquare([found[i] for i in range(6)]).pvalue > 1e-5


@given(st.integers(1, 6), st.integers(0, 60), st.integers(0, 1000))
def test_numbers_never_differ_by_more_than_one_without_answers(n: int, arrivals: int, seed: int):
    """Picks alone keep the counts within 1: water filling, whatever the ties."""
    rng, busy, state = stream(seed, 0, "ingress", "a/0"), np.zeros(n, np.int64), ranked([0] * n)
    with wrapping():
        for _ in range(arrivals):
            place = fewest.pick_fewest(state, rng, NO_TRIES)
            busy[place] += 1
            fewest.on_busy(state, place, busy[place])
            assert busy.max() - busy.min() <= 1
