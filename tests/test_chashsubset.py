"""chashsubset cuts, hashes and draws as ingress-nginx does."""

from __future__ import annotations

import numpy as np
import pytest
from golden_replay import Fed, choose, fresh, listing, vectors
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.chashsubset import CHASHSUBSET
from lbbench.core.hashes import crc32_text
from lbbench.core.rng import stream
from lbbench.errors import BalancerError

GOLDEN = vectors("chashsubset")
NAMES = [f"10.244.{i}.{7 * i % 256}:8080" for i in range(12)]


@pytest.mark.parametrize("scenario", GOLDEN["scenarios"], ids=lambda scenario: scenario["name"])
def test_picks_equal_the_originals_before_and_after_a_sync(scenario):
    """Set, draw and endpoint of every key; a draw for every pick, for subsets of one too."""
    pick = Fed(CHASHSUBSET.pick)
    everyone = scenario.get("endpoints_after_sync", scenario["endpoints"])
    everyone = list(dict.fromkeys([*scenario["endpoints"], *everyone]))
    state = fresh(CHASHSUBSET, everyone, listed=[], subset_size=scenario["subset_size"])
    for suffix in ("", "_after_sync"):
        if f"picks{suffix}" not in scenario:
            continue
        endpoints = scenario[f"endpoints{suffix}"]
        subsets = scenario[f"subsets{suffix}"]
        listing(CHASHSUBSET, state, [everyone.index(name) for name in endpoints])
        for key, recorded in zip(GOLDEN["keys"], scenario[f"picks{suffix}"], strict=True):
            subset, u, value, endpoint = recorded
            draw = {"args": [1, scenario["subset_size"]], "u": u, "value": value}
            place = pick(state, 0.0, crc32_text(key), [], [draw], n=len(endpoints))
            assert place == endpoint == subsets[subset][value - 1]
        assert [crc32_text(key) for key in GOLDEN["keys"]] == GOLDEN["keys_crc32"]


@given(st.integers(1, 12), st.integers(1, 15), st.integers(0, 2**32 - 1))
def test_a_key_stays_within_its_subset(n, size, key):
    """All picks of a key lie in one group of S neighbours in list order, wrapping at the end."""
    state = fresh(CHASHSUBSET, NAMES, listed=range(n), subset_size=size)
    rng = stream(1, 0, "test", "subset")
    places = {choose(CHASHSUBSET, state, key, rng=rng) for _ in range(30)}
    groups = [
        {k % n for k in range(first, first + size)}
        for first in range(0, -(-n // size) * size, size)
    ]
    assert any(places <= group for group in groups)


def test_counts_follow_the_exact_shares():
    """N random keys: every count is within 4 standard deviations (one false alarm in 2000).

    With 7 endpoints in subsets of 3 the padding gives the first two a second group.
    """
    state = fresh(CHASHSUBSET, NAMES[:7], subset_size=3)
    shares = CHASHSUBSET.shares(state, 7)
    assert shares.sum() == pytest.approx(1.0)
    assert shares[:2].min() > 1.5 * shares[2:].max()
    rng = stream(2, 0, "test", "subset")
    keys = np.random.default_rng(2).integers(0, 2**32, 20_000)
    counts = np.bincount([choose(CHASHSUBSET, state, key, rng=rng) for key in keys], minlength=7)
    spread = np.sqrt(len(keys) * shares * (1 - shares))
    assert (np.abs(counts - len(keys) * shares) < 4 * spread).all()


def test_another_order_cuts_other_groups():
    """Listed 0..6, cut in the order 6, 0, 1, ..: 6 and 0 stand in two of the groups of three."""
    order = [6, 0, 1, 2, 3, 4, 5]
    state = fresh(CHASHSUBSET, NAMES[:7], subset_size=3, order=order)
    rng = stream(1, 0, "test", "order")
    found = set()
    for key in range(0, 2**32, 2**25):
        found.add(frozenset(choose(CHASHSUBSET, state, key, rng=rng) for _ in range(40)))
    assert found == {frozenset({6, 0, 1}), frozenset({2, 3, 4}), frozenset({5, 6, 0})}
    plain = CHASHSUBSET.shares(fresh(CHASHSUBSET, NAMES[:7], subset_size=3), 7)
    np.testing.assert_allclose(CHASHSUBSET.shares(state, 7)[order], plain)
    listing(CHASHSUBSET, state, [0, 2, 6], range(7))
    places = {choose(CHASHSUBSET, state, 5, rng=rng) for _ in range(40)}
    assert places == {0, 1, 2}


@pytest.mark.parametrize("order", ["backwards", [0, 1], [0, 0, 1, 2], 3])
def test_an_order_names_every_endpoint_once(order):
    """The sentence has the value and what may be given."""
    with pytest.raises(BalancerError, match=r"chashsubset: order = .*must be list"):
        fresh(CHASHSUBSET, NAMES[:4], order=order)


def test_without_endpoints_there_is_neither_pick_nor_draw():
    """An empty list gives -1 and leaves the stream alone."""
    pick = Fed(CHASHSUBSET.pick)
    assert pick(fresh(CHASHSUBSET, NAMES, listed=[]), 0.0, 5, [], [], n=0) == -1
    assert pick(fresh(CHASHSUBSET, []), 0.0, 5, [], [], n=0) == -1


@pytest.mark.parametrize("size", [0, -1, 2.5, "3"])
def test_a_subset_needs_a_whole_size(size):
    """A bad size is an error with its value."""
    with pytest.raises(BalancerError, match=f"subset_size = {size}"):
        fresh(CHASHSUBSET, NAMES, subset_size=size)
