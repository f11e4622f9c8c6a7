"""The intervals of studies cover what they promise: the law of M/M/1, many studies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from benchmarks import coverage

KEPT = Path(__file__).parent.parent / "results" / "studies" / "coverage.json"


def test_a_study_is_near_its_law():
    """Mean and p99 of one study lie within five half widths of the exact values.

    The half width is 2.26 standard errors (t, 9 degrees of freedom): five of them are passed once
    in millions.
    """
    for name, (value, low, high) in coverage.study(7).items():
        assert low < value < high
        assert abs(value - coverage.EXACT[name]) < 5.0 * (high - low) / 2.0


def test_the_exact_values_are_those_of_the_law():
    """M/M/1 responses are exponential: P(T > p99) = 1 %, and the mean is Little's law's."""
    assert coverage.EXACT["mean"] * 10.0 == pytest.approx(1.0)  # 1 / (50 - 40) s
    assert math.exp(-coverage.EXACT["p99"] / coverage.EXACT["mean"]) == pytest.approx(0.01)


def test_the_kept_coverage_is_within_its_promise():
    """The stored run of 1 000 studies: 93-97 % for the mean, 92-98 % for p99."""
    kept = json.loads(KEPT.read_text(encoding="utf-8"))
    assert kept["studies"] == 1_000
    assert (kept["replications"], kept["requests"], kept["warmup_requests"]) == (
        10,
        100_000,
        20_000,
    )
    assert 0.93 <= kept["figures"]["mean"]["covered"] <= 0.97
    assert 0.92 <= kept["figures"]["p99"]["covered"] <= 0.98


@pytest.mark.long
def test_intervals_cover_the_exact_values():
    """1 000 studies: the share that covers has a standard error of 0.7 %."""
    found = coverage.coverage(range(1, 1_001))
    assert 0.93 <= found["mean"]["covered"] <= 0.97
    assert 0.92 <= found["p99"]["covered"] <= 0.98
