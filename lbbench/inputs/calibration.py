"""What a recorded stream of requests tells about traffic: rate, burstiness, popularity, times."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
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

RANKS = 1 << 16  # ranks of a popularity in memory at a time

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
    """Return rate and irregularity of ascending ``arrival`` times (seconds); see `bursts_of`."""
    span = float(arrival[-1] - arrival[0]) if len(arrival) else 0.0
    return bursts_of([arrival], len(arrival), span)


def bursts_of(slices: Iterable[np.ndarray], n: int, span: float) -> Bursts:
    """Return rate and irregularity of ``n`` ascending arrivals that come in ``slices``.

    A renewal process whose gaps have the coefficient of variation c gives counts whose variance
    over mean tends to c^2 in long windows (D. R. Cox, Renewal Theory, 1962, 4.5). Windows last at
    least a second, the resolution of a log, and hold ten requests on average. Slow changes of the
    rate raise the figure too: it cannot tell them from bursts.
    """
    if n < 3 or span <= 0.0:
        return Bursts(0.0, math.nan, math.nan, 1.0, 0)
    rate = (n - 1) / span
    window = max(1.0, 10.0 / rate)
    whole = int(span / window)
    first = before = math.nan
    gap_squares = 0.0  # of the distances from the mean
    last, n_last = 0, 0  # the window that may go on in the next slice, and its count so far
    total = squares = 0  # of the counts
    for arrival in slices:
        gaps = np.diff(arrival) if math.isnan(before) else np.diff(arrival, prepend=before)
        gap_squares += float(((gaps - 1.0 / rate) ** 2).sum())
        first = float(arrival[0]) if math.isnan(first) else first
        before = float(arrival[-1])
        index = ((arrival - first) / window).astype(np.int64)
        numbers, counts = np.unique(index[index < whole], return_counts=True)
        total += int(counts.sum())
        if len(numbers) and numbers[0] == last:
            counts[0] += n_last
            n_last = 0
        squares += n_last**2 + int((counts[:-1] ** 2).sum())
        if len(numbers):
            last, n_last = int(numbers[-1]), int(counts[-1])
        else:
            n_last = 0
    squares += n_last**2
    gap_cv = math.sqrt(gap_squares / (n - 1)) * rate
    dispersion = math.nan
    if whole >= 10:
        variance = (squares - total**2 / whole) / (whole - 1)
        dispersion = variance / (total / whole)
    return Bursts(rate, gap_cv, dispersion, window, whole)


class Counts(NamedTuple):
    """How often names occur, told by how many names occur how often."""

    times: np.ndarray  # int64[k], ascending: how often
    names: np.ndarray  # int64[k], how many names do

    @classmethod
    def of(cls, parts: Iterable[np.ndarray]) -> Counts:
        """Return the counts in ``parts``, each an array of how often some names occur."""
        found: Counter[int] = Counter()
        for part in parts:
            times, names = np.unique(part[part > 0], return_counts=True)
            found.update(dict(zip(times.tolist(), names.tolist(), strict=True)))
        times = np.array(sorted(found), np.int64)
        return cls(times, np.array([found[item] for item in times.tolist()], np.int64))

    def __len__(self) -> int:
        """Return the number of names."""
        return int(self.names.sum())

    @property
    def total(self) -> int:
        """Occurrences in all."""
        return int(self.times @ self.names)


def zipf_exponent(counts: Counts) -> float:
    """Return the exponent s of P(rank i) ~ i^-s that makes ``counts`` likeliest, 0 = uniform.

    Solves sum(counts log rank) / n = sum(i^-s log i) / sum(i^-s) by bisection; ranks are those of
    the counts themselves, which makes s a little too large when counts are small. Time in
    proportion to the number of names, memory for `RANKS` of them.
    """
    k = len(counts)
    if k < 2:
        return 0.0
    # names that occur as often as each other have ranks in a row; lgamma(r) sums the logs below r
    ends = np.cumsum(counts.names[::-1]).tolist()
    logs = np.diff([0.0, *(math.lgamma(end + 1) for end in ends)])
    seen = float(counts.times[::-1] @ logs) / counts.total
    low, high = 0.0, 20.0
    for _ in range(60):
        s = 0.5 * (low + high)
        if _mean_log(s, k) > seen:
            low = s
        else:
            high = s
    return round(0.5 * (low + high), 3)


def _mean_log(s: float, k: int) -> float:
    """Return the mean of log(rank) of k ranks with weights rank^-s."""
    weighted = weights = 0.0
    for first in range(1, k + 1, RANKS):
        logs = np.log(np.arange(first, min(first + RANKS, k + 1), dtype=np.float64))
        weight = np.exp(-s * logs)
        weighted += float(weight @ logs)
        weights += float(weight.sum())
    return weighted / weights


def is_uniform(counts: Counts) -> bool:
    """Tell whether ``counts`` are compatible with equal chances, by chi-square within Z.

    Uses the cube-root approximation of Wilson and Hilferty (1931), good from few degrees on.
    """
    n, k = float(counts.total), len(counts)
    if k < 2 or n / k < 1.0:
        return True
    chi2 = float((counts.times - n / k) ** 2 @ counts.names) * k / n
    df = k - 1
    z = ((chi2 / df) ** (1 / 3) - (1 - 2 / (9 * df))) / math.sqrt(2 / (9 * df))
    return bool(z <= Z)


def representatives(times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (values, shares): ``times`` themselves when few, else the means of their slices.

    See `representatives_of`.
    """
    return representatives_of([np.sort(times)], len(times))


def representatives_of(parts: Iterable[np.ndarray], n: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (values, shares) that stand for ``n`` ascending times that come in ``parts``.

    The slices of the ordered times are finer towards the long ones. Means keep the mean; the
    spread inside a slice is lost. Values are ascending and distinct, in whole microseconds.
    """
    levels = (np.array(LEVELS) * n).round().astype(int)
    cuts = np.unique(levels) if n > FEW else np.arange(n + 1)
    sums, before = np.zeros(len(cuts) - 1), 0
    for ordered in parts:
        here = np.clip(cuts - before, 0, len(ordered))
        some = np.nonzero(np.diff(here))[0]
        sums[some] += np.add.reduceat(ordered, here[some])
        before += len(ordered)
    sizes = np.diff(cuts)
    values, which = np.unique((sums / sizes).round(6), return_inverse=True)
    return values, np.bincount(which, weights=sizes) / n
