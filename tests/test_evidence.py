"""What is kept of a run: the same figures as from its counts, in a form that is small and open."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_latency import tally_of

from lbbench.core.histogram import fine_index
from lbbench.model.tally import SEGMENTS
from lbbench.stats.evidence import (
    Evidence,
    common_warmup,
    evidence_of,
    pack,
    unpack_numbers,
    with_histograms,
)
from lbbench.stats.intervals import decorrelated, estimate, interval, settle, units_of
from lbbench.stats.latency import counts_from, replications
from lbbench.stats.pairs import paired

FIGURES = ("mean", "p50", "p90", "p99", "error_rate")


class Shape:
    """The one field of a run's shape that evidence needs."""

    def __init__(self, warmup_s: float = -1.0) -> None:
        self.warmup_s = warmup_s


def run(seed: int, n: int = 6_400, drift: float = 0.0):
    """Return the tally of ``n`` exponential latencies, the first ones ``drift`` times longer."""
    rng = np.random.default_rng(seed)
    segment = np.arange(n) * SEGMENTS // n
    latency = rng.exponential(0.02, n) * np.where(segment < 6, 1.0 + drift, 1.0)
    return tally_of(latency)._replace(segment_start=np.arange(SEGMENTS + 1) * 1.5)


def unpack(numbers: bytes, histograms: str, first: int | None = None) -> Evidence:
    """Return what `pack` made."""
    return with_histograms(unpack_numbers(numbers), histograms, first)


def test_figures_from_evidence_are_those_from_the_counts():
    """Mean, percentiles and intervals are equal, bit for bit, at every warm-up up to 16."""
    tallies = [run(seed) for seed in range(4)]
    kept = [unpack(*pack(evidence_of(tally, Shape()))) for tally in tallies]
    for first in (0, 1, 7, 16):
        ours, theirs = units_of(kept, first), units_of(tallies, first)
        for name in FIGURES:
            assert estimate(ours, name) == estimate(theirs, name)
            assert interval(ours, name) == interval(theirs, name)
        assert decorrelated(kept, first) == decorrelated(tallies, first)
        short = [unpack(*pack(evidence_of(tally, Shape())), first) for tally in tallies]
        assert all(len(item.latency_counts) == 1 for item in short)
        assert [interval(units_of(short, first), name) for name in FIGURES] == [
            interval(theirs, name) for name in FIGURES
        ]
    assert settle(kept) == settle(tallies)


def test_a_single_run_keeps_every_segment():
    """``whole`` gives the batches of a single run: the intervals are those of its counts."""
    tally = run(1, n=64_000)
    kept = unpack(*pack(evidence_of(tally, Shape(), whole=True)))
    assert kept.edges.tolist() == list(range(SEGMENTS + 1))
    for name in FIGURES:
        assert interval(units_of([kept], 3), name) == interval(units_of([tally], 3), name)


def test_one_of_several_replications_carries_no_interval():
    """Where only one is left of many, its segments are added up: figures, but no interval."""
    tally = run(1, n=64_000)
    kept = evidence_of(tally, Shape())
    units = units_of([kept], 3)
    assert estimate(units, "p99") == estimate(units_of([tally], 3), "p99")
    assert all(interval(units, name) is None for name in FIGURES)
    found = paired([kept], [evidence_of(run(2, n=64_000), Shape())], "mean", first=3)
    assert found.difference is not None
    assert found.difference_ci95 is None
    whole = evidence_of(tally, Shape(), whole=True)
    assert interval(units_of([whole], 3), "mean") is not None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.0, 3.0), min_size=1, max_size=4), st.floats(0.0, 1.2))
def test_a_given_warm_up_is_never_shortened(stretches: list[float], share: float):
    """However differently replications come along, each is cut where the slowest one has it."""
    tallies = [
        run(seed, n=640)._replace(segment_start=np.arange(SEGMENTS + 1) * (1.0 + stretch))
        for seed, stretch in enumerate(stretches)
    ]
    warmup = share * SEGMENTS
    packed = [pack(evidence_of(tally, Shape(warmup))) for tally in tallies]
    first = common_warmup([[unpack_numbers(numbers) for numbers, _ in packed]])
    starts = [tally.segment_start[:-1] for tally in tallies]
    needs = [min(int(np.searchsorted(start, warmup)), SEGMENTS - 1) for start in starts]
    assert first == max(needs)
    for tally, both in zip(tallies, packed, strict=True):
        kept = unpack(*both, first)
        assert (kept.latency_counts[0] == tally.latency_counts[first:].sum(axis=0)).all()


def test_the_common_warm_up_is_the_largest():
    """Points that are compared use the warm-up of the one that needs most of it."""
    calm = [evidence_of(run(seed), Shape()) for seed in range(3)]
    wild = [evidence_of(run(seed, drift=9.0), Shape()) for seed in range(3, 6)]
    assert settle(wild) > settle(calm)
    assert common_warmup([calm, wild]) == settle(wild)
    assert common_warmup([calm, []]) == settle(calm)
    assert common_warmup([[], []]) == 0


def test_a_cut_between_added_segments_is_refused():
    """Histograms that were added up cannot be taken apart."""
    both = pack(evidence_of(run(0), Shape()))
    with pytest.raises(ValueError, match="cannot be cut at segment 20"):
        unpack(*both, 20)
    with pytest.raises(ValueError, match="cannot be cut at segment 20"):
        counts_from(unpack(*both), 20)


def test_the_histograms_are_those_of_the_hdr_tools():
    """Each text is the interchange encoding: the library's own class reads it."""
    from hdrh.histogram import HdrHistogram

    tally = run(2)
    groups = json.loads(pack(evidence_of(tally, Shape()))[1])
    first, last, text = groups[-1]
    assert (first, last) == (16, SEGMENTS)
    read = HdrHistogram.decode(text.encode())
    counts = tally.latency_counts[16:].sum(axis=0)
    assert read.get_total_count() == counts.sum()
    p99 = read.get_value_at_percentile(99.0)
    assert fine_index(p99) == int(np.searchsorted(np.cumsum(counts), np.ceil(0.99 * counts.sum())))


def test_a_run_without_answers_is_kept_too():
    """Empty histograms come back empty."""
    tally = tally_of(np.zeros(0))
    kept = unpack(*pack(evidence_of(tally, Shape())))
    assert kept.latency_counts.sum() == 0
    assert estimate(replications([kept], 0), "mean") is None
