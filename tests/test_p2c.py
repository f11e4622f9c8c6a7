"""p2c draws distinct endpoints and takes the less busy one, the first drawn on a tie."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import permutations, product

import numpy as np
import pytest
from feeding import NO_TRIES, Counted, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lbbench.balancers import p2c
from lbbench.balancers.base import Endpoint
from lbbench.balancers.p2c import P2C
from lbbench.core.rng import stream, uniform, wrapping
from lbbench.engines.stages import ingress_stage
from lbbench.errors import BalancerError
from lbbench.model.check import build

NO_RNG = np.zeros(4, np.uint64)


def fresh(n: int, choices: int = 2):
    return P2C.state({"choices": choices}, [Endpoint(f"10.0.0.{i}:80") for i in range(n)])


def pick(busy: Sequence[int], draws: Sequence[float], tried: Sequence[int] = (), choices: int = 2):
    """Return the pick when the draws give these uniforms, all of them used."""
    script = Script(draws)
    found = fed(p2c.pick, uniform=script)(
        fresh(len(busy), choices), NO_RNG, 0.0, -1, np.array(busy), np.array(tried, np.int64)
    )
    assert not script.waiting
    return found


@pytest.mark.parametrize(
    ("busy", "draws", "tried", "choices", "expected"),
    [
        ([3, 1, 0, 2], [0.5, 0.0], [], 2, 2),  # 2, then 0 of 0 1 3
        ([3, 1, 0, 2], [0.3, 0.99], [], 2, 1),  # 1, then 3 of 0 2 3
        ([3, 1, 0, 2], [0.0, 0.7], [], 2, 3),  # 0, then 3 of 1 2 3
        ([1, 1, 1], [0.9, 0.0], [], 2, 2),  # a tie: 2 came first
        ([1, 1, 1], [0.0, 0.9], [], 2, 0),
        ([4, 2], [0.0], [], 2, 1),  # the other one needs no draw
        ([4, 2], [0.9], [], 2, 1),
        ([7], [], [], 2, 0),
        ([], [], [], 2, -1),
        ([3, 1, 0, 2], [0.5, 0.0], [2], 2, 1),  # 1 of 0 1 3, then 0
        ([3, 1, 0, 2], [], [2, 0, 1], 2, 3),
        ([3, 1, 0, 2], [], [0, 2, 1, 0], 2, 3),  # one of them twice
        ([3, 1], [0.0], [1, 0], 2, 1),  # all have failed: start over
        ([3, 1, 0, 2], [0.9], [], 1, 3),
        ([3, 1, 0, 2], [0.9, 0.9, 0.9], [], 3, 2),  # 3, 2, 1
        ([3, 1, 0, 2], [0.0, 0.0, 0.0], [], 9, 2),  # all four
    ],
)
def test_picks_by_hand(busy, draws, tried, choices, expected):
    """The k-th draw is floor(u m) among the m that are left, in the order of the list."""
    assert pick(busy, draws, tried, choices) == expected


@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=5),
    st.sets(st.integers(0, 4)),
    st.integers(1, 4),
)
def test_every_sequence_of_distinct_endpoints_is_equally_likely(busy, tried, choices):
    """One u from each part of each draw: the picks of all permutations, each once."""
    tried = sorted(i for i in tried if i < len(busy))
    left = [i for i in range(len(busy)) if i not in tried] or list(range(len(busy)))
    d = min(choices, len(left))
    sizes = [m for m in range(len(left), len(left) - d, -1) if m > 1]
    middles = [[(j + 0.5) / m for j in range(m)] for m in sizes]
    found = Counter(pick(busy, list(draws), tried, choices) for draws in product(*middles))
    assert found == Counter(min(drawn, key=lambda i: busy[i]) for drawn in permutations(left, d))


@pytest.mark.parametrize(("n", "draws"), [(0, 0), (1, 0), (2, 1), (3, 2), (9, 2)])
def test_as_many_draws_as_there_is_to_decide(n: int, draws: int):
    """Two; one for two endpoints, none for one or none."""
    counted, rng = Counted(uniform), stream(1, 0, "ingress", "a/0")
    with wrapping():
        fed(p2c.pick, uniform=counted)(fresh(n), rng, 0.0, -1, np.zeros(n), NO_TRIES)
    assert counted.calls == draws


def test_the_busiest_of_all_never_wins_and_the_others_by_rank():
    """Of 6 unlike ones the r-th busiest (from 0) wins with r / 15; chi-square, 1 in 100 000."""
    n, picks = 6, 15_000
    rng, state, busy = stream(5, 0, "ingress", "a/0"), fresh(n), np.arange(n)[::-1].copy()
    with wrapping():
        found = [p2c.pick(state, rng, 0.0, -1, busy, NO_TRIES) for _ in range(picks)]
    counts = np.bincount(found, minlength=n)
    assert counts[0] == 0
    assert chisquare(counts[1:], picks * np.arange(1, n) / 15).pvalue > 1e-5


@pytest.mark.parametrize("choices", [0, -1, 1.5, True, "2"])
def test_choices_must_be_a_whole_number(choices):
    """The sentence says where the option stands and what it may be."""
    stage = {"balancer": "p2c", "options": {"choices": choices}}
    with pytest.raises(BalancerError, match=r"^s: stages\.ingress\.options: p2c: choices = .*1 or"):
        ingress_stage(
            build({"name": "s", "stages": {"ingress": stage}, "traffic": {"utilisation": 0.5}})
        )


@pytest.mark.parametrize("choices", [2, 4])
def test_compiled_and_plain_agree(choices: int, monkeypatch, tmp_path):
    """Picks and draws of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    calls, options = history(8, calls=2000, endpoints=6), {"choices": choices}
    picked = assert_compiled_agrees(P2C, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
