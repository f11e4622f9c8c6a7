"""The five statistics against an ensemble: the written bounds, the skewed ones, the shares."""

from __future__ import annotations

import math

import numpy as np
import pytest
from recorded import recording
from scipy.stats import norm

from lbbench.verify.reality_ensemble import (
    LATENCIES,
    SHARE,
    Z,
    judged,
    posted_order,
    statistics,
    tail_chance,
)

RUN = recording("E9_nginx_random2_rho0.7")
K = 200


def sample_around(ratio, scatter, *, seed=1):
    """Return an ensemble whose latencies are ``ratio`` of the measured, normal in the logarithm."""
    rng = np.random.default_rng(seed)
    pods = np.bincount(RUN.pod, minlength=10) / len(RUN)
    measured = statistics(RUN.latency, RUN.pod, 10)
    normal = norm.ppf((np.arange(K) + 0.5) / K)
    normal = (normal - normal.mean()) / normal.std(ddof=1)
    sample = {
        name: measured[name] * ratio * np.exp(scatter * rng.permutation(normal))
        for name in LATENCIES
    }
    sample["shares"] = np.clip(pods + 0.002 * rng.standard_normal((K, 10)), 0.0, 1.0)
    return sample


def slack(measured):
    """Return what the written bound allows beside chance."""
    return math.log1p((0.0005 + 0.005 * measured) / measured)


@pytest.mark.parametrize("side", [1, -1])
def test_the_bound_is_the_written_one(side):
    """Just inside z s sqrt(1 + 1/k) + slack passes, just outside fails, for each statistic."""
    scatter = 0.03
    measured = statistics(RUN.latency, RUN.pod, 10)
    for name in LATENCIES:
        allowed = Z * scatter * math.sqrt(1 + 1 / K) + slack(measured[name])
        for factor, passed in ((0.99, True), (1.01, False)):
            sample = sample_around(math.exp(side * factor * allowed), scatter)
            row = next(row for row in judged(RUN, sample) if row.statistic == name)
            assert row.passed is passed, (name, factor)
            assert row.note == ""


def test_the_share_is_judged_on_one_side():
    """No difference at all passes; one pod with three times the scatter of the others fails."""
    sample = sample_around(1.0, 0.03)
    row = judged(RUN, sample)[-1]
    assert (row.statistic, row.passed) == (SHARE, True)
    exact = {**sample, "shares": sample["shares"] - sample["shares"].mean(axis=0)}
    exact["shares"] = exact["shares"] + statistics(RUN.latency, RUN.pod, 10)["shares"]
    row = judged(RUN, exact)[-1]
    assert row.passed
    assert row.z < -Z
    moved = exact["shares"].copy()
    moved[:, 3] += 0.05
    assert not judged(RUN, {**exact, "shares": moved})[-1].passed


def test_a_skewed_ensemble_is_judged_by_its_tail():
    """Exponential logarithms: 6 scales out is no rare value there, 14 is; the row says so."""
    measured = statistics(RUN.latency, RUN.pod, 10)
    tail = -np.log1p(-(np.arange(K) + 0.5) / K) * 0.1
    for scales, passed in ((6.0, True), (14.0, False)):
        sample = sample_around(1.0, 0.03)
        sample["p99"] = measured["p99"] * np.exp(tail - 0.1 * scales)
        row = next(row for row in judged(RUN, sample) if row.statistic == "p99")
        assert "by the ensemble's own tail" in row.note
        assert row.passed is passed


@pytest.mark.parametrize("x", [0.3, 2.0, 6.0, 9.0])
def test_the_tail_is_that_of_an_exponential_law(x):
    """exp(-x), from 20 000 quantiles of it, inside the sample and far beyond it: within 10 %."""
    values = -np.log1p(-(np.arange(20_000) + 0.5) / 20_000)
    assert tail_chance(values, x) == pytest.approx(math.exp(-x), rel=0.1)


def test_no_scatter_means_no_distance():
    """A deterministic share passes only where it is that share."""
    sample = sample_around(1.0, 0.03)
    shares = statistics(RUN.latency, RUN.pod, 10)["shares"]
    sample["shares"] = np.tile(shares, (K, 1))
    assert judged(RUN, sample)[-1].passed
    sample["shares"] = np.tile(np.roll(shares, 1), (K, 1))
    row = judged(RUN, sample)[-1]
    assert (row.passed, row.z) == (False, math.inf)


def test_the_list_has_the_order_in_which_it_was_posted():
    """By address as text 10.244.0.10 comes first: pods 0 to 9 are the numbers 1 to 9 and 0."""
    (change,) = posted_order(recording("E6_chashsubset_uri").scenario)
    assert change == "stages.ingress.options.order=[1, 2, 3, 4, 5, 6, 7, 8, 9, 0]"
    assert posted_order(recording("E6_chash_uri").scenario) == ()
    assert posted_order(recording("E1_iptables_n3").scenario) == ()
