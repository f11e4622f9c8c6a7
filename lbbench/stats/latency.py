"""What a histogram of latencies says: mean and percentiles in seconds, shares under a threshold.

Histograms are merged by adding their counts, and a percentile is read from the merged counts: the
highest value that the bucket holding rank ceil(p n) stands for. Percentiles are never averaged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, Protocol

import numpy as np

from lbbench.core.histogram import (
    fine_highest_equivalent,
    fine_index,
    quantiles_ns,
    row_quantiles_ns,
)

SECOND = 1e9  # nanoseconds

QUANTILES: Mapping[str, float] = MappingProxyType(
    {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99, "p999": 0.999, "p9999": 0.9999}
)
"""The reported percentiles: name in a result, level."""

_LEVELS = (*QUANTILES.values(), 1.0)  # and the maximum

_BEYOND = MappingProxyType(
    {"p50": 2, "p90": 10, "p95": 20, "p99": 100, "p999": 1_000, "p9999": 10_000}
)
"""One request in so many lies above the percentile: 1 / (1 - p) as a whole number."""

ENOUGH_ABOVE = 10
"""A percentile needs so many requests above it; p999 so needs 10 000 requests."""


class Counted(Protocol):
    """What is read of a replication's counts: of a `Tally`, or of the `Evidence` kept of it."""

    @property
    def offered(self) -> np.ndarray:
        """int64[S]."""

    @property
    def completed(self) -> np.ndarray:
        """int64[S]."""

    @property
    def failed(self) -> np.ndarray:
        """int64[S]."""

    @property
    def unfinished(self) -> np.ndarray:
        """int64[S]."""

    @property
    def latency_sum(self) -> np.ndarray:
        """int64[S] nanoseconds."""

    @property
    def segment_start(self) -> np.ndarray:
        """float64[S + 1] seconds."""

    @property
    def latency_counts(self) -> np.ndarray:
        """int64[S, H], or int64[G, H] for groups of segments."""


class Units(NamedTuple):
    """Latencies by piece of evidence, U of them."""

    counts: np.ndarray  # int64[U, K] fine histogram up to the last place in use; only to be read
    merged: np.ndarray  # int64[H] their sum
    below: np.ndarray  # int64[U, Q] latencies at or below each of QUANTILES of `merged`
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
    values = quantiles_ns(counts, _LEVELS, fine=fine).tolist() if counted else None
    if values is not None:
        values[-1] = max(values[-1], max_ns or 0)
    return _block(n, clamped, sum_ns, values)


def spectrum(counts: np.ndarray) -> list[list[float]]:
    """Return [share of the latencies, seconds that they do not exceed] along a percentile axis.

    Tenths up to 0.9, then 0.95, 0.98, 0.99, 0.995, ... as long as a latency lies beyond, and the
    highest bucket in use at 1. Empty where nothing was counted; ``counts`` int64[H] is fine.
    """
    n = int(counts.sum())
    if n == 0:
        return []
    beyond = [step * 10.0**-power for power in range(1, 9) for step in (0.5, 0.2, 0.1)]
    levels = [i / 10 for i in range(10)] + [round(1.0 - b, 9) for b in beyond if b * n >= 1.0]
    levels = list(dict.fromkeys([*levels, 1.0]))
    seconds = (quantiles_ns(counts, levels) / SECOND).tolist()
    return [list(pair) for pair in zip(levels, seconds, strict=True)]


def latency_blocks(
    counts: np.ndarray, sums_ns: Sequence[int], numbers: Sequence[int], *, fine: bool = True
) -> list[dict[str, Any]]:
    """Return `latency_block` of several histograms, rows of ``counts`` (no rows: none were kept).

    ``sums_ns`` and ``numbers`` are the sum and the number of the latencies of each.
    """
    found: list[Any] = [None] * len(numbers)
    if len(counts):
        found = row_quantiles_ns(counts, _LEVELS, fine=fine).tolist()
    return [
        _block(n, None, sum_ns, None if values is None or values[0] < 0 else values)
        for n, sum_ns, values in zip(numbers, sums_ns, found, strict=True)
    ]


def _block(
    n: int, clamped: int | None, sum_ns: int, values: Sequence[int] | None
) -> dict[str, Any]:
    block: dict[str, Any] = {"n": n, "clamped": clamped}
    block["mean"] = sum_ns / n / SECOND if n else None
    for at, name in enumerate((*QUANTILES, "max")):
        block[name] = None if values is None else values[at] / SECOND
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


def counts_from(tally: Counted, first: int) -> np.ndarray:
    """Return the histogram of the segments from ``first`` on, int64[H].

    Raises
    ------
    ValueError
        When the histograms of segments on both sides of ``first`` have been added up.
    """
    edges = getattr(tally, "edges", None)
    row = first
    if edges is not None:
        row = int(np.searchsorted(edges, first))
        if edges[row] != first:
            raise ValueError(f"the histograms cannot be cut at segment {first}, only at {edges}")
    counts: np.ndarray = tally.latency_counts[row:].sum(axis=0)
    return counts


def is_whole(tally: Counted) -> bool:
    """Tell whether every segment has a histogram of its own, as batches need it."""
    return len(tally.latency_counts) == len(tally.offered)


def segment_means(tallies: Sequence[Counted]) -> np.ndarray:
    """Return the mean latency by segment over the replications, float64[S] ns; NaN: empty."""
    n = np.sum([t.completed + t.unfinished for t in tallies], axis=0)
    sums = np.sum([t.latency_sum.astype(np.float64) for t in tallies], axis=0)
    means: np.ndarray = np.divide(sums, n, out=np.full(len(n), np.nan), where=n > 0)
    return means


def replications(tallies: Sequence[Counted], first: int) -> Units:
    """Return one unit per replication, of the segments from ``first`` on."""
    counts = np.stack([counts_from(t, first) for t in tallies])
    merged = counts.sum(axis=0)
    good = np.array([t.completed[first:].sum() for t in tallies])
    return Units(
        counts=counts,
        merged=merged,
        below=_below(counts, merged),
        n=good + np.array([t.unfinished[first:].sum() for t in tallies]),
        sum_ns=np.array([t.latency_sum[first:].astype(np.float64).sum() for t in tallies]),
        good=good,
        bad=np.array([t.failed[first:].sum() for t in tallies]),
        offered=np.array([t.offered[first:].sum() for t in tallies]),
        source="replications",
    )


def batches(tally: Counted, first: int, size: int = 1) -> Units:
    """Return batches of ``size`` segments (the first one takes the rest), from ``first`` on."""
    edges = batch_edges(len(tally.offered), first, size)

    def added(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, edges, axis=0)

    merged = tally.latency_counts[first:].sum(axis=0)
    used = np.flatnonzero(merged)
    kept = tally.latency_counts[first:, : int(used[-1]) + 1 if len(used) else 0]
    counts = kept if size == 1 else _joined(kept, len(edges), size)
    return Units(
        counts=counts,
        merged=merged,
        below=_below(counts, merged),
        n=added(tally.completed + tally.unfinished),
        sum_ns=added(tally.latency_sum.astype(np.float64)),
        good=added(tally.completed),
        bad=added(tally.failed),
        offered=added(tally.offered),
        source="batches",
    )


def _joined(rows: np.ndarray, n: int, size: int) -> np.ndarray:
    """Return the sums of ``n`` batches of ``size`` rows; the first takes the rest."""
    rest = len(rows) - size * (n - 1)
    joined = np.empty((n, rows.shape[1]), rows.dtype)
    rows[:rest].sum(axis=0, out=joined[0])
    rows[rest:].reshape(n - 1, size, rows.shape[1]).sum(axis=1, out=joined[1:])
    return joined


def batch_edges(segments: int, first: int, size: int) -> np.ndarray:
    """Return the first segment of each batch of ``size``, int64[U]; the first takes the rest."""
    kept = segments - first
    edges = segments - size * np.arange(max(kept // size, 1), 0, -1, dtype=np.int64)
    edges[0] = first
    return edges


def _below(counts: np.ndarray, merged: np.ndarray) -> np.ndarray:
    """Return how many of each row of ``counts`` are at or below each percentile of ``merged``."""
    below = np.zeros((len(counts), len(QUANTILES)), np.int64)
    if not merged.any():
        return below
    sums, start = np.zeros(len(counts), np.int64), 0
    for i, ns in enumerate(quantiles_ns(merged, QUANTILES.values()).tolist()):
        end = fine_index(ns) + 1
        sums += counts[:, start:end].sum(axis=1)
        below[:, i], start = sums, end
    return below
