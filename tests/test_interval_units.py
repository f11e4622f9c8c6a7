"""What intervals are made of: batches, replications as units, and whether units are correlated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_latency import tally_of

from lbbench.core.histogram import fine_index, quantile_ns
from lbbench.model.tally import SEGMENTS
from lbbench.stats.intervals import (
    all_intervals,
    decorrelated,
    interval,
    intervals,
    is_correlated,
    is_enough,
    units_of,
)
from lbbench.stats.latency import QUANTILES, batches, replications


@given(st.integers(0, 60), st.integers(1, 3))
def test_batches_share_out_every_kept_segment(first, size):
    """Whatever the cut and the size, batches add up to the kept segments, and no one is lost."""
    tally = tally_of(np.arange(1.0, 641.0) / 640.0)
    units = batches(tally, first, size)
    assert len(units.good) == max((SEGMENTS - first) // size, 1)
    assert units.counts.sum() == tally.latency_counts[first:].sum()
    assert units.sum_ns.sum() == tally.latency_sum[first:].sum()
    assert units.offered.sum() == tally.offered[first:].sum()


@given(st.integers(0, 60), st.integers(1, 5))
def test_units_know_what_lies_below_each_percentile(first, size):
    """Counts by unit up to the bucket of a percentile are those of its segments, taken one by one.

    Of batches of any size, and of replications.
    """
    latency = np.random.default_rng(21).exponential(0.1, 6_400)
    a, b = tally_of(latency), tally_of(3.0 * latency)
    joined, apart = batches(a, first, size), replications([a, b], first)
    ends = np.cumsum(joined.offered // 100)
    segments = a.latency_counts[first:]
    rows = [part.sum(axis=0) for part in np.split(segments, ends[:-1])]
    both = [y.latency_counts[first:].sum(axis=0) for y in (a, b)]
    for units, counts in ((joined, rows), (apart, both)):
        assert np.array_equal(units.merged, np.sum(counts, axis=0))
        for at, p in enumerate(QUANTILES.values()):
            place = fine_index(quantile_ns(units.merged, p))
            assert units.below[:, at].tolist() == [row[: place + 1].sum() for row in counts]
        kept = units.counts.shape[1]
        assert np.array_equal(units.counts, np.array(counts)[:, :kept])


@pytest.mark.parametrize("copies", [1, 3])
def test_evidence_is_what_its_parts_are(copies):
    """Looking for everything at once gives the units, the latencies that count, the intervals."""
    rng = np.random.default_rng(22)
    tallies = [tally_of(rng.exponential(0.1, 6_400)) for _ in range(copies)]
    units, sure, found = all_intervals(tallies, 5)
    assert sure == decorrelated(tallies, 5)
    assert np.array_equal(units.sum_ns, units_of(tallies, 5).sum_ns)
    wanted = {n: interval(units, n) if is_enough(sure, n) else None for n in ("mean", *QUANTILES)}
    assert found == intervals(tallies, 5)[1] == wanted


def test_correlation_that_batches_cannot_shed_is_noticed():
    """A slow wave over the run keeps even the largest batches correlated; noise does not."""
    rng = np.random.default_rng(20)
    noise = rng.exponential(1.0, 64_000)
    wave = 1.0 + 0.8 * np.sin(np.arange(64_000) / 64_000 * 4.0 * math.pi)
    assert is_correlated(units_of([tally_of(noise * wave)], 0))
    alarms = [
        is_correlated(units_of([tally_of(rng.exponential(1.0, 6_400))], 0)) for _ in range(40)
    ]
    assert sum(alarms) <= 8  # at most one in twenty is promised; 9 of 40 by chance once in 10^4
