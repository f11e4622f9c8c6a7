"""Is an imbalance chance? Counts of a stage against the shares that its rules promise.

Pearson's chi-square and the likelihood ratio G with both tails: the upper one is imbalance, the
lower one is more even than independent draws can be (a round robin). Requests of one connection, or
of one client that is held to a target, are no independent draws: the statistic is divided by the
design effect, the first-order correction of Rao and Scott [1]_.

References
----------
.. [1] J. N. K. Rao and A. J. Scott, "The analysis of categorical data from complex sample surveys",
   Journal of the American Statistical Association 76(374), 1981.
.. [2] R. E. Kass and A. E. Raftery, "Bayes factors", JASA 90(430), 1995.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

from lbbench.stats.balance import FEW_EXPECTED, balance
from lbbench.stats.multinomial import small_tails


@dataclass(frozen=True)
class Design:
    """How much requests stick together.

    Attributes
    ----------
    effect
        Variance of the counts over that of independent draws; 1 without clusters.
    clusters
        Number of connections or clients; None when only the effect is known.
    sticking
        Share of the requests of clusters with two or more that went to the cluster's main target.
    by_chance
        The same share if every request were drawn for itself (an upper bound by expectation of the
        largest count is not needed: it is what a shuffle of the requests gives); None: unknown.
    """

    effect: float
    clusters: int | None
    sticking: float | None = None
    by_chance: float | None = None


@dataclass(frozen=True)
class Chance:
    """The verdict on one set of counts.

    Attributes
    ----------
    chi2, g, df
        Pearson's statistic, the likelihood ratio, and their degrees of freedom.
    p_high, p_low
        Probability of a chi2 as large, or as small, if every count were drawn for itself.
    how
        Where the two come from: the chi-square law, all outcomes (exact), samples (drawn), or
        a law with the statistic's own mean and variance (moments).
    design, effective
        Design effect and number of independent draws that the counts are worth.
    p_corrected
        p_high of chi2 / effect; equal to p_high without clusters.
    """

    total: int
    targets: int
    chi2: float
    g: float
    df: int
    p_high: float
    p_low: float
    how: Literal["chi-square", "exact", "drawn", "moments"]
    design: Design | None
    effective: float
    p_corrected: float
    max_over_mean: float
    cov: float
    jain: float


def judge(counts: np.ndarray, expected: np.ndarray, *, design: Design | None = None) -> Chance:
    """Return how likely such counts are by chance.

    Parameters
    ----------
    counts : int64[n]
        Connections or requests per target, at least one in all.
    expected : float64[n]
        Shares above 0; scaled to sum to 1.
    design
        How requests stick together; None: each is drawn for itself.

    Raises
    ------
    ValueError
        When there are fewer than two targets, no counts, or a share that is not above 0.
    """
    shares = np.asarray(expected, np.float64)
    if len(counts) < 2 or int(counts.sum()) == 0 or not (shares > 0.0).all():
        raise ValueError("needs two targets, a count and shares above 0")
    shares = shares / shares.sum()
    found = balance(counts, shares, random=True)
    total = int(counts.sum())
    low, high = found.p_value_low or 0.0, found.p_value or 0.0
    how: Literal["chi-square", "exact", "drawn", "moments"] = "chi-square"
    if total * float(shares.min()) < FEW_EXPECTED:
        low, high, how = small_tails(counts, shares)
    effect = max(design.effect, 1.0) if design else 1.0
    chi2, df = found.chi2 or 0.0, found.df or 1
    corrected = high
    if effect > 1.0:
        from scipy.special import chdtrc

        corrected = max(high, float(chdtrc(df, chi2 / effect)))
    return Chance(
        total=total,
        targets=len(counts),
        chi2=chi2,
        g=found.g or 0.0,
        df=df,
        p_high=high,
        p_low=low,
        how=how,
        design=design,
        effective=total / effect,
        p_corrected=corrected,
        max_over_mean=found.max_over_mean or 0.0,
        cov=found.cov or 0.0,
        jain=found.jain or 0.0,
    )


def design_by_cluster(
    cluster: np.ndarray, target: np.ndarray, count: np.ndarray, expected: np.ndarray
) -> Design:
    """Return the design effect from counts by cluster (client, connection) and target.

    Parameters
    ----------
    cluster, target : int64[k]
        One entry per pair that occurs; targets count from 0.
    count : int64[k]
        Requests of each pair.
    expected : float64[n]
        Shares that sum to 1.

    Notes
    -----
    With x_ci requests of cluster c to target i and n_c in all, the mean design effect under the
    expected shares e is sum_ci (x_ci - n_c e_i)^2 / e_i over m (n - 1) = (sum x_ci^2 / e_i -
    sum n_c^2) / (m (n - 1)): 1 on average for independent draws, sum n_c^2 / m where every
    cluster goes to one target.
    """
    shares = np.asarray(expected, np.float64)
    m, n = float(count.sum()), len(shares)
    x = count.astype(np.float64)
    sizes = np.bincount(cluster, weights=x)
    effect = (float((x * x / shares[target]).sum()) - float((sizes * sizes).sum())) / (m * (n - 1))
    main = np.zeros(len(sizes))
    np.maximum.at(main, cluster, x)
    several = sizes >= 2.0
    sticking = by_chance = None
    if several.any():
        sticking = float(main[several].sum() / sizes[several].sum())
        by_chance = _main_by_chance(sizes[several].astype(np.int64), shares)
    return Design(effect, int((sizes > 0).sum()), sticking, by_chance)


def _main_by_chance(sizes: np.ndarray, shares: np.ndarray) -> float:
    """Return the share of requests at their cluster's main target if all were drawn: sampled."""
    rng = np.random.default_rng(1)
    some = sizes if len(sizes) <= 2000 else rng.choice(sizes, 2000, replace=False)
    return float(rng.multinomial(some, shares).max(axis=1).sum() / some.sum())


def design_of(total: int, connections: int) -> Design:
    """Return the design effect of ``total`` requests on ``connections``, each to one target.

    Requests per connection are taken to be geometric, as a keepalive that ends by chance makes
    them: with mean r the effect is E[n^2] / E[n] = 2 r - 1.
    """
    return Design(max(2.0 * total / connections - 1.0, 1.0), connections)


def log_likelihood(counts: np.ndarray, shares: np.ndarray) -> float:
    """Return the log-likelihood of multinomial counts without the coefficient; -inf if impossible.

    counts : int64[n]; shares : float64[n], summing to 1.
    """
    some = counts > 0
    if (shares[some] <= 0.0).any():
        return -np.inf
    return float((counts[some] * np.log(shares[some])).sum())


def log_likelihood_clustered(counts: np.ndarray, shares: np.ndarray) -> tuple[float, float]:
    """Return (log-likelihood, draws that the counts are worth) of a Dirichlet-multinomial law.

    Counts whose shares vary around ``shares`` as those of few connections do. The multinomial
    coefficient is left out, as in `log_likelihood`; the concentration is the likeliest one.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import gammaln

    x, m = counts.astype(np.float64), float(counts.sum())

    def minus(log_a: float) -> float:
        a = np.exp(log_a) * shares
        return -float(gammaln(a.sum()) - gammaln(m + a.sum()) + (gammaln(x + a) - gammaln(a)).sum())

    best = minimize_scalar(minus, bounds=(-7.0, 14.0), method="bounded")
    a0 = float(np.exp(best.x))
    return -float(best.fun), m * (1.0 + a0) / (m + a0)
