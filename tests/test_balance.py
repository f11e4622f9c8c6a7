"""Balance: every measure against its definition, its law, and another implementation."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.stats.balance import balance, largest_over_mean

COUNTS = st.lists(st.integers(0, 10_000), min_size=2, max_size=40).filter(any)
CHECKED = (
    "max_over_mean", "min_over_mean", "cov", "jain", "chi2", "p_value", "p_value_low",
    "total_variation", "g", "kl", "gini",
)  # fmt: skip


def _even(counts, *, random=True):
    x = np.array(counts, np.int64)
    return balance(x, np.full(len(x), 1.0 / len(x)), random=random)


def test_hand_made_counts_give_the_values_of_the_definitions():
    """10, 20, 30 against equal shares: every number worked out by hand."""
    b = _even([10, 20, 30])
    assert b.max_over_mean == pytest.approx(1.5)
    assert b.min_over_mean == pytest.approx(0.5)
    assert b.cov == pytest.approx(math.sqrt(200 / 3) / 20)
    assert b.jain == pytest.approx(60**2 / (3 * 1400))
    assert b.chi2 == pytest.approx(10.0)
    assert b.df == 2
    assert b.p_value == pytest.approx(math.exp(-5.0))  # two degrees of freedom: exp(-chi2 / 2)
    assert b.p_value_low == pytest.approx(1.0 - math.exp(-5.0))
    assert b.total_variation == pytest.approx(1 / 6)
    assert b.g == pytest.approx(2 * (10 * math.log(0.5) + 30 * math.log(1.5)))
    assert b.kl == pytest.approx(b.g / 120)
    assert b.gini == pytest.approx((10 + 20 + 10) * 2 / (2 * 9 * 20))
    assert b.note is None


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_balance_does_not_depend_on_the_order_of_targets(counts, seed):
    """Shuffling targets with their expected shares changes no measure."""
    rng = np.random.default_rng(seed)
    x = np.array(counts, np.int64)
    share = rng.dirichlet(np.full(len(x), 5.0)) + 0.01
    order = rng.permutation(len(x))
    a = balance(x, share, random=True)
    b = balance(x[order], share[order], random=True)
    for name in CHECKED:
        assert getattr(a, name) == pytest.approx(getattr(b, name), rel=1e-9, abs=1e-12), name


@given(COUNTS)
def test_measures_keep_their_identities_and_bounds(counts):
    """Jain = 1 / (1 + cov^2), kl = g / 2m, and every measure stays inside its range."""
    b = _even(counts)
    n, m = len(counts), sum(counts)
    assert b.jain == pytest.approx(1.0 / (1.0 + b.cov**2))
    assert 1.0 / n - 1e-12 <= b.jain <= 1.0 + 1e-12
    assert b.chi2 == pytest.approx(m * b.cov**2, abs=1e-9)  # equal shares
    assert b.kl == pytest.approx(b.g / (2 * m))
    assert 0.0 <= b.total_variation <= 1.0 - 1.0 / n + 1e-12
    assert 0.0 <= b.gini <= 1.0 - 1.0 / n + 1e-12
    assert b.min_over_mean <= 1.0 + 1e-12
    assert b.max_over_mean >= 1.0 - 1e-12
    assert b.p_value + b.p_value_low == pytest.approx(1.0)
    assert b.kl <= math.log(1.0 + b.chi2 / m) + 1e-12  # a known inequality of the two
    assert largest_over_mean(np.array(counts), np.full(n, 1.0)) == pytest.approx(b.max_over_mean)


@given(COUNTS)
def test_gini_equals_the_double_sum(counts):
    """The O(n log n) form is the mean absolute difference of all pairs."""
    x = np.array(counts, np.float64)
    wanted = np.abs(x[:, None] - x[None, :]).sum() / (2 * len(x) ** 2 * x.mean())
    assert _even(counts).gini == pytest.approx(wanted, abs=1e-12)


@given(COUNTS, st.integers(0, 2**32 - 1))
def test_chi_square_and_g_agree_with_scipy(counts, seed):
    """The two statistics and the upper tail equal scipy's, for any expected shares."""
    x = np.array(counts, np.int64)
    share = np.random.default_rng(seed).dirichlet(np.full(len(x), 5.0)) + 0.01
    b = balance(x, share, random=True)
    wanted = share / share.sum() * x.sum()
    chi2 = stats.chisquare(x, wanted)
    assert b.chi2 == pytest.approx(chi2.statistic, rel=1e-9)
    assert b.p_value == pytest.approx(chi2.pvalue, rel=1e-6, abs=1e-12)
    g = stats.power_divergence(x, wanted, lambda_="log-likelihood")
    assert b.g == pytest.approx(g.statistic, rel=1e-9, abs=1e-9)


def test_random_placement_has_uniform_p_values():
    """Over 2 000 multinomial draws p is uniform: mean and lower 5 % within z = 4."""
    rng = np.random.default_rng(3)
    share = np.array([0.1, 0.2, 0.3, 0.4])
    draws = rng.multinomial(5_000, share, 2_000)
    p = np.array([balance(x, share, random=True).p_value for x in draws])
    assert abs(p.mean() - 0.5) < 4.0 / math.sqrt(12 * len(p))
    assert abs((p < 0.05).mean() - 0.05) < 4.0 * math.sqrt(0.05 * 0.95 / len(p))


def test_turns_are_more_even_than_chance_allows():
    """Round robin's counts lie in the far lower tail: 100 targets that differ by one at most."""
    b = _even([1_000] * 60 + [1_001] * 40)
    assert b.p_value_low < 1e-9
    assert b.p_value > 1.0 - 1e-9


def test_rules_that_draw_nothing_get_no_chi_square():
    """Without independent draws chi2 and its kin are None and the note says why."""
    b = _even([1_000, 1_001], random=False)
    assert (b.chi2, b.df, b.p_value, b.p_value_low, b.g) == (None,) * 5
    assert b.note == "not random"
    assert b.max_over_mean == pytest.approx(1_001 / 1_000.5)


def test_targets_outside_the_rules_are_told_apart():
    """A target that may get nothing is no degree of freedom; if it got some, the note says so."""
    share = np.array([0.5, 0.5, 0.0])
    good = balance(np.array([50, 60, 0]), share, random=True)
    assert good.df == 1
    assert good.min_over_mean == pytest.approx(50 / 55)
    bad = balance(np.array([50, 60, 7]), share, random=True)
    assert bad.chi2 is None
    assert bad.note == "7 went to targets that the rules leave out"


def test_nothing_counted_is_said_and_not_divided_by():
    """No counts, no shares, one target, few counts: None or a note instead of NaN."""
    none = balance(np.zeros(3, np.int64), np.full(3, 1 / 3), random=True)
    assert none.note == "nothing counted"
    assert none.cov is None
    assert balance(np.array([1]), np.zeros(1), random=True).max_over_mean is None
    one = balance(np.array([7]), np.ones(1), random=True)
    assert (one.df, one.p_value, one.note) == (0, None, "one target")
    assert "below 5" in (_even([3, 4]).note or "")
    assert largest_over_mean(np.zeros(2, np.int64), np.ones(2)) is None
