"""Arrival processes follow their laws, and their times do not depend on the size of blocks.

Tolerances: z = 4.5 standard errors of the statistic (two-sided false alarm 7e-6), p > 1e-5 for
goodness of fit. Seeds are fixed, so a test that passes once always passes.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.traffic.arrivals import Diurnal, Modulated, Renewal, Steps
from lbbench.traffic.streams import Streams

Z = 4.5
P = 1e-5

BURSTS = Modulated(rates=(400.0, 40.0), means=(0.5, 2.0))
ON_OFF = Modulated(rates=(200.0, 0.0), means=(1.0, 3.0))
STEPS = Steps(at=(10.0, 30.0, 50.0), rates=(100.0, 0.0, 400.0))
DAY = Diurnal(base=100.0, amplitude=0.8, period=50.0)

PROCESSES = {
    "poisson": Renewal(100.0),
    "deterministic": Renewal(100.0, 0.0),
    "gamma": Renewal(100.0, 2.5),
    "mmpp": BURSTS,
    "on-off": ON_OFF,
    "fast mmpp": Modulated(rates=(100.0, 0.0, 300.0), means=(1e-4, 3e-4, 2e-4)),
    "steps": STEPS,
    "ending steps": Steps(at=(0.0, 5.0), rates=(100.0, 0.0)),
    "diurnal": DAY,
}
every_process = pytest.mark.parametrize("process", PROCESSES.values(), ids=PROCESSES.keys())


def times(process, n, *, seed=1, replication=0):
    return process.start(Streams(seed, replication)).take(n)


def until(process, end, *, seed=1, replication=0):
    """All arrivals before ``end``."""
    clock = process.start(Streams(seed, replication))
    parts = [clock.take(1000)]
    while len(parts[-1]) and parts[-1][-1] < end:
        parts.append(clock.take(1000))
    whole = np.concatenate(parts)
    return whole[whole < end]


@pytest.mark.parametrize("cv", [1.0, 0.25, 2.0])
def test_gaps_have_the_mean_and_the_variation_asked_for(cv):
    """Poisson and gamma gaps: mean 1/rate and variance (cv/rate)^2 (kurtosis 3 + 6 cv^2)."""
    n = 200_000
    gaps = np.diff(times(Renewal(50.0, cv), n), prepend=0.0)
    assert abs(gaps.mean() * 50.0 - 1.0) < Z * cv / math.sqrt(n)
    spread = gaps.var() * 50.0**2 / cv**2
    assert abs(spread - 1.0) < Z * math.sqrt((2.0 + 6.0 * cv**2) / n)


def test_poisson_gaps_are_exponential_and_gamma_gaps_gamma():
    """Kolmogorov-Smirnov tests of the gaps' laws."""
    n = 50_000
    gaps = np.diff(times(Renewal(50.0), n), prepend=0.0)
    assert stats.kstest(gaps, stats.expon(scale=1 / 50).cdf).pvalue > P
    gaps = np.diff(times(Renewal(50.0, 0.5), n), prepend=0.0)
    assert stats.kstest(gaps, stats.gamma(4, scale=1 / 200).cdf).pvalue > P


def test_deterministic_gaps_are_equal():
    """Arrival k of a paced process is at k / rate, up to the rounding of k additions."""
    found = times(Renewal(1024.0, 0.0), 5_000)
    assert (found == np.arange(1, 5_001) / 1024.0).all()


def dispersion_of_two_states(process, t):
    """Var N(t) / E N(t) of a two-state modulated Poisson process in its stationary state."""
    (l1, l2), (r12, r21) = process.rates, (1 / m for m in process.means)
    both = r12 + r21
    limit = 2 * (l1 - l2) ** 2 * r12 * r21 / (both**2 * (l1 * r21 + l2 * r12))
    return 1 + limit * (1 - (1 - math.exp(-both * t)) / (both * t))


@pytest.mark.parametrize("process", [BURSTS, ON_OFF], ids=["mmpp", "on-off"])
def test_modulated_counts_have_their_index_of_dispersion_from_the_start(process):
    """The counts of the first two seconds have mean and variance of the stationary process.

    3000 replications; the variance's standard error comes from the counts' own fourth moment.
    """
    t, runs = 2.0, 3_000
    counts = np.array([len(until(process, t, replication=r)) for r in range(runs)])
    mean, index = process.rate(t) * t, dispersion_of_two_states(process, t)
    assert abs(counts.mean() - mean) < Z * math.sqrt(index * mean / runs)
    fourth = ((counts - counts.mean()) ** 4).mean()
    error = math.sqrt((fourth - counts.var() ** 2) / runs)
    assert abs(counts.var() - index * mean) < Z * error


def test_modulated_states_follow_each_other_in_order():
    """Three states with very different rates: the long-run rate is the mean weighted by time."""
    process = Modulated(rates=(10.0, 100.0, 1_000.0), means=(0.3, 0.2, 0.1))
    assert process.rate(1.0) == pytest.approx((3 + 20 + 100) / 0.6)
    end = 2_000.0
    cycles = end / 0.6
    # per cycle: variance of the counts given the states, and of the states' times
    variance = cycles * (123.0 + (3.0**2 + 20.0**2 + 100.0**2))
    # the time of a whole number of cycles varies too; three exponentials of these means
    variance += cycles * (0.3**2 + 0.2**2 + 0.1**2) * process.rate(1.0) ** 2
    found = len(until(process, end))
    assert abs(found - process.rate(end) * end) < Z * math.sqrt(variance)


def test_steps_hold_their_rates_and_nothing_comes_before_the_first():
    """Counts per step are Poisson, their places uniform; a rate of 0 lets nothing come."""
    found = until(STEPS, 70.0)
    counts = np.histogram(found, [0, 10, 30, 50, 70])[0]
    assert counts[0] == 0
    assert counts[2] == 0
    assert abs(counts[1] - 2_000) < Z * math.sqrt(2_000)
    assert abs(counts[3] - 8_000) < Z * math.sqrt(8_000)
    inside = found[found > 50]
    assert stats.kstest(inside, stats.uniform(50, 20).cdf).pvalue > P
    assert STEPS.rate(70.0) == pytest.approx(10_000 / 70)
    assert STEPS.rate(20.0) == pytest.approx(1_000 / 20)


class GivenGaps:
    """A stream that gives the unit gaps it was made with."""

    def __init__(self, gaps):
        self.gaps = np.array(gaps)

    def open(self, _):
        """Be the stream of whatever name."""
        return self

    def standard_exponential(self, n):
        """Return the next ``n`` of the given gaps."""
        given, self.gaps = self.gaps[:n], self.gaps[n:]
        return given.copy()


def test_rounding_does_not_carry_an_arrival_past_its_step():
    """The last arrival of a step is not after the first one of the next, though x r / r > x."""
    end, rate = next(
        (x, r)
        for x, r in np.random.default_rng(1).uniform(1, 2, (1_000, 2)).tolist()
        if x * r / r > x
    )
    clock = Steps(at=(0.0, end), rates=(rate, 1e6)).start(GivenGaps([end * rate, 1e-12]))
    assert (clock.take(2) == end).all()


def test_steps_that_end_at_rate_zero_run_dry():
    """After a last rate of 0 a process gives fewer arrivals than asked for, then none."""
    clock = PROCESSES["ending steps"].start(Streams(1, 0))
    first = clock.take(10_000)
    assert abs(len(first) - 500) < Z * math.sqrt(500)
    assert first[-1] < 5.0
    assert len(clock.take(10)) == 0


def test_diurnal_counts_follow_the_sine():
    """Counts by phase over whole periods fit base (1 + A sin) by chi-square; their sum the base."""
    periods, bins = 40, 20
    found = until(DAY, periods * DAY.period)
    edges = np.linspace(0, DAY.period, bins + 1)
    turn = 2 * math.pi / DAY.period
    area = DAY.base * (edges - DAY.amplitude / turn * np.cos(turn * edges))
    counts = np.histogram(found % DAY.period, edges)[0]
    expected = periods * np.diff(area)
    statistic = ((counts - expected) ** 2 / expected).sum()
    assert stats.chi2(bins).sf(statistic) > P
    assert DAY.rate(1.0) == DAY.base


@every_process
@given(sizes=st.lists(st.integers(0, 900), min_size=1, max_size=12))
def test_times_do_not_depend_on_the_size_of_blocks(process, sizes):
    """Taken in any pieces, the times are bit for bit those taken at once, and never decrease."""
    clock = process.start(Streams(3, 1))
    pieces = np.concatenate([clock.take(n) for n in sizes])
    whole = times(process, sum(sizes), seed=3, replication=1)
    assert pieces.tobytes() == whole.tobytes()
    assert (np.diff(whole, prepend=0.0) >= 0).all()


@every_process
def test_one_by_one_is_the_same_as_at_once(process):
    """Blocks of one give the same bits as one block of 700."""
    clock = process.start(Streams(4, 0))
    singly = np.concatenate([clock.take(1) for _ in range(700)])
    assert singly.tobytes() == times(process, 700, seed=4).tobytes()


@every_process
def test_scaling_multiplies_the_rate(process):
    """A scaled process has the rate times the factor over any horizon."""
    for horizon in (1.0, 20.0, 1e4):
        assert process.scaled(3.0).rate(horizon) == pytest.approx(3.0 * process.rate(horizon))


@pytest.mark.parametrize("name", ["poisson", "gamma", "deterministic"])
def test_scaled_renewal_times_are_the_same_times_on_a_faster_clock(name):
    """The gaps are the same draws, divided: common random numbers across rates."""
    slow, fast = times(PROCESSES[name], 1_000), times(PROCESSES[name].scaled(4.0), 1_000)
    assert fast == pytest.approx(slow / 4.0, rel=1e-12)


def test_replications_and_seeds_differ():
    """Another replication, and another seed, give other times; the same ones the same."""
    base = times(PROCESSES["poisson"], 10)
    assert (base == times(PROCESSES["poisson"], 10)).all()
    assert not (base == times(PROCESSES["poisson"], 10, replication=1)).any()
    assert not (base == times(PROCESSES["poisson"], 10, seed=2)).any()
    assert not (base == times(PROCESSES["poisson"], 10, seed=1 + 2**32)).any()
