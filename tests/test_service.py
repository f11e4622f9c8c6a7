"""Distributions of work follow their laws, and their formulas for mean and spread are right.

Tolerances: p > 1e-5 for goodness of fit; means within z = 4.5 standard errors. Seeds are fixed.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import integrate, stats

from lbbench.traffic import service
from lbbench.traffic.streams import Streams, branch_of

Z = 4.5
P = 1e-5
N = 100_000


def bounded_pareto_law(low, high, alpha):
    return stats.truncpareto(alpha, high / low, scale=low)


class Mixture:
    """A mixture of exponentials: what scipy has no frozen distribution for."""

    def __init__(self, shares, means):
        self.parts = list(zip(shares, means, strict=True))

    def cdf(self, x):
        """Return P(X <= x)."""
        return sum(p * -np.expm1(-np.asarray(x) / m) for p, m in self.parts)

    def mean(self):
        """Return E[X]."""
        return sum(p * m for p, m in self.parts)

    def var(self):
        """Return the variance."""
        return sum(p * 2 * m * m for p, m in self.parts) - self.mean() ** 2


SHORT = 0.5 * (1 + math.sqrt(3 / 5))  # hyperexponential with cv 2: cv^2 = 4, (4 - 1) / (4 + 1)

LAWS = {
    "exponential": (service.exponential(0.02), stats.expon(scale=0.02)),
    "erlang": (service.erlang(0.02, 4), stats.gamma(4, scale=0.005)),
    "lognormal": (
        service.lognormal(0.02, 1.5),
        stats.lognorm(math.sqrt(math.log(3.25)), scale=0.02 * math.exp(-0.5 * math.log(3.25))),
    ),
    "hyperexponential": (
        service.hyperexponential(0.02, 2.0),
        Mixture([SHORT, 1 - SHORT], [0.01 / SHORT, 0.01 / (1 - SHORT)]),
    ),
    "pareto": (service.pareto(0.02, 4.5), stats.pareto(4.5, scale=0.02 * 3.5 / 4.5)),
    "heavy pareto": (service.pareto(0.02, 1.5), stats.pareto(1.5, scale=0.02 / 3)),
    "bounded pareto": (
        service.bounded_pareto(0.001, 10.0, 1.1),
        bounded_pareto_law(0.001, 10.0, 1.1),
    ),
    "bounded pareto 1": (
        service.bounded_pareto(0.001, 1.0, 1.0),
        bounded_pareto_law(0.001, 1.0, 1.0),
    ),
    "bounded pareto 2": (
        service.bounded_pareto(0.001, 1.0, 2.0),
        bounded_pareto_law(0.001, 1.0, 2.0),
    ),
}
QUANTILES = service.quantile_table(
    np.array([0.1, 0.5, 0.5, 0.9, 0.99]), np.array([0.001, 0.002, 0.01, 0.05, 0.3])
)
OTHERS = {
    "deterministic": service.deterministic(0.02),
    "bimodal": service.discrete(np.array([0.001, 0.1]), np.array([0.995, 0.005])),
    "quantiles": QUANTILES,
    "resampled": service.resampled(np.array([0.003, 0.001, 0.001, 0.2])),
}
EVERY = {name: law[0] for name, law in LAWS.items()} | OTHERS
every_law = pytest.mark.parametrize(("made", "law"), LAWS.values(), ids=LAWS.keys())
every_distribution = pytest.mark.parametrize("made", EVERY.values(), ids=EVERY.keys())


def drawn(made, n, *, seed=1):
    return made.start(Streams(seed, 0))(n)


@every_law
def test_draws_follow_the_law(made, law):
    """Kolmogorov-Smirnov test against the distribution function of the textbook."""
    assert stats.kstest(drawn(made, N), law.cdf).pvalue > P


@every_law
def test_mean_and_variation_are_those_of_the_law(made, law):
    """The formulas agree with scipy's moments; the variation may be infinite."""
    assert made.mean == pytest.approx(law.mean(), rel=1e-9)
    spread = math.sqrt(law.var()) / law.mean()
    assert made.cv == (pytest.approx(spread, rel=1e-9) if math.isfinite(spread) else math.inf)


@pytest.mark.parametrize(
    "made", [pytest.param(made, id=name) for name, made in EVERY.items() if made.cv < math.inf]
)
def test_sample_mean_is_the_stated_mean(made):
    """The mean of the draws lies within z standard errors of the stated one, where it has one."""
    values = drawn(made, N)
    assert abs(values.mean() / made.mean - 1) <= Z * made.cv / math.sqrt(N) + 1e-12


@every_distribution
@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_draws_do_not_depend_on_the_size_of_blocks(made, sizes):
    """Drawn in any pieces, the values are bit for bit those drawn at once."""
    draw = made.start(Streams(2, 3))
    pieces = np.concatenate([draw(n) for n in sizes])
    assert pieces.tobytes() == made.start(Streams(2, 3))(sum(sizes)).tobytes()


@every_distribution
def test_singly_is_the_same_as_at_once(made):
    """Draws one by one give the same bits as one block."""
    draw = made.start(Streams(5, 0))
    singly = np.concatenate([draw(1) for _ in range(500)])
    assert singly.tobytes() == drawn(made, 500, seed=5).tobytes()


@every_distribution
def test_another_column_draws_from_its_own_streams(made):
    """A gap or a think time opens streams named after it and none of the work's."""
    opened = []

    class Noting(Streams):
        def open(self, name):
            opened.append(name)
            return super().open(name)

    made.start(Noting(1, 0), "pause")(5)
    assert set(opened) <= {"pause", branch_of("pause")}


@pytest.mark.parametrize("value", [-1, -1.0, math.inf])
def test_a_constant_is_the_same_array_part_by_part(value):
    """Blocks of any length hold the value, in its type; shorter ones are parts of longer ones."""
    draw = service.always(value)
    for n in (3, 0, 5, 2):
        assert draw(n).tolist() == [value] * n
        assert draw(n).dtype == (np.int64 if isinstance(value, int) else np.float64)
    assert np.shares_memory(draw(2), draw(5))


def test_deterministic_work_is_constant():
    """Every value is the mean, the variation 0."""
    assert (drawn(OTHERS["deterministic"], 100) == 0.02).all()
    assert OTHERS["deterministic"].cv == 0.0


def test_bimodal_values_come_with_their_shares():
    """Counts of the two values fit their shares; mean and variation are the two-point formulas."""
    made = OTHERS["bimodal"]
    values = drawn(made, N)
    assert set(values) == {0.001, 0.1}
    rare = (values == 0.1).sum()
    assert abs(rare - 0.005 * N) < Z * math.sqrt(0.005 * 0.995 * N)
    mean = 0.995 * 0.001 + 0.005 * 0.1
    assert made.mean == pytest.approx(mean)
    assert made.cv == pytest.approx(math.sqrt(0.995 * 0.005) * 0.099 / mean)


def quantile_function(u):
    """Read the table of QUANTILES by hand: linear pieces, a jump at one half, flat ends."""
    if u < 0.1:
        return 0.001
    if u < 0.5:
        return 0.001 + (u - 0.1) / 0.4 * 0.001
    if u < 0.9:
        return 0.01 + (u - 0.5) / 0.4 * 0.04
    return 0.05 + (min(u, 0.99) - 0.9) / 0.09 * 0.25


def test_quantile_table_is_the_inverse_of_its_distribution_function():
    """The u-quantile of the draws' uniform number is the table read linearly."""
    uniforms = Streams(1, 0).open("work").random(2_000)
    expected = [quantile_function(u) for u in uniforms.tolist()]
    assert drawn(QUANTILES, 2_000) == pytest.approx(expected, rel=1e-12)


def test_moments_of_a_quantile_table_are_its_integrals():
    """Mean and variation equal the integrals of Q(u) and Q(u)^2 over 0 .. 1."""
    breaks = [0.0, 0.1, 0.5, 0.9, 0.99, 1.0]
    first, second = (
        sum(
            integrate.quad(lambda u: quantile_function(u) ** power, a, b)[0]  # noqa: B023
            for a, b in itertools.pairwise(breaks)
        )
        for power in (1, 2)
    )
    assert QUANTILES.mean == pytest.approx(first, rel=1e-9)
    assert QUANTILES.cv == pytest.approx(math.sqrt(second - first**2) / first, rel=1e-9)


def test_resampling_draws_every_value_equally_often():
    """Counts of the values fit their multiplicity; mean and variation are the sample's."""
    made = OTHERS["resampled"]
    counts = [int((drawn(made, N) == value).sum()) for value in (0.001, 0.003, 0.2)]
    assert sum(counts) == N
    assert stats.chisquare(counts, [N / 2, N / 4, N / 4]).pvalue > P
    values = np.array([0.003, 0.001, 0.001, 0.2])
    assert made.mean == pytest.approx(values.mean())
    assert made.cv == pytest.approx(values.std() / values.mean())
