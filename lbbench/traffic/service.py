"""How much work a request brings: the distributions of service time, with mean and spread.

Work is in seconds at speed 1. Every distribution gives its mean and its coefficient of variation by
formula, and draws row by row from the stream ``work`` (``hyperexponential`` takes its branch from
a stream of its own). Other times (think times, gaps, lifetimes) have the same distributions and
draw from the stream of their column.

References
----------
L. Kleinrock, *Queueing Systems*, vol. 1 (1975), 4.7: hyperexponential with balanced means.
M. Harchol-Balter, *Performance Modeling and Design of Computer Systems* (2013), 20: bounded Pareto.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from lbbench.traffic.streams import WORK, Streams, branch_of

Draw = Callable[[int], np.ndarray]
"""draw(n) -> float64[n]: the next n values."""


class Start(Protocol):
    """Opens a distribution's streams: what makes its draw."""

    def __call__(self, streams: Streams, column: str = WORK) -> Draw:
        """Return the draw at its start; ``column`` is the name of its stream."""


def always(value: float | np.uint8) -> Draw:
    """Return the draw of a constant of the value's type: an int gives int64.

    Its blocks share memory, so only read them. Columns that nothing asks for cost no time this way.
    """
    made = np.full(0, value)

    def draw(n: int) -> np.ndarray:
        nonlocal made
        if len(made) < n:
            made = np.full(n, value)
        return made[:n]

    return draw


@dataclass(frozen=True)
class ServiceTime:
    """A distribution of work, or of other times.

    Attributes
    ----------
    mean
        Seconds.
    cv
        Coefficient of variation, standard deviation / mean; may be infinite (Pareto, alpha <= 2).
    start
        ``start(streams, column) -> draw``; the column is ``work`` where none is named.
    """

    mean: float
    cv: float
    start: Start


def deterministic(mean: float) -> ServiceTime:
    """Return the distribution that always gives ``mean``."""

    def start(streams: Streams, column: str = WORK) -> Draw:  # noqa: ARG001
        return always(mean)

    return ServiceTime(mean, 0.0, start)


def exponential(mean: float) -> ServiceTime:
    """Return the exponential distribution."""

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: mean * stream.standard_exponential(n)

    return ServiceTime(mean, 1.0, start)


def erlang(mean: float, k: int) -> ServiceTime:
    """Return the sum of ``k`` exponential stages: cv^2 = 1/k."""

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: (mean / k) * stream.standard_gamma(k, n)

    return ServiceTime(mean, 1.0 / math.sqrt(k), start)


def lognormal(mean: float, cv: float) -> ServiceTime:
    """Return exp(N(mu, sigma^2)) with sigma^2 = ln(1 + cv^2), mu = ln mean - sigma^2 / 2."""
    variance = math.log1p(cv * cv)
    mu, sigma = math.log(mean) - 0.5 * variance, math.sqrt(variance)

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: stream.lognormal(mu, sigma, n)

    return ServiceTime(mean, cv, start)


def hyperexponential(mean: float, cv: float) -> ServiceTime:
    """Return a mixture of two exponentials that carry the same share of the work; cv >= 1.

    The short branch has probability p = (1 + sqrt((cv^2 - 1) / (cv^2 + 1))) / 2 and mean
    mean / (2 p), the long one mean / (2 (1 - p)).
    """
    p = 0.5 * (1.0 + math.sqrt((cv * cv - 1.0) / (cv * cv + 1.0)))
    short, long = mean / (2.0 * p), mean / (2.0 * (1.0 - p))

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream, branch = streams.open(column), streams.open(branch_of(column))
        return lambda n: (
            stream.standard_exponential(n) * np.where(branch.random(n) < p, short, long)
        )

    return ServiceTime(mean, cv, start)


def pareto(mean: float, alpha: float) -> ServiceTime:
    """Return P(X > x) = (x_m / x)^alpha with x_m = mean (alpha - 1) / alpha; alpha > 1.

    cv^2 = 1 / (alpha (alpha - 2)), infinite for alpha <= 2.
    """
    least = mean * (alpha - 1.0) / alpha
    cv = 1.0 / math.sqrt(alpha * (alpha - 2.0)) if alpha > 2.0 else math.inf

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: least * (1.0 + stream.pareto(alpha, n))

    return ServiceTime(mean, cv, start)


def bounded_pareto(low: float, high: float, alpha: float) -> ServiceTime:
    """Return a Pareto distribution from ``low`` conditioned on X <= ``high``.

    E[X^k] = alpha low^alpha (low^(k - alpha) - high^(k - alpha)) / ((alpha - k) (1 - r^alpha)) with
    r = low / high; for k = alpha the fraction becomes ln(high / low).
    """
    reach = 1.0 - (low / high) ** alpha

    def moment(k: int) -> float:
        if alpha == k:
            return float(alpha * low**alpha * math.log(high / low) / reach)
        bracket = low ** (k - alpha) - high ** (k - alpha)
        return float(alpha * low**alpha * bracket / ((alpha - k) * reach))

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: low * (1.0 - stream.random(n) * reach) ** (-1.0 / alpha)

    return _of_moments(moment(1), moment(2), start)


def discrete(values: np.ndarray, shares: np.ndarray) -> ServiceTime:
    """Return the distribution over ``values`` with probabilities ``shares`` (sum 1): bimodal."""
    values = np.asarray(values, np.float64)
    shares = np.asarray(shares, np.float64) / np.sum(shares)
    cumulated = np.cumsum(shares)
    cumulated[-1] = 1.0

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: values[np.searchsorted(cumulated, stream.random(n), side="right")]

    return _of_moments(
        math.fsum((shares * values).tolist()), math.fsum((shares * values**2).tolist()), start
    )


def quantile_table(levels: np.ndarray, values: np.ndarray) -> ServiceTime:
    """Return the distribution whose quantiles are given, linear between them.

    Parameters
    ----------
    levels
        Ascending, 0 .. 1. Below the first and above the last one the values are the outer ones.
    values
        Quantiles at these levels, seconds, non-decreasing.
    """
    levels = np.concatenate([[0.0], levels, [1.0]])
    values = np.concatenate([values[:1], values, values[-1:]])
    keep = np.append(np.diff(levels) > 0.0, True)  # the last of equal levels, as the end of a jump
    width = np.diff(levels)
    low, high = values[:-1], values[1:]
    first = math.fsum((width * (low + high) / 2.0).tolist())
    second = math.fsum((width * (low * low + low * high + high * high) / 3.0).tolist())
    begin, base = levels[keep], values[keep]
    slope = np.append(np.diff(values)[keep[:-1]] / width[keep[:-1]], 0.0)

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)

        def draw(n: int) -> np.ndarray:
            uniforms = stream.random(n)
            piece = np.searchsorted(begin, uniforms, side="right") - 1
            drawn: np.ndarray = base[piece] + (uniforms - begin[piece]) * slope[piece]
            return drawn

        return draw

    return _of_moments(first, second, start)


def resampled(values: np.ndarray) -> ServiceTime:
    """Return the distribution that draws one of ``values`` (seconds), each equally likely."""
    ordered = np.sort(np.asarray(values, np.float64))

    def start(streams: Streams, column: str = WORK) -> Draw:
        stream = streams.open(column)
        return lambda n: ordered[(stream.random(n) * len(ordered)).astype(np.int64)]

    mean = math.fsum(ordered.tolist()) / len(ordered)
    return _of_moments(mean, math.fsum((ordered**2).tolist()) / len(ordered), start)


def _of_moments(first: float, second: float, start: Start) -> ServiceTime:
    variance = max(second - first * first, 0.0)
    return ServiceTime(first, math.sqrt(variance) / first if first > 0.0 else 0.0, start)
