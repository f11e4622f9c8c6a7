"""What a recorded stream of requests tells about traffic: rate, burstiness, popularity, times."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

FEW = 100
"""Requests below which a rate has a standard error of more than a tenth, 1/sqrt(n)."""

LEVELS = (
    *(i / 50 for i in range(45)),
    *(0.9 + i / 200 for i in range(18)),
    *(0.99 + i / 1000 for i in range(11)),
)
"""Ends of the slices that stand for a longer list of times."""

Z = 3.0  # how many standard errors an index of dispersion may be from 1 (0.3 % false alarms)


class Bursts(NamedTuple):
    """How irregular the arrivals are."""

    rate: float  # requests per second
    gap_cv: float  # coefficient of variation of the recovered gaps
    dispersion: float  # variance over mean of the counts per window, 1 for Poisson; NaN: too short
    window: float  # seconds
    windows: int

    @property
    def is_poisson(self) -> bool:
        """Whether the counts are compatible with a Poisson process: 1 ± Z sqrt(2/(windows-1))."""
        if math.isnan(self.dispersion):
            return True
        return abs(self.dispersion - 1.0) <= Z * math.sqrt(2.0 / (self.windows - 1))

    @property
    def cv(self) -> float:
        """The coefficient of variation of a renewal process with this dispersion."""
        return math.sqrt(self.dispersion)


def bursts(arrival: np.ndarray) -> Bursts:
    """Return rate and irregularity of ascending ``arrival`` times (seconds).

    A renewal process whose gaps have the coefficient of variation c gives counts whose variance
    over mean tends to c^2 in long windows (D. R. Cox, Renewal Theory, 1962, 4.5). Windows last at
    least a second, the resolution of a log, and hold ten requests on average. Slow changes of the
    rate raise the figure too: it cannot tell them from bursts.
    """
    span = float(arrival[-1] - arrival[0]) if len(arrival) else 0.0
    if len(arrival) < 3 or span <= 0.0:
        return Bursts(0.0, math.nan, math.nan, 1.0, 0)
    rate = (len(arrival) - 1) / span
    gaps = np.diff(arrival)
    window = max(1.0, 10.0 / rate)
    whole = int(span / window)
    dispersion = math.nan
    if whole >= 10:
        index = ((arrival - arrival[0]) / window).astype(np.int64)
        counts = np.bincount(index[index < whole], minlength=whole)
        dispersion = float(counts.var(ddof=1) / counts.mean())
    return Bursts(rate, float(gaps.std() / gaps.mean()), dispersion, window, whole)


def zipf_exponent(counts: np.ndarray) -> float:
    """Return the exponent s of P(rank i) ~ i^-s that makes ``counts`` likeliest, 0 = uniform.

    Solves sum(counts log rank) / n = sum(i^-s log i) / sum(i^-s) by bisection; ranks are those of
    the counts themselves, which makes s a little too large when counts are small.
    """
    ordered = np.sort(counts[counts > 0])[::-1].astype(np.float64)
    if len(ordered) < 2:
        return 0.0
    logs = np.log(np.arange(1, len(ordered) + 1))
    seen = float(ordered @ logs / ordered.sum())
    low, high = 0.0, 20.0
    for _ in range(60):
        s = 0.5 * (low + high)
        weight = np.exp(-s * logs)
        if weight @ logs / weight.sum() > seen:
            low = s
        else:
            high = s
    return round(0.5 * (low + high), 3)


def is_uniform(counts: np.ndarray) -> bool:
    """Tell whether ``counts`` are compatible with equal chances, by chi-square within Z.

    Uses the cube-root approximation of Wilson and Hilferty (1931), good from few degrees on.
    """
    n, k = float(counts.sum()), len(counts)
    if k < 2 or n / k < 1.0:
        return True
    chi2 = float(((counts - n / k) ** 2).sum() * k / n)
    df = k - 1
    z = ((chi2 / df) ** (1 / 3) - (1 - 2 / (9 * df))) / math.sqrt(2 / (9 * df))
    return bool(z <= Z)


def representatives(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (values, shares): ``times`` themselves when few, else the means of their slices.

    The slices of the ordered times are finer towards the long ones. Means keep the mean; the
    spread inside a slice is lost. Values are ascending and distinct, in whole microseconds.
    """
    ordered = np.sort(times)
    if len(ordered) > FEW:
        cuts = np.unique((np.array(LEVELS) * len(ordered)).round().astype(int))
        sizes = np.diff(cuts)
        means = np.add.reduceat(ordered, cuts[:-1]) / sizes
    else:
        means, sizes = ordered, np.ones(len(ordered), int)
    values, which = np.unique(means.round(6), return_inverse=True)
    return values, np.bincount(which, weights=sizes) / len(ordered)
