"""How sure a figure of a run is: warm-up, intervals, precision, drift.

The pieces of evidence ("units") are replications, or, in a single run, batches of consecutive
segments. A mean is the ratio of the summed latency to the summed number over units; a percentile is
read from the merged histogram. Both get their spread from the same place: how much each unit pulls
the figure away ("influence"). For a percentile that is the share of the unit's requests at or below
it, so tails are pooled and never averaged [1]_.

Measured on M/M/1 at load 0.8 with 48 segments, 95 % intervals cover 94-98 % for the mean, p50 and
p90 from 20 000 requests on, and 93-97 % for p99 from 70 000 on; averages of batch percentiles cover
p99 in 86 % at 150 000. Where fewer than five decorrelated requests lie above a percentile, coverage
falls (p99 at 30 000 requests: 84 %), so no interval is given there.

References
----------
.. [1] P. Heidelberger and P. A. W. Lewis, "Quantile estimation in dependent sequences", Operations
   Research 32(1), 1984.
.. [2] K. P. White, "An effective truncation heuristic for bias reduction in simulation output",
   Simulation 69(6), 1997 (MSER).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from lbbench.core.histogram import fine_highest_equivalent, quantile_ns, quantiles_ns
from lbbench.model.tally import SEGMENTS, RunShape
from lbbench.stats.batching import (
    CORRELATED,
    FEWEST_BATCHES,
    batch_size,
    error_of,
    lag1,
    mean_error,
    pull_on,
    widening,
)
from lbbench.stats.latency import (
    QUANTILES,
    SECOND,
    Counted,
    Units,
    at_or_below,
    batches,
    counts_from,
    is_whole,
    replications,
    segment_means,
)

LEVEL = 0.95
MOST_DROPPED = 16  # segments that MSER may drop: a quarter of the run
SURE_ABOVE = 5  # decorrelated requests that an interval needs above its percentile
DRIFT_CHANCE = 1e-3  # a settled run is called drifting once in a thousand
DRIFT_LEAST = 0.01  # a drift of the mean below 1 % changes no decision


Interval = tuple[float, float]


def mser(means: np.ndarray, most: int = MOST_DROPPED) -> int:
    """Return how many leading values to drop, 0 .. ``most``, so that the rest is settled.

    The minimum of sum (x - mean)^2 / k^2 over the k values left [2]_; the first of equal ones. NaN
    marks an empty segment; with fewer than 20 filled ones after the longest cut nothing is dropped.
    """
    if int(np.isfinite(means[most:]).sum()) < FEWEST_BATCHES:
        return 0
    best, best_cost = 0, math.inf
    for cut in range(most + 1):
        rest = means[cut:]
        rest = rest[np.isfinite(rest)]
        cost = float(((rest - rest.mean()) ** 2).sum()) / len(rest) ** 2
        if cost < best_cost * (1.0 - 1e-12):  # rounding does not move the cut of a flat series
            best, best_cost = cut, cost
    return best


def settle(tallies: Sequence[Counted]) -> int:
    """Return the warm-up in segments that MSER finds in all replications taken together."""
    return mser(segment_means(tallies))


def warmup_of(tallies: Sequence[Counted], shape: RunShape) -> int:
    """Return how many segments are warm-up: as given, rounded up to a segment, or by `settle`.

    At least the last segment is kept.
    """
    if shape.warmup_s < 0.0:
        return settle(tallies)
    return given_warmup([tally.segment_start for tally in tallies], shape.warmup_s)


def given_warmup(starts: Sequence[np.ndarray], warmup_s: float) -> int:
    """Return how many segments a given warm-up takes, rounded up in every replication.

    ``starts`` are the float64[S + 1] starts of the segments. At least the last one is kept.
    """
    first = max(int(np.searchsorted(start[:-1], warmup_s)) for start in starts)
    return min(first, SEGMENTS - 1)


def units_of(tallies: Sequence[Counted], first: int) -> Units:
    """Return the evidence of a run: its replications if it has two, else batches of its segments.

    Batches start as single segments and grow to two and three while their means stay correlated
    and at least 20 of them remain.
    """
    return _units(tallies, first, [] if len(tallies) > 1 else [batch_size(tallies[0], first)])


def _units(tallies: Sequence[Counted], first: int, sizes: Sequence[int]) -> Units:
    if len(tallies) > 1 or not is_whole(tallies[0]):
        return replications(tallies, first)  # a single one of them carries no interval
    return batches(tallies[0], first, sizes[0])


def is_correlated(units: Units) -> bool:
    """Tell whether batch means still lean on each other (a false alarm once in twenty)."""
    if units.source == "replications" or len(units.sum_ns) < FEWEST_BATCHES:
        return False
    pull = influence(units, "mean")
    return pull is not None and lag1(pull) > max(CORRELATED, 1.645 / math.sqrt(len(pull)))


def influence(units: Units, name: str) -> np.ndarray | None:
    """Return how far each unit pulls a figure, float64[U]: figure - truth is about their mean.

    ``name`` is ``mean``, a percentile (seconds both), ``error_rate``, or ``attainment`` with its
    threshold in seconds, ``attainment:0.25``. None where nothing was counted.
    """
    if name == "mean":
        return pull_on(units.sum_ns / SECOND, units.n)
    if name == "error_rate":
        return pull_on(units.bad, units.offered)
    if name.startswith("attainment"):
        return pull_on(_within(units, name), units.offered)
    p = QUANTILES[name]
    below = pull_on(_below(units, name), units.n)
    half = None if below is None else half_width(units, below)
    if below is None or half is None:
        return None
    if half == 0.0:
        return np.zeros(len(below))
    low, high = max(p - half, 0.0), min(p + half, 1.0)
    at_low, at_high = quantiles_ns(units.merged, [low, high]).tolist()
    return -below * ((at_high - at_low) / SECOND / (high - low))


def estimate(units: Units, name: str) -> float | None:
    """Return the figure ``name`` (see `influence`) of all units together."""
    n = int(units.n.sum())
    offered = int(units.offered.sum())
    if name == "error_rate":
        return int(units.bad.sum()) / offered if offered else None
    if name.startswith("attainment"):
        return int(_within(units, name).sum()) / offered if offered else None
    if n == 0:
        return None
    if name == "mean":
        return float(units.sum_ns.sum()) / n / SECOND
    return quantile_ns(units.merged, QUANTILES[name]) / SECOND


def interval(units: Units, name: str, level: float = LEVEL) -> Interval | None:
    """Return the interval of the figure ``name`` that holds the truth with probability ``level``.

    None when the units cannot give one.

    Percentiles: the merged histogram read at p - h and p + h, where h is the half width for the
    share of requests at or below the percentile. No upper end exists when p + h reaches 1.
    """
    if name not in QUANTILES:
        pull, at = influence(units, name), estimate(units, name)
        half = None if pull is None else half_width(units, pull, level)
        return None if half is None or at is None else (at - half, at + half)
    p = QUANTILES[name]
    below = pull_on(_below(units, name), units.n)
    half = None if below is None else half_width(units, below, level)
    if half is None or p + half >= 1.0:
        return None
    low, high = quantiles_ns(units.merged, [max(p - half, 0.0), p + half]).tolist()
    return low / SECOND, high / SECOND


def intervals(tallies: Sequence[Counted], first: int) -> tuple[Units, dict[str, Interval | None]]:
    """Return the evidence and the 95 % intervals of the mean and of every percentile."""
    units, _, found = all_intervals(tallies, first)
    return units, found


def all_intervals(
    tallies: Sequence[Counted], first: int
) -> tuple[Units, float, dict[str, Interval | None]]:
    """Return `units_of`, `decorrelated` and the `intervals`, each looked for once."""
    sizes = [batch_size(tally, first) for tally in tallies]
    units = _units(tallies, first, sizes)
    sure = _decorrelated(tallies, first, sizes, units.merged)
    names = ("mean", *QUANTILES)
    found = {name: interval(units, name) if is_enough(sure, name) else None for name in names}
    return units, sure, found


def is_enough(sure: float, name: str) -> bool:
    """Tell whether ``sure`` decorrelated requests carry an interval: five above a percentile.

    With fewer, the spread of a percentile rests on luck: a run that missed the long queues cannot
    know it.
    """
    return name not in QUANTILES or sure * (1.0 - QUANTILES[name]) >= SURE_ABOVE * (1.0 - 1e-9)


def decorrelated(tallies: Sequence[Counted], first: int) -> float:
    """Return how many independent latencies would make the mean as sure as this run does.

    The variance of one latency over the squared standard error of the mean, the latter from the
    batches inside every replication (more of them than replications, so steadier).
    """
    merged = np.sum([counts_from(t, first) for t in tallies], axis=0)
    return _decorrelated(tallies, first, [batch_size(tally, first) for tally in tallies], merged)


def _decorrelated(
    tallies: Sequence[Counted], first: int, sizes: Sequence[int], merged: np.ndarray
) -> float:
    """Return `decorrelated` by the sizes of each one's batches and the merged counts."""
    n = int(merged.sum())
    if n == 0:
        return 0.0
    used = np.flatnonzero(merged)
    value = fine_highest_equivalent(used).astype(np.float64)
    share = merged[used] / n
    variance = float((share * (value - (share * value).sum()) ** 2).sum()) / SECOND**2
    squares = []
    for tally, size in zip(tallies, sizes, strict=True):
        error = mean_error(tally, first, size)
        if error is None:
            return 0.0
        squares.append(error * error)
    square = sum(squares) / len(squares) / len(squares)
    return float(n) if square <= variance / n else variance / square


def is_precise(tallies: Sequence[Counted], first: int, metric: str, relative: float) -> bool:
    """Tell whether half the interval of ``metric`` is within the ``relative`` share of its value.

    ``metric`` is named as in objectives: ``latency.p99``, ``error_rate``.
    """
    name = metric.removeprefix("latency.")
    if not is_enough(decorrelated(tallies, first), name):
        return False
    units = units_of(tallies, first)
    found, value = interval(units, name), estimate(units, name)
    if found is None or value is None:
        return False
    return (found[1] - found[0]) / 2.0 <= relative * value


def drift(tallies: Sequence[Counted], first: int) -> float | None:
    """Return by how much the mean latency drifts over the kept segments, relative to it, or None.

    A line through the segment means; None while its slope can be chance (one false alarm in a
    thousand, the correlation left around the line counted in) or moves the mean by less than 1 %.
    """
    means = segment_means(tallies)[first:]
    at = np.flatnonzero(np.isfinite(means))
    if len(at) < FEWEST_BATCHES:
        return None
    y = means[at]
    x = at - at.mean()
    slope = float((x * y).sum() / (x * x).sum())
    rest = y - y.mean() - slope * x
    error = widening(rest) * math.sqrt(float((rest * rest).sum() / (len(y) - 2) / (x * x).sum()))
    change = slope * (len(means) - 1) / float(y.mean()) if y.mean() > 0.0 else 0.0
    if abs(change) < DRIFT_LEAST or two_sided(slope, error, len(y) - 2) > DRIFT_CHANCE:
        return None
    return change


def student(df: int, level: float = LEVEL) -> float:
    """Return the two-sided quantile of Student's t law."""
    from scipy.special import stdtrit

    return float(stdtrit(df, 0.5 + level / 2.0))


def two_sided(value: float, error: float, df: int) -> float:
    """Return the chance of a value as far from zero, given its standard error."""
    from scipy.special import stdtr

    if error == 0.0:
        return 1.0 if value == 0.0 else 0.0
    return 2.0 * float(stdtr(df, -abs(value) / error))


def _below(units: Units, name: str) -> np.ndarray:
    """Return the latencies of each unit at or below the merged percentile, int64[U]."""
    below: np.ndarray = units.below[:, list(QUANTILES).index(name)]
    return below


def _within(units: Units, name: str) -> np.ndarray:
    """Return the answered requests of each unit under the threshold of ``attainment:SECONDS``."""
    _, _, seconds = name.partition(":")
    if not seconds:
        return units.good
    below = np.array([at_or_below(row, float(seconds)) for row in units.counts])
    answered: np.ndarray = np.minimum(below, units.good)  # unfinished requests are no answers
    return answered


def standard_error(units: Units, pull: np.ndarray) -> float | None:
    """Return the standard error of the mean pull; None with too few units to tell."""
    filled = int((units.offered > 0).sum())
    if filled < (2 if units.source == "replications" else FEWEST_BATCHES):
        return None
    return error_of(pull) if units.source == "replications" else error_of(pull) * widening(pull)


def half_width(units: Units, pull: np.ndarray, level: float = LEVEL) -> float | None:
    """Return half the interval of the mean pull at ``level``; None with too few units to tell."""
    error = standard_error(units, pull)
    return None if error is None else student(len(pull) - 1, level) * error
