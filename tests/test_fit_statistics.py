"""The statistics of `fit`: exact tails, both tails under the null, clusters, power."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from lbbench.stats.fit import (
    design_by_cluster,
    design_of,
    judge,
    log_likelihood,
    log_likelihood_clustered,
)
from lbbench.stats.multinomial import DRAWS, MOST_EQUAL, small_tails

Z = 4.0  # false alarm of one comparison: 6e-5


def enumerated(counts, shares):
    """Both tails by the definition: every outcome, its probability, its statistic."""
    total, n = sum(counts), len(counts)

    def statistic(x):
        return sum(a * a / p for a, p in zip(x, shares, strict=True))

    seen, low, high = statistic(counts), 0.0, 0.0
    for cut in itertools.combinations(range(total + n - 1), n - 1):
        edges = (-1, *cut, total + n - 1)
        x = [b - a - 1 for a, b in itertools.pairwise(edges)]
        p = math.factorial(total)
        for a, share in zip(x, shares, strict=True):
            p = p * share**a / math.factorial(a)
        low += p * (statistic(x) <= seen * (1 + 1e-9))
        high += p * (statistic(x) >= seen * (1 - 1e-9))
    return low, high


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=2, max_size=4).filter(any), st.booleans())
def test_small_tails_are_the_sum_over_all_outcomes(counts, equal):
    """Equal and unequal shares, against a plain loop over the outcomes."""
    n = len(counts)
    shares = np.full(n, 1 / n) if equal else np.arange(1, n + 1) / (n * (n + 1) / 2)
    found = small_tails(np.array(counts), shares)
    low, high = enumerated(counts, shares.tolist())
    assert found.how == "exact"
    assert found.low == pytest.approx(low, abs=1e-10)
    assert found.high == pytest.approx(high, abs=1e-10)


def test_drawn_tails_agree_with_exact_ones():
    """Too many outcomes to enumerate: samples, within z standard errors of the exact value."""
    counts = np.array([9, 1, 4, 3, 5, 2, 6, 4, 3, 5, 4, 2])
    exact = small_tails(counts, np.full(12, 1 / 12))
    uneven = np.full(12, 1 / 12) * (1 + 1e-12 * np.arange(12))  # equal but for rounding
    drawn = small_tails(counts, uneven / uneven.sum())
    assert (exact.how, drawn.how) == ("exact", "drawn")
    error = math.sqrt(exact.high * (1 - exact.high) / DRAWS)
    assert abs(drawn.high - exact.high) < Z * error + 2 / DRAWS


def test_many_targets_follow_the_law_of_their_moments():
    """600 targets, two draws each on average: both tails have the size of their level."""
    rng = np.random.default_rng(8)
    shares = np.full(600, 1 / 600)
    reps, level = 1000, 0.05
    found = [small_tails(x, shares) for x in rng.multinomial(1200, shares, size=reps)]
    assert found[0].how == "moments"
    slack = Z * math.sqrt(reps * level * (1 - level))
    for tail in ("low", "high"):
        hits = sum(getattr(item, tail) <= level for item in found)
        assert abs(hits - level * reps) <= slack


def test_two_targets_are_a_binomial_law():
    """With two equal targets the exact upper tail is the two-sided binomial test."""
    for a in (0, 3, 8, 14):
        expected = stats.binomtest(a, 14, 0.5).pvalue
        assert small_tails(np.array([a, 14 - a]), np.full(2, 0.5)).high == pytest.approx(expected)
    assert MOST_EQUAL >= 50


@pytest.mark.parametrize(("targets", "draws"), [(3, 12), (5, 20), (6, 600), (20, 4000)])
def test_the_size_is_the_level_under_the_null(targets, draws):
    """P(p <= 0.05) is 0.05 for both tails, or less where outcomes are discrete.

    The tolerance is that of a binomial count of 800 repetitions.
    """
    rng = np.random.default_rng(targets)
    shares = np.full(targets, 1 / targets)
    reps, level = 800, 0.05
    found = [judge(x, shares) for x in rng.multinomial(draws, shares, size=reps)]
    bound = level * reps + Z * math.sqrt(reps * level * (1 - level))
    least = level * reps - Z * math.sqrt(reps * level * (1 - level))
    for tail in ("p_high", "p_low"):
        hits = sum(getattr(item, tail) <= level for item in found)
        assert hits <= bound
        if found[0].how == "chi-square":
            assert hits >= least


@pytest.mark.parametrize("size", [3, 25])
def test_clusters_inflate_the_plain_test_and_not_the_corrected_one(size):
    """Clients that stick to a target: the plain size is far above the level, the corrected is not.

    300 clients with geometric numbers of requests of mean ``size`` on five targets.
    """
    rng = np.random.default_rng(size)
    n, clients, reps, level = 5, 300, 400, 0.05
    shares = np.full(n, 1 / n)
    plain = corrected = 0
    effects = []
    for _ in range(reps):
        requests = rng.geometric(1 / size, clients)
        target = rng.integers(0, n, clients)
        counts = np.bincount(target, weights=requests, minlength=n).astype(np.int64)
        design = design_by_cluster(np.arange(clients), target, requests, shares)
        found = judge(counts, shares, design=design)
        effects.append(design.effect)
        plain += found.p_high <= level
        corrected += found.p_corrected <= level
    slack = Z * math.sqrt(reps * level * (1 - level))
    assert plain > 3 * level * reps
    assert abs(corrected - level * reps) <= slack
    # E[n^2] / E[n] of geometric numbers is 2 size - 1
    assert np.mean(effects) == pytest.approx(2 * size - 1, rel=0.05)
    assert design_of(clients * size, clients).effect == 2 * size - 1


def test_the_design_effect_of_independent_requests_is_one():
    """Each request of a client drawn for itself: the mean effect is 1 within its own error."""
    rng = np.random.default_rng(5)
    shares = np.array([0.5, 0.3, 0.2])
    effects = []
    for _ in range(200):
        table = rng.multinomial(rng.integers(1, 30, 50), shares)
        client, target = np.nonzero(table)
        effects.append(design_by_cluster(client, target, table[client, target], shares).effect)
    error = np.std(effects) / math.sqrt(len(effects))
    assert abs(np.mean(effects) - 1.0) < Z * error


def test_sticking_is_told_from_chance():
    """Clients with one target: all their requests are at the main one; by chance about half."""
    client = np.arange(100)
    held = design_by_cluster(client, client % 3, np.full(100, 20), np.full(3, 1 / 3))
    assert held.sticking == 1.0
    assert 0.35 < held.by_chance < 0.6
    assert held.effect == pytest.approx(20.0, rel=0.02)


@pytest.mark.parametrize(
    ("shares", "draws", "least"),
    [
        ((0.5, 0.25, 0.25), 200, 0.9),  # noncentrality 25 on 2 degrees
        ((0.25, 0.25, 0.25, 0.1, 0.15), 400, 0.9),
    ],
)
def test_the_power_is_that_of_the_noncentral_law(shares, draws, least):
    """Known alternatives are found as often as the noncentral chi-square law says."""
    n = len(shares)
    rng = np.random.default_rng(n)
    equal = np.full(n, 1 / n)
    reps, level = 400, 0.01
    hits = sum(judge(x, equal).p_high <= level for x in rng.multinomial(draws, shares, size=reps))
    nc = draws * float(((np.array(shares) - 1 / n) ** 2 * n).sum())
    power = float(stats.ncx2.sf(stats.chi2.isf(level, n - 1), n - 1, nc))
    assert power > least
    # the law is asymptotic: besides the noise of the repetitions, 3 points
    assert abs(hits / reps - power) < Z * math.sqrt(power * (1 - power) / reps) + 0.03


def test_a_round_robin_is_too_even():
    """Counts that differ by one: the lower tail is tiny, exact for few requests too."""
    assert judge(np.array([100, 100, 99, 100]), np.full(4, 0.25)).p_low < 1e-3
    few = judge(np.array([4, 4, 4, 4]), np.full(4, 0.25))
    assert few.how == "exact"
    ways = math.factorial(16) / math.factorial(4) ** 4 / 4**16
    assert few.p_low == pytest.approx(ways)


def test_the_clustered_law_finds_the_number_of_connections():
    """Dirichlet-multinomial counts of concentration a are worth m (1 + a) / (m + a) draws."""
    rng = np.random.default_rng(3)
    shares, m = np.full(40, 1 / 40), 20_000
    counts = rng.multinomial(m, rng.dirichlet(200 * shares))
    clustered, worth = log_likelihood_clustered(counts, shares)
    assert worth == pytest.approx(m * 201 / (m + 200), rel=0.6)
    assert clustered > log_likelihood(counts, shares)


def test_impossible_input_is_refused():
    """One target, no counts, a share of 0."""
    for counts, shares in (([3], [1.0]), ([0, 0], [0.5, 0.5]), ([1, 2], [1.0, 0.0])):
        with pytest.raises(ValueError, match="needs two targets"):
            judge(np.array(counts), np.array(shares))
    assert log_likelihood(np.array([1, 1]), np.array([1.0, 0.0])) == -np.inf
