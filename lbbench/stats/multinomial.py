"""Tails of Pearson's statistic without its large-sample law: exact, or by drawing.

The chi-square law is an approximation where expected counts are small. For few draws the
probability of a statistic as large, or as small, is a finite sum over all outcomes.
"""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

MOST_EQUAL = 60
"""Draws up to which equal shares are counted exactly: the table has the cube of it entries."""

MOST_TARGETS = 200
"""Targets up to which they are: each costs a pass over the table."""

MOST_OUTCOMES = 200_000
"""Outcomes up to which unequal shares are enumerated."""

DRAWS = 20_000
"""Samples where neither is possible; the p-value then has a standard error of 0.0035 at most."""

MANY_TARGETS = 500
"""Targets from which the statistic, a sum over them, follows a gamma law of its own moments."""

AT_ONCE = 500_000
"""Counts in memory at a time."""

SLACK = 1e-9  # relative: two statistics that differ by rounding alone are equal


class Tails(NamedTuple):
    """P(statistic <= observed), P(statistic >= observed), and how they were found."""

    low: float
    high: float
    how: Literal["exact", "drawn", "moments"]


def small_tails(counts: np.ndarray, expected: np.ndarray) -> Tails:
    """Return both tails of Pearson's chi-square for few draws.

    Parameters
    ----------
    counts : int64[n]
        Draws per target.
    expected : float64[n]
        Shares above 0 that sum to 1.

    Notes
    -----
    Exact by counting for equal shares up to `MOST_EQUAL` draws and by enumeration up to
    `MOST_OUTCOMES` outcomes; else by `DRAWS` samples of a fixed seed, with the observed outcome
    counted among them, so that no p-value is 0 (Davison and Hinkley, *Bootstrap Methods*, 4.2).
    With `MANY_TARGETS` the gamma law of the statistic's exact mean n - 1 and variance
    2 (n - 1) + (sum 1/e_i - n^2 - 2 n + 2) / m (Haldane, Biometrika 29, 1937).
    """
    total, n = int(counts.sum()), len(counts)
    if np.ptp(expected) == 0.0 and total <= MOST_EQUAL and n <= MOST_TARGETS:
        return _equal(counts, total)
    if math.comb(total + n - 1, n - 1) <= MOST_OUTCOMES:
        return _enumerated(counts, expected, total)
    if n >= MANY_TARGETS:
        return _by_moments(counts, expected, total)
    return _drawn(counts, expected, total)


def _equal(counts: np.ndarray, total: int) -> Tails:
    """Count over (draws used, sum of squares), one target after the other."""
    n = len(counts)
    squares = total * total
    weight = np.array([1.0 / math.factorial(x) for x in range(total + 1)])
    table = np.zeros((total + 1, squares + 1))
    table[0, 0] = 1.0
    for _ in range(n):
        grown = np.zeros_like(table)
        for x in range(total + 1):
            reach = squares + 1 - x * x
            grown[x:, x * x :] += weight[x] * table[: total + 1 - x, :reach]
        table = grown
    law = table[total] / table[total].sum()
    seen = int((counts.astype(np.int64) ** 2).sum())
    return Tails(min(float(law[: seen + 1].sum()), 1.0), min(float(law[seen:].sum()), 1.0), "exact")


def _enumerated(counts: np.ndarray, expected: np.ndarray, total: int) -> Tails:
    """Sum over all outcomes; target by target, vectors of all partial outcomes."""
    used, statistic, log_p = np.zeros(1, np.int64), np.zeros(1), np.zeros(1)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, total + 1)))])
    for i, share in enumerate(expected):
        rest = total - used
        take = [rest] if i == len(expected) - 1 else None
        if take is None:
            repeat = rest + 1
            at = np.repeat(np.arange(len(used)), repeat)
            start = np.cumsum(repeat) - repeat
            x = np.arange(len(at)) - np.repeat(start, repeat)
        else:
            at, x = np.arange(len(used)), rest
        used = used[at] + x
        statistic = statistic[at] + x * x / share
        log_p = log_p[at] + x * math.log(share) - log_factorial[x]
    p = np.exp(log_p + log_factorial[total])
    seen = float((counts * counts / expected).sum())
    low = float(p[statistic <= seen * (1 + SLACK)].sum())
    high = float(p[statistic >= seen * (1 - SLACK)].sum())
    return Tails(min(low, 1.0), min(high, 1.0), "exact")


def _drawn(counts: np.ndarray, expected: np.ndarray, total: int) -> Tails:
    rng = np.random.default_rng(np.random.SeedSequence([total, len(counts)]))
    seen = float((counts * counts / expected).sum())
    low = high = 1
    step = AT_ONCE // len(counts)
    for done in range(0, DRAWS, step):
        sample = rng.multinomial(total, expected, size=min(step, DRAWS - done))
        statistic = (sample * sample / expected).sum(axis=1)
        low += int((statistic <= seen * (1 + SLACK)).sum())
        high += int((statistic >= seen * (1 - SLACK)).sum())
    return Tails(low / (DRAWS + 1), high / (DRAWS + 1), "drawn")


def _by_moments(counts: np.ndarray, expected: np.ndarray, total: int) -> Tails:
    from scipy.special import gammainc, gammaincc

    n = len(counts)
    mean = n - 1.0
    variance = 2.0 * mean + (float((1.0 / expected).sum()) - n * n - 2.0 * n + 2.0) / total
    if variance <= 0.0:  # one draw: every outcome is the same
        return Tails(1.0, 1.0, "moments")
    seen = float((counts * counts / expected).sum()) / total - total
    shape, scale = mean * mean / variance, variance / mean
    at = max(seen, 0.0) / scale
    return Tails(float(gammainc(shape, at)), float(gammaincc(shape, at)), "moments")
