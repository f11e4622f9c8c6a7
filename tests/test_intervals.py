"""Intervals: they hold what they promise, on data as correlated as a queue's.

The data are waiting lines with a known law (Lindley's recursion of M/M/1, started in its
stationary law), many independent copies at once. Coverage is binomial: with R copies a promised
95 % may fall to 95 % - 4 sqrt(0.95 x 0.05 / R) by chance once in 30 000.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_latency import tally_of

from lbbench.model.tally import SEGMENTS
from lbbench.stats import theory
from lbbench.stats.intervals import (
    decorrelated,
    drift,
    estimate,
    influence,
    interval,
    intervals,
    is_enough,
    mser,
    settle,
    student,
    units_of,
)
from lbbench.stats.latency import QUANTILES, replications
from lbbench.stats.pairs import holm, paired

SERVICE = 0.02  # seconds: the mean service time of all queues here


def queues(rng, copies, n, rho, speeds=(1.0,)):
    """Return responses of M/M/1, float64[len(speeds), n, copies] service times of speed 1.

    All speeds meet the same arrivals and work; the first wait has the stationary law.
    """
    out = np.empty((len(speeds), n, copies))
    start = rng.random(copies)
    wait = []
    for speed in speeds:
        load = rho / speed  # inverse transform, so that the speeds share the draw
        tail = np.minimum(start / load, 1.0)
        wait.append(-np.log(tail) / (speed - rho))
    for at in range(0, n, 1_000):
        many = min(1_000, n - at)
        work = rng.exponential(1.0, (many, copies))
        gap = rng.exponential(1.0 / rho, (many, copies))
        for k, speed in enumerate(speeds):
            for i in range(many):
                out[k, at + i] = wait[k] + work[i] / speed
                wait[k] = np.maximum(out[k, at + i] - gap[i], 0.0)
    return out


class Run(NamedTuple):
    """What is wanted of a run and its faster twin, without their large tallies."""

    found: dict
    decorrelated: float
    drift: float | None
    paired: dict


RUNS, REQUESTS, LOAD, FASTER = 100, 40_000, 0.7, 1.05


def _pair(x, i):
    return tuple(tally_of(x[k, :, i]) for k in (0, 1))


@pytest.fixture(scope="module")
def responses():
    """Return 100 runs of 40 000 requests at load 0.7, at two speeds on the same traffic."""
    return queues(np.random.default_rng(11), RUNS, REQUESTS, LOAD, speeds=(1.0, FASTER)) * SERVICE


@pytest.fixture(scope="module")
def runs(responses):
    """Return intervals, drift and paired differences of the 100 runs."""
    made = []
    for i in range(RUNS):
        a, b = _pair(responses, i)
        compared = {name: paired([a], [b], name) for name in ("mean", "p99")}
        made.append(Run(intervals([a], 0)[1], decorrelated([a], 0), drift([a], 0), compared))
    return made


def _least(copies, promised=0.95):
    return promised - 4.0 * math.sqrt(promised * (1.0 - promised) / copies)


def _exact(name):
    law = theory.mm1(LOAD)
    return (law.mean if name == "mean" else law.quantile(QUANTILES[name])) * SERVICE


@pytest.mark.parametrize("name", ["mean", "p50", "p90", "p95", "p99"])
def test_intervals_of_one_run_hold_what_they_promise(runs, name):
    """95 % intervals from batches of a queue's latencies cover the exact value in 95 % of runs."""
    given_ones = [run.found[name] for run in runs if run.found[name]]
    covered = [low <= _exact(name) <= high for low, high in given_ones]
    assert len(given_ones) >= 0.9 * RUNS
    assert np.mean(covered) >= _least(len(covered))


def test_batches_taken_for_independent_requests_would_not():
    """The check above can fail: an interval that ignores the correlation covers far less."""
    x = queues(np.random.default_rng(12), 100, 20_000, 0.7)[0]
    error = x.std(axis=0) / math.sqrt(len(x))
    assert np.mean(np.abs(x.mean(axis=0) - theory.mm1(0.7).mean) < 1.96 * error) < 0.6


def test_intervals_from_replications_hold_what_they_promise():
    """The same from five replications of 3 000 independent latencies, 80 times."""
    rng = np.random.default_rng(13)
    covered = {"mean": [], "p50": [], "p90": [], "p99": []}
    for _ in range(80):
        units, found = intervals([tally_of(rng.exponential(1.0, 3_000)) for _ in range(5)], 0)
        assert units.source == "replications"
        for name, hits in covered.items():
            exact = 1.0 if name == "mean" else -math.log(1.0 - QUANTILES[name])
            hits.append(found[name][0] <= exact <= found[name][1])
    for name, hits in covered.items():
        assert np.mean(hits) >= _least(80), name


def test_a_mean_interval_from_replications_is_students():
    """Equally long replications: mean ± t s / sqrt(R), here 1, 2, 3 s."""
    runs = [tally_of(np.full(640, value)) for value in (1.0, 2.0, 3.0)]
    low, high = interval(replications(runs, 0), "mean")
    half = student(2) / math.sqrt(3.0)
    assert (low, high) == pytest.approx((2.0 - half, 2.0 + half))
    assert student(2) == pytest.approx(4.302653, abs=1e-6)


def test_percentiles_that_rest_on_luck_get_no_interval(runs):
    """A run of 40 000 correlated requests says nothing certain of p999."""
    assert all(run.found["p999"] is None for run in runs)
    assert all(run.found["p90"] is not None for run in runs)
    assert is_enough(500, "p99")
    assert not is_enough(499, "p99")
    assert is_enough(0, "mean")


def test_decorrelated_requests_follow_the_queues_own_correlation(runs):
    """A mean of n responses is as sure as n var / sigma2 independent ones.

    sigma2 of the responses lies between that of the waits, which is exact, and the same plus what
    the service times add: at most 2 sqrt(Var(S) sigma2) + Var(S), a ninth at this load. z = 4.
    """
    waits = theory.mm1_wait_spread(LOAD)
    most = REQUESTS * theory.mm1(LOAD).mean ** 2 / waits
    least = most * waits / (waits + 2.0 * math.sqrt(waits) + 1.0)
    found = np.array([run.decorrelated for run in runs])
    chance = 4.0 * found.std() / math.sqrt(RUNS)
    assert least - chance < found.mean() < most + chance


def test_independent_requests_count_in_full():
    """Latencies without correlation are as many independent ones, up to the chance in batches."""
    rng = np.random.default_rng(14)
    found = [decorrelated([tally_of(rng.exponential(1.0, 20_000))], 0) for _ in range(20)]
    assert np.mean(found) > 0.75 * 20_000  # capped at n from above, widened where batches lean
    assert max(found) <= 20_000
    four = [decorrelated([tally_of(rng.exponential(1.0, 5_000)) for _ in range(4)], 0)
            for _ in range(5)]  # fmt: skip
    assert np.mean(four) > 0.75 * 20_000


def test_constant_latencies_have_a_point_for_an_interval():
    """No spread, no width: the interval is the value itself (the place of the histogram)."""
    units, found = intervals([tally_of(np.full(64_000, 0.02))], 0)
    assert found["mean"] == (0.02, 0.02)
    assert found["p99"] == (estimate(units, "p99"),) * 2


def test_short_runs_get_no_intervals():
    """With fewer than 20 filled batches nothing is claimed."""
    _, found = intervals([tally_of(np.ones(19))], 0)
    assert set(found.values()) == {None}
    _, found = intervals([tally_of(np.ones(6_400))], 50)
    assert set(found.values()) == {None}


# --- warm-up and drift ----------------------------------------------------------------------------


def test_mser_drops_the_transient_and_little_more():
    """A start at four times the level for six segments is cut where it ends."""
    rng = np.random.default_rng(15)
    series = 1.0 + 0.01 * rng.standard_normal(SEGMENTS)
    series[:6] += 3.0 * np.exp(-np.arange(6) / 2.0)
    assert 6 <= mser(series) <= 16


@given(st.lists(st.floats(0.1, 10.0), min_size=64, max_size=64))
def test_mser_never_drops_more_than_a_quarter(series):
    """Whatever the series, 0 .. 16 segments go, and what is left has the least cost."""
    x = np.array(series)
    cut = mser(x)
    assert 0 <= cut <= 16

    def cost(d):
        return ((x[d:] - x[d:].mean()) ** 2).sum() / (64 - d) ** 2

    assert cost(cut) <= min(cost(d) for d in range(17)) * (1.0 + 1e-9)


def test_mser_leaves_flat_and_short_series_alone():
    """Nothing to settle, or too little to tell: nothing is dropped."""
    assert mser(np.ones(SEGMENTS)) == 0
    few = np.full(SEGMENTS, np.nan)
    few[:30] = np.arange(30.0)
    assert mser(few) == 0


def test_warm_up_is_found_over_all_replications_together():
    """A transient that noise hides in one replication shows in the common means of 30.

    Eight segments at 1.5 times the level; the means of 600 draws have a standard error of 0.04, so
    a cut before the eighth would leave a segment 12 standard errors off.
    """
    rng = np.random.default_rng(16)
    level = np.repeat(np.where(np.arange(SEGMENTS) < 8, 1.5, 1.0), 20)
    runs = [tally_of(level * rng.exponential(1.0, 1_280)) for _ in range(30)]
    assert 8 <= settle(runs) <= 16


def test_a_settled_queue_is_not_called_drifting(runs):
    """One false alarm in a thousand is promised; more than two of 100 come once in 6 000."""
    assert sum(run.drift is not None for run in runs) <= 2


def test_an_overloaded_queue_is_called_drifting():
    """At load 1.05 the latency climbs: the drift over the run is about twice its mean."""
    rng = np.random.default_rng(17)
    n = 60_000
    steps = np.cumsum(rng.exponential(1.0, n) - rng.exponential(1.0 / 1.05, n))
    wait = steps - np.minimum.accumulate(np.minimum(steps, 0.0))
    change = drift([tally_of(wait + 1.0)], 0)
    assert change is not None
    assert 1.0 < change < 3.0


# --- comparisons ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["mean", "p99"])
def test_paired_intervals_hold_what_they_promise(runs, name):
    """Difference and ratio of two speeds on the same traffic cover the exact ones in 95 %.

    Both laws are exponential, so every figure has the ratio of the means, (1 - 0.7) / (1.05 - 0.7).
    """
    factor = (1.0 - LOAD) / (FASTER - LOAD)
    found = [run.paired[name] for run in runs if run.paired[name].ratio_ci95]
    gap = _exact(name) * (factor - 1.0)
    gaps = [low <= gap <= high for low, high in (one.difference_ci95 for one in found)]
    ratios = [low <= factor <= high for low, high in (one.ratio_ci95 for one in found)]
    assert len(found) >= 0.9 * RUNS
    assert np.mean(gaps) >= _least(len(gaps))
    assert np.mean(ratios) >= _least(len(ratios))


def test_common_traffic_narrows_the_interval_of_a_difference(runs, responses):
    """Paired, the mean difference is known three times as well as from the two intervals apart."""
    widths = []
    for i in range(10):
        low, high = runs[i].paired["mean"].difference_ci95
        apart = [interval(units_of([t], 0), "mean") for t in _pair(responses, i)]
        widths.append((high - low) / math.hypot(*(hi - lo for lo, hi in apart)))
    assert np.mean(widths) < 1 / 3


def test_a_run_differs_from_itself_by_nothing(runs, responses):
    """Difference 0, ratio 1, p-value 1, and not told apart."""
    a, _ = _pair(responses, 0)
    same = paired([a], [a], "p90")
    assert (same.difference, same.ratio, same.p_value) == (0.0, 1.0, 1.0)
    assert not same.told_apart
    assert runs[0].paired["mean"].told_apart


def test_replications_are_paired_by_their_number():
    """Ten pairs that differ by the same factor: the ratio is certain, the difference is not."""
    rng = np.random.default_rng(18)
    runs = [rng.exponential(1.0 + 0.5 * i, 1_000) for i in range(10)]
    found = paired([tally_of(x) for x in runs], [tally_of(2.0 * x) for x in runs], "mean")
    assert (found.units, found.source) == (10, "replications")
    assert found.ratio_ci95 == pytest.approx((2.0, 2.0), rel=1e-6)
    assert found.difference_ci95[1] - found.difference_ci95[0] > 0.1


def test_error_rates_and_attainment_are_compared_too():
    """Shares are paired like means; a share of zero has a difference and no ratio."""
    rng = np.random.default_rng(19)
    x = rng.exponential(1.0, 64_000)
    clean = tally_of(x)
    dirty = tally_of(x, failed=rng.random(len(x)) < 0.02)
    errors = paired([clean], [dirty], "error_rate")
    assert errors.ratio is None
    assert errors.told_apart
    assert errors.difference_ci95[0] < 0.02 < errors.difference_ci95[1]
    good = paired([clean], [dirty], "attainment:1.0")
    assert good.b == pytest.approx(0.98 * (1.0 - math.exp(-1.0)), abs=4 * 0.5 / math.sqrt(64_000))
    assert paired([clean], [dirty], "attainment").a == 1.0


@pytest.mark.parametrize(
    ("name", "way"), [("mean", 1), ("p50", 1), ("p90", 1), ("attainment:1", -1)]
)
def test_slow_units_pull_latencies_up_and_attainment_down(name, way):
    """The pull of a unit has the sign of its deviation, and all pulls cancel."""
    rng = np.random.default_rng(21)
    slow = np.arange(64_000) >= 32_000
    units = units_of([tally_of(rng.exponential(np.where(slow, 1.1, 0.9)))], 0)
    pull = influence(units, name)
    half = len(pull) // 2
    assert way * pull[half:].mean() > 0.0 > way * pull[:half].mean()
    assert abs(pull.sum()) < 1e-9 * np.abs(pull).sum()


def test_requests_cut_off_are_no_answers():
    """Unfinished requests are in the histogram, and attain no threshold."""
    y = tally_of(np.full(640, 0.1))
    cut = y._replace(completed=y.completed - 1, unfinished=y.unfinished + 1)
    assert estimate(units_of([cut], 0), "attainment:0.5") == 576 / 640
    assert estimate(units_of([cut], 0), "attainment") == 576 / 640


def test_holm_gives_the_textbook_values():
    """Smallest p times the number of tests, the next times one less, never falling."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0.0, 1.0), min_size=1, max_size=20))
def test_holm_lies_between_no_correction_and_bonferronis(p_values):
    """Corrected values keep the order and stay within p and m p."""
    found = holm(p_values)
    for p, q in zip(p_values, found, strict=True):
        assert p <= q <= min(1.0, len(p_values) * p) + 1e-12
    order = np.argsort(p_values, kind="stable")
    assert (np.diff(np.array(found)[order]) >= 0.0).all()
