"""How likely it is that chance alone explains what was found, and how many such answers add up.

Every function returns a `Found` with the p-value of its own claim: the probability, if the claim
is true, of something at least as far from it. Where the claim is known up to a bound only (the
resolution of a histogram, the distance from a limit law), the p-value is the largest within the
bound. What cannot differ by chance is *certain*: p is 1, or 0.

References
----------
.. [1] S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
   Statistics 6(2), 1979.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

ROUNDING = 1e-9  # relative: sums of floats that are equal but for their order


class Found(NamedTuple):
    """What one check found."""

    observed: float
    expected: float
    standard_error: float | None  # None: the law is exact, or nothing is left to chance
    p_value: float
    n: int  # pieces of evidence: replications, draws, or things compared
    test: str  # "t", "binomial", "chi-square", "Kolmogorov-Smirnov", "certain"


def mean_is(values: np.ndarray, expected: float, *, slack: float = 0.0) -> Found:
    """Return the two-sided t test that the mean of independent ``values`` is ``expected``.

    Parameters
    ----------
    values
        float64[R], one per replication.
    slack
        The claim is that the mean lies within this distance.
    """
    n, mean, error = len(values), float(values.mean()), standard_error(values)
    beyond = _beyond(mean, expected, expected, slack)
    return Found(mean, expected, error, _t(beyond, error, n, expected), n, "t")


def mean_is_between(low: np.ndarray, high: np.ndarray, expected: float) -> Found:
    """Return the t test that the mean of values known as ``low`` .. ``high`` is ``expected``.

    So a share above a threshold comes out of a histogram: the place of the threshold itself counts
    neither way. float64[R] both.
    """
    n = len(low)
    least, most = float(low.mean()), float(high.mean())
    values = high if expected > most else low
    error = standard_error(values)
    beyond = max(expected - most, least - expected, 0.0)
    observed = 0.5 * (least + most)
    return Found(observed, expected, error, _t(beyond, error, n, expected), n, "t")


def standard_error(values: np.ndarray) -> float:
    """Return the standard error of the mean of independent values, float64[R] with R > 1."""
    return float(values.std(ddof=1)) / math.sqrt(len(values))


def _beyond(value: float, low: float, high: float, slack: float) -> float:
    return max(low - slack - value, value - high - slack, 0.0)


def _t(beyond: float, error: float, n: int, scale: float) -> float:
    from scipy.special import stdtr

    if beyond <= ROUNDING * abs(scale):
        return 1.0
    if error == 0.0 or not math.isfinite(beyond / error):
        return 0.0
    return 2.0 * float(stdtr(n - 1, -beyond / error))


def variance_is(values: np.ndarray, expected: float) -> Found:
    """Return the two-sided chi-square test that the variance of normal ``values`` is ``expected``.

    Its standard error is that of a sample variance of normal values.
    """
    n, found = len(values), float(values.var(ddof=1))
    p = _two_tails((n - 1) * found / expected, n - 1)
    return Found(found, expected, expected * math.sqrt(2.0 / (n - 1)), p, n, "chi-square")


def share_is(hits: int, n: int, p: float) -> Found:
    """Return the exact two-sided binomial test of ``hits`` in ``n`` draws of chance ``p``.

    Twice the smaller tail.
    """
    from scipy.special import bdtr, bdtrc

    tails = bdtr(hits, n, p), bdtrc(hits - 1, n, p) if hits > 0 else 1.0
    both = min(1.0, 2.0 * float(min(tails)))
    return Found(hits / n, p, math.sqrt(p * (1.0 - p) / n), both, n, "binomial")


def counts_are(
    counts: np.ndarray, shares: np.ndarray | None = None, *, no_worse: bool = False
) -> Found:
    """Return the chi-square test that independent draws fell by ``shares``, equal unless given.

    Both tails count: neither more uneven nor more even than chance. With ``no_worse`` only the
    first, where things are spread more evenly than chance on purpose. Found and expected are
    chi-square and its degrees of freedom.
    """
    total = int(counts.sum())
    expected = total * (np.full(len(counts), 1.0 / len(counts)) if shares is None else shares)
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return spread_is(chi2, len(counts) - 1, total, no_worse=no_worse)


def spread_is(chi2: float, df: int, n: int, *, no_worse: bool = False) -> Found:
    """Return the test of a chi-square statistic, or a sum of independent ones, over ``n`` draws."""
    from scipy.special import chdtrc

    p = float(chdtrc(df, chi2)) if no_worse else _two_tails(chi2, df)
    return Found(chi2, float(df), math.sqrt(2.0 * df), p, n, "chi-square")


def _two_tails(chi2: float, df: int) -> float:
    from scipy.special import chdtr, chdtrc

    return min(1.0, 2.0 * float(min(chdtr(df, chi2), chdtrc(df, chi2))))


def is_uniform(values: np.ndarray, low: float, high: float) -> Found:
    """Return the exact test of Kolmogorov and Smirnov that ``values`` are uniform; their mean."""
    from scipy.stats import kstest

    p = float(kstest(values, "uniform", args=(low, high - low), method="exact").pvalue)
    expected = 0.5 * (low + high)
    error = standard_error(values)
    return Found(float(values.mean()), expected, error, p, len(values), "Kolmogorov-Smirnov")


def certain(observed: float, expected: float, n: int, *, within: float = 0.0) -> Found:
    """Return the verdict on what leaves nothing to chance: p is 1 within ``within``, else 0."""
    holds = math.isfinite(observed) and abs(observed - expected) <= within
    return Found(observed, expected, None, 1.0 if holds else 0.0, n, "certain")


def rejected(p_values: Sequence[float], level: float) -> list[bool]:
    """Return which claims fall so that a true one falls with at most the chance ``level``.

    Holm's procedure [1]_: the smallest of m p-values is held against level / m, the next against
    level / (m - 1), and so on until one stands. Valid however the p-values depend on each other.
    """
    m = len(p_values)
    fall = [False] * m
    for rank, at in enumerate(sorted(range(m), key=p_values.__getitem__)):
        if p_values[at] > level / (m - rank):
            break
        fall[at] = True
    return fall
