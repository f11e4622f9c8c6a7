"""What a histogram of latencies says: mean and percentiles in seconds, shares under a threshold.

Histograms are merged by adding their counts, and a percentile is read from the merged counts: the
highest value that the bucket holding rank ceil(p n) stands for. Percentiles are never averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

import numpy as np

from lbbench.core.histogram import fine_highest_equivalent, fine_index, quantiles_ns
from lbbench.model.tally import Tally

SECOND = 1e9  # nanoseconds

QUANTILES: Mapping[str, float] = MappingProxyType(
    {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}
)
"""The reported percentiles: name in a result, level."""

_BEYOND = MappingProxyType(
    {"p50": 2, "p90": 10, "p95": 20, "p99": 100, "p999": 1_000, "p9999": 10_000}
)
"""One request in so many lies above the percentile: 1 / (1 - p) as a whole number."""

ENOUGH_ABOVE = 10
"""A percentile needs so many requests above it; p999 so needs 10 000 requests."""


class Units(NamedTuple):
    """Latencies by piece of evidence, U of them."""

    counts: np.ndarray  # int64[U, H] fine histogram; [U, 0] where only means are wanted
    merged: np.ndarray  # int64[H] their sum
    n: np.ndarray  # int64[U] latencies counted: completed and unfinished
    sum_ns: np.ndarray  # float64[U]
    good: np.ndarray  # int64[U] completed
    bad: np.ndarray  # int64[U] failed
    offered: np.ndarray  # int64[U]
    source: Literal["replications", "batches"]


def total(values: np.ndarray) -> int:
    """Return the sum of int64 values without overflow: 10^9 requests of 10 s pass 2^63 ns."""
    return sum(values.ravel().tolist())


def latency_block(
    counts: np.ndarray,
    sum_ns: int,
    *,
    fine: bool = True,
    n: int | None = None,
    clamped: int | None = None,
    max_ns: int | None = None,
) -> dict[str, Any]:
    """Return n, clamped, mean, percentiles and maximum (seconds); None where nothing was counted.

    A percentile is reported however few requests there are, as the rank ceil(p n) always exists:
    with n < 1 / (1 - p) it is the maximum. `few_for` names those that rest on too little.

    Parameters
    ----------
    counts : int64[H] or int64[C]
        Counts of the fine or the coarse histogram.
    sum_ns
        Sum of the latencies in nanoseconds.
    n
        Number of latencies in ``sum_ns``; the sum of the counts when not given.
    clamped
        Number of latencies outside the histogram's range; None: not counted.
    max_ns
        Largest latency where it is known exactly. The reported maximum is the highest value of its
        bucket, so that no percentile exceeds it, and the exact one beyond the histogram's range.
    """
    counted = int(counts.sum())
    n = counted if n is None else n
    block: dict[str, Any] = {"n": n, "clamped": clamped}
    block["mean"] = sum_ns / n / SECOND if n else None
    if counted:
        levels = [*QUANTILES.values(), 1.0]
        values = [int(ns) for ns in quantiles_ns(counts, levels, fine=fine)]
        values[-1] = max(values[-1], max_ns or 0)
    for at, name in enumerate((*QUANTILES, "max")):
        block[name] = values[at] / SECOND if counted else None
    return block


def samples_needed(name: str) -> int:
    """Return how many requests the percentile ``name`` needs: 10 above it."""
    return ENOUGH_ABOVE * _BEYOND[name]


def few_for(n: int) -> list[str]:
    """Return the percentiles for which ``n`` requests are too few, the lowest first."""
    return [name for name in QUANTILES if n < samples_needed(name)]


def at_or_below(counts: np.ndarray, threshold_s: float) -> int:
    """Return how many latencies of the fine ``counts`` are certainly within ``threshold_s``.

    A bucket counts when its highest value does, so that the share is at least p exactly when the
    reported percentile of level p is within the threshold.
    """
    ns = int(np.rint(threshold_s * SECOND))
    bucket = fine_index(ns)
    if int(fine_highest_equivalent(bucket)) > ns:
        bucket -= 1
    return int(counts[: bucket + 1].sum())


def segment_means(tallies: Sequence[Tally]) -> np.ndarray:
    """Return the mean latency by segment over the replications, float64[S] ns; NaN: empty."""
    n = np.sum([t.completed + t.unfinished for t in tallies], axis=0)
    sums = np.sum([t.latency_sum.astype(np.float64) for t in tallies], axis=0)
    means: np.ndarray = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    return means


def replications(tallies: Sequence[Tally], first: int) -> Units:
    """Return one unit per replication, of the segments from ``first`` on."""
    counts = np.stack([t.latency_counts[first:].sum(axis=0) for t in tallies])
    good = np.array([t.completed[first:].sum() for t in tallies])
    return Units(
        counts=counts,
        merged=counts.sum(axis=0),
        n=good + np.array([t.unfinished[first:].sum() for t in tallies]),
        sum_ns=np.array([t.latency_sum[first:].astype(np.float64).sum() for t in tallies]),
        good=good,
        bad=np.array([t.failed[first:].sum() for t in tallies]),
        offered=np.array([t.offered[first:].sum() for t in tallies]),
        source="replications",
    )


def batches(tally: Tally, first: int, size: int = 1, *, means_only: bool = False) -> Units:
    """Return batches of ``size`` segments (the first one takes the rest), from ``first`` on."""
    kept = len(tally.offered) - first
    n = max(kept // size, 1)
    edges = first + np.r_[0, kept - size * np.arange(n - 1, 0, -1)].astype(np.int64)

    def added(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, edges, axis=0)

    counts = added(tally.latency_counts[:, :0] if means_only else tally.latency_counts)
    return Units(
        counts=counts,
        merged=counts.sum(axis=0),
        n=added(tally.completed + tally.unfinished),
        sum_ns=added(tally.latency_sum.astype(np.float64)),
        good=added(tally.completed),
        bad=added(tally.failed),
        offered=added(tally.offered),
        source="batches",
    )
