"""Latency: percentiles, means and shares under a threshold, from counts."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core.histogram import COARSE, FINE, coarse_index, fine_index, quantile_ns, to_hdr
from lbbench.model.tally import AFFINITY, ERRORS, SEGMENTS, STAGES, TOTALS, Tally
from lbbench.stats.latency import (
    QUANTILES,
    at_or_below,
    few_for,
    latency_block,
    latency_blocks,
    samples_needed,
    spectrum,
    total,
)

NANOSECONDS = st.lists(st.integers(0, 3_600_000_000_000), min_size=1, max_size=200)


def _counts(values, size=FINE, index=fine_index):
    counts = np.zeros(size, np.int64)
    for ns in values:
        counts[index(ns)] += 1
    return counts


def fine_places(ns):
    """Return the fine places of an int64 array: `fine_index` for whole arrays."""
    units = ns >> 9
    shift = np.maximum(np.frexp(units.astype(np.float64))[1] - 11, 0)
    return (shift << 10) + (units >> shift)


def tally_of(latency, *, failed=None, pods=1):
    """Return a tally of requests in order of arrival: latencies in seconds, failed ones marked."""
    n = len(latency)
    ns = np.rint(np.asarray(latency) * 1e9).astype(np.int64)
    failed = np.zeros(n, bool) if failed is None else failed
    segment = np.arange(n) * SEGMENTS // n
    good = ~failed

    def zeros(*shape):
        return np.zeros(shape, np.int64)

    def by_segment(rows, weights=None):
        return np.bincount(segment[rows], weights, SEGMENTS)

    place = segment[good] * FINE + fine_places(ns[good])
    sums = zeros(SEGMENTS)
    np.add.at(sums, segment[good], ns[good])
    largest = zeros(SEGMENTS)
    np.maximum.at(largest, segment[good], ns[good])
    blank = {
        "totals": zeros(len(TOTALS)),
        "segment_start": np.zeros(SEGMENTS + 1),
        "clamped": zeros(SEGMENTS),
        "unfinished": zeros(SEGMENTS),
        "failed_counts": zeros(SEGMENTS, COARSE),
        "failed_sum": zeros(SEGMENTS),
        "part_sum": zeros(len(STAGES), SEGMENTS),
        "part_counts": zeros(len(STAGES), COARSE),
        "pod_latency_counts": zeros(pods, COARSE),
        "pod_busy": np.zeros((SEGMENTS + 1, pods)),
        "pod_flight": np.zeros((SEGMENTS + 1, pods)),
        "pod_flight_max": zeros(pods),
        "window_offered": zeros(1),
        "window_failed": zeros(1),
        "window_counts": zeros(1, COARSE),
        "window_pods": zeros(1, pods),
        "affinity": zeros(len(AFFINITY)),
        "snat_peak": zeros(1),
        "pod_dead": zeros(pods),
        "pod_dead_first": np.full(pods, np.inf),
        "pod_dead_last": np.full(pods, -np.inf),
        "flow_area": np.zeros(4),
        "flow_spent": zeros(4),
        "pod_stalls": zeros(pods),
        "pod_stalled": zeros(pods),
        "pod_stall_max": zeros(pods),
        "node_flow": zeros(0, 0),
        "pod_flow": zeros(0, 0),
    }
    for name in Tally._fields:
        if name.startswith(("node_", "replica_", "worker_", "pod_")) and name not in blank:
            blank[name] = zeros(SEGMENTS, pods)
    errors = zeros(len(ERRORS))
    errors[0] = failed.sum()
    return Tally(
        offered=by_segment(np.ones(n, bool)),
        completed=by_segment(good),
        failed=by_segment(failed),
        errors=errors,
        latency_counts=np.bincount(place, minlength=SEGMENTS * FINE).reshape(SEGMENTS, FINE),
        latency_sum=sums,
        latency_max=largest,
        **blank,
    )


@given(NANOSECONDS)
def test_a_spectrum_rises_to_the_maximum_and_agrees_with_the_percentiles(values):
    """It begins at 0 and ends at 1, goes up on both axes, and holds every percentile it names."""
    counts = _counts(values)
    levels, seconds = zip(*spectrum(counts), strict=True)
    assert (levels[0], levels[-1]) == (0.0, 1.0)
    assert list(levels) == sorted(set(levels))
    assert list(seconds) == sorted(seconds)
    for p in (0.5, 0.9, 0.99):
        if p in levels:
            assert seconds[levels.index(p)] == quantile_ns(counts, p) / 1e9
    beyond = [1.0 - level for level in levels if 0.9 < level < 1.0]
    assert all(round(b * len(values), 6) >= 1.0 for b in beyond)  # none rests on no latency


@given(NANOSECONDS)
def test_percentiles_bracket_the_ordered_values(values):
    """Each percentile is at least the value of rank ceil(p n) and at most 0.1 % (512 ns) above."""
    block = latency_block(_counts(values), sum(values), max_ns=max(values))
    ordered = sorted(values)
    for name, p in QUANTILES.items():
        exact = ordered[math.ceil(round(p * len(values), 9)) - 1]
        assert exact <= block[name] * 1e9 + 0.5
        assert block[name] * 1e9 <= exact * 1.001 + 512
    assert block["mean"] == pytest.approx(sum(values) / len(values) / 1e9)
    assert block["n"] == len(values)


@given(NANOSECONDS)
def test_percentiles_are_ordered_up_to_the_maximum(values):
    """p50 <= p90 <= ... <= max, in both layouts."""
    for counts, fine in (
        (_counts(values), True),
        (_counts(values, COARSE, coarse_index), False),
    ):
        block = latency_block(counts, sum(values), fine=fine, max_ns=max(values))
        row = [block[name] for name in (*QUANTILES, "max")]
        assert row == sorted(row)
        assert row[-1] * 1e9 >= max(values) - 0.5


@given(NANOSECONDS, NANOSECONDS)
def test_merged_percentiles_are_those_of_all_values(first, second):
    """Adding counts gives the percentiles of the pooled values, whatever the parts' were."""
    merged = latency_block(_counts(first) + _counts(second), sum(first) + sum(second))
    assert merged == latency_block(_counts(first + second), sum(first + second))


def test_percentiles_equal_the_hdr_librarys():
    """The same counts in the hdrhistogram library give the same values."""
    values = np.random.default_rng(1).lognormal(17.0, 1.5, 5_000).astype(np.int64)
    counts = _counts(values.tolist())
    block = latency_block(counts, int(values.sum()))
    library = to_hdr(counts)
    for name, p in QUANTILES.items():
        assert round(block[name] * 1e9) == library.get_value_at_percentile(100.0 * p), name


@given(NANOSECONDS, st.floats(1e-7, 4_000.0), st.sampled_from(sorted(QUANTILES)))
def test_attainment_and_percentile_tell_the_same(values, threshold, name):
    """The share within a threshold reaches p exactly when the percentile p is within it."""
    counts = _counts(values)
    met = latency_block(counts, sum(values))[name] <= round(threshold * 1e9) / 1e9
    share = at_or_below(counts, threshold) / len(values)
    assert met == (share >= QUANTILES[name] - 1e-12)


def test_nothing_counted_gives_none_and_never_nan():
    """An empty histogram has no mean, no percentile, no maximum."""
    block = latency_block(np.zeros(FINE, np.int64), 0, clamped=0)
    assert block.pop("n") == 0
    assert block.pop("clamped") == 0
    assert set(block.values()) == {None}


@given(st.lists(NANOSECONDS, max_size=4))
def test_blocks_of_rows_are_those_of_each(samples):
    """Several histograms at once give the block of each, empty ones among them."""
    samples = [*samples, []]
    rows = np.array([_counts(values, COARSE, coarse_index) for values in samples])
    sums, numbers = [sum(values) for values in samples], [len(values) for values in samples]
    assert latency_blocks(rows, sums, numbers, fine=False) == [
        latency_block(row, sum_ns, fine=False) for row, sum_ns in zip(rows, sums, strict=True)
    ]
    without = latency_blocks(rows[:0], sums, numbers, fine=False)
    assert [block["p99"] for block in without] == [None] * len(samples)
    assert [block["n"] for block in without] == numbers


def test_values_beyond_the_range_keep_their_maximum():
    """A clamped value counts as 1 h in percentiles; the maximum is the true one."""
    two_hours = 7_200_000_000_000
    block = latency_block(_counts([two_hours]), two_hours, clamped=1, max_ns=two_hours)
    assert block["max"] == 7_200.0
    assert block["p50"] == pytest.approx(3_600.0, rel=1e-3)
    assert block["clamped"] == 1


def test_a_percentile_needs_ten_requests_above_it():
    """p999 takes 10 000 requests, p9999 100 000; below that it is named as thin."""
    assert samples_needed("p999") == 10_000
    assert few_for(10_000) == ["p9999"]
    assert few_for(9_999) == ["p999", "p9999"]
    assert few_for(100_000) == []


def test_sums_of_a_billion_long_latencies_do_not_overflow():
    """64 segments of 2 x 10^17 ns exceed int64; the sum is exact."""
    assert total(np.full(64, 2 * 10**17, np.int64)) == 128 * 10**17
