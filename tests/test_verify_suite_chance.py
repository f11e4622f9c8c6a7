"""The arithmetic of the suite: p-values keep what they promise, and Holm what all promise."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from lbbench.verify import chance

SURE = 1e-6  # chance that a test of this file fails although the code is right


@pytest.fixture
def rng():
    return np.random.default_rng(20)


def is_uniform(p_values: list[float]) -> bool:
    return stats.kstest(p_values, "uniform").pvalue > SURE


def test_the_t_test_of_a_true_mean_is_uniform(rng):
    """Five normal values each, 3000 times: p is as often below a level as the level says."""
    assert is_uniform([chance.mean_is(rng.normal(7, 3, 5), 7.0).p_value for _ in range(3000)])


def test_the_t_test_is_that_of_scipy(rng):
    """The same p-value and standard error as `scipy.stats.ttest_1samp`."""
    values = rng.normal(0, 1, 12)
    found = chance.mean_is(values, 0.3)
    assert found.p_value == pytest.approx(stats.ttest_1samp(values, 0.3).pvalue, rel=1e-9)
    assert found.standard_error == pytest.approx(stats.sem(values), rel=1e-12)
    assert (found.n, found.expected, found.test) == (12, 0.3, "t")


def test_slack_forgives_a_bias_and_no_more(rng):
    """A mean off by the slack falls in at most 1 % at that level; off by far more, always."""
    off = [chance.mean_is(rng.normal(1.1, 1, 20), 1.0, slack=0.1).p_value for _ in range(4000)]
    below = sum(p < 0.01 for p in off)
    assert stats.binom.sf(below - 1, 4000, 0.01) > SURE
    assert chance.mean_is(rng.normal(9, 1, 20), 1.0, slack=0.1).p_value < 1e-12


def test_values_without_spread_are_right_or_wrong():
    """What never varies has a p-value of 1 when it is right, else 0; so has a value that is NaN."""
    assert chance.mean_is(np.full(4, 2.0), 2.0).p_value == 1.0
    assert chance.mean_is(np.full(4, 2.0), 2.1).p_value == 0.0
    assert chance.mean_is(np.array([1.0, math.nan]), 1.0).p_value == 0.0


def test_a_mean_between_bounds_falls_beyond_them_only(rng):
    """Between the bounds p is 1; beyond one of them it is that bound's t test."""
    low, high = rng.normal(1.0, 0.1, 30), rng.normal(2.0, 0.1, 30)
    assert chance.mean_is_between(low, high, 1.5).p_value == 1.0
    above, below = chance.mean_is_between(low, high, 2.1), chance.mean_is_between(low, high, 0.9)
    assert above.p_value == pytest.approx(stats.ttest_1samp(high, 2.1).pvalue, rel=1e-9)
    assert below.p_value == pytest.approx(stats.ttest_1samp(low, 0.9).pvalue, rel=1e-9)
    assert above.observed == pytest.approx((low.mean() + high.mean()) / 2)


@pytest.mark.parametrize(("n", "p"), [(10, 0.5), (200, 0.25), (5000, 0.003), (40, 0.0)])
def test_the_binomial_test_never_promises_too_much(n: int, p: float):
    """Summed over the exact law, p-values up to a level have at most that probability."""
    p_values = np.array([chance.share_is(k, n, p).p_value for k in range(n + 1)])
    law = stats.binom.pmf(np.arange(n + 1), n, p)
    for level in (1e-4, 0.001, 0.01, 0.05, 0.3):
        assert law[p_values <= level].sum() <= level * (1 + 1e-9)
    assert p_values.max() == 1.0


def test_the_test_of_a_variance_is_uniform_and_two_sided(rng):
    """True: uniform. Values that repeat each other, and wild ones, fall both."""
    found = [chance.variance_is(rng.normal(0, 2, 8), 4.0).p_value for _ in range(3000)]
    assert is_uniform(found)
    assert chance.variance_is(np.ones(50), 4.0).p_value == 0.0
    assert chance.variance_is(rng.normal(0, 4, 50), 4.0).p_value < 1e-6


def test_counts_that_fall_by_chance_pass_and_others_do_not(rng):
    """Multinomial counts: uniform p. Too uneven and too even ones fall; `no_worse` forgives even.

    The law of chi-square is that of many draws; 40 000 over five are many.
    """
    shares = np.array([0.1, 0.2, 0.3, 0.2, 0.2])
    draws = rng.multinomial(40_000, shares, 3000)
    assert is_uniform([chance.counts_are(counts, shares).p_value for counts in draws])
    assert chance.counts_are(np.array([5000, 5000, 5400])).p_value < 1e-4
    even = np.array([5000, 5000, 5000])
    assert chance.counts_are(even).p_value == 0.0
    assert chance.counts_are(even, no_worse=True).p_value == 1.0
    found = chance.counts_are(np.array([3, 5]))
    assert (found.observed, found.expected, found.n) == (0.5, 1.0, 8)


def test_uniform_values_are_told_from_others(rng):
    """The test of Kolmogorov and Smirnov on the interval: uniform p; a shifted law falls."""
    values = rng.uniform(10, 15, (300, 20))
    assert is_uniform([chance.is_uniform(row, 10.0, 15.0).p_value for row in values])
    assert chance.is_uniform(rng.uniform(5, 10, 60), 10.0, 15.0).p_value < SURE


def test_what_is_certain_is_right_or_wrong():
    """Within the tolerance 1, beyond it 0, and 0 for what is no number."""
    assert chance.certain(3.0, 3.0, 5).p_value == 1.0
    assert chance.certain(3.1, 3.0, 5, within=0.2).p_value == 1.0
    assert chance.certain(3.1, 3.0, 5).p_value == 0.0
    assert chance.certain(math.nan, 3.0, 5, within=1.0).p_value == 0.0
    assert chance.certain(3.0, 3.0, 5).standard_error is None


def test_holm_steps_down_and_stops():
    """Holm's own kind of example: 0.001 and 0.012 fall at 5 % of four, 0.03 and 0.04 stand."""
    assert chance.rejected([0.03, 0.001, 0.04, 0.012], 0.05) == [False, True, False, True]
    assert chance.rejected([0.02, 0.001, 0.04, 0.012], 0.05) == [True, True, True, True]
    assert chance.rejected([0.013, 0.2], 0.01) == [False, False]
    assert chance.rejected([], 0.01) == []


@pytest.mark.parametrize("alike", [0.0, 0.9], ids=["independent", "hanging together"])
def test_true_claims_fall_together_with_one_percent_at_most(rng, alike: float):
    """Seventy true claims, 20 000 times: in 1 % of these any falls, in less if they hang together.

    The p-values are those of normal values with a common part.
    """
    times, claims = 20_000, 70
    z = math.sqrt(alike) * rng.normal(size=(times, 1))
    z = z + math.sqrt(1 - alike) * rng.normal(size=(times, claims))
    smallest = 2 * stats.norm.sf(np.abs(z)).min(axis=1)
    falls = sum(any(chance.rejected([p] + [1.0] * (claims - 1), 0.01)) for p in smallest)
    assert stats.binom.sf(falls - 1, times, 0.01) > SURE
    if alike == 0.0:  # and hardly less: no power is given away
        assert stats.binom.cdf(falls, times, 0.01) > SURE
