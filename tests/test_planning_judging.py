"""Verdicts with confidence: intervals against limits, and what the looks cost in certainty."""

from __future__ import annotations

import numpy as np
import pytest
from planning import sample

from lbbench.studies.planning import judging
from lbbench.studies.planning.judging import (
    LOOKS,
    Objective,
    judge,
    level_of,
    objectives_of,
)
from lbbench.studies.planning.sample import Sample


def some(n: int = 4, mean: float = 0.1, requests: int = 2000, **more):
    """Return replications of exponential latencies."""
    rng = np.random.default_rng(3)
    return [sample(rng.exponential(mean, requests), number=i, **more) for i in range(n)]


def verdict(objective: Objective, replications) -> str:
    """Return the verdict at the level of a plan with one objective."""
    return judge(replications, [objective], level_of(LOOKS[-1], 1, 1)).verdict


def test_the_looks_together_err_as_rarely_as_promised(monkeypatch):
    """At the limit itself "met" and "not met" each come in 2.5 % of decisions at most.

    Each decision is `judge` at every look until one decides. A replication's largest latency is
    normal around the limit. Bonferroni keeps each side below half of 5 %; a bound of five standard
    errors of that share is added, a false alarm once in millions.
    """
    rng, decisions = np.random.default_rng(11), 400
    objective, made = Objective("latency.max", 1.0), sample([1.0] * 64)
    # the requests of all replications are alike and say nothing here: they are counted once
    units = judging.units_of([made.behind(0)] * 2, 0)
    monkeypatch.setattr(Sample, "behind", lambda one, _first: one)
    monkeypatch.setattr(judging, "common_warmup", lambda _evidence: 0)
    monkeypatch.setattr(judging, "units_of", lambda _whole, _first: units)
    monkeypatch.setattr(judging, "decorrelated", lambda _whole, _first: 1.0)
    monkeypatch.setattr(judging, "drift", lambda _whole, _first: None)
    ended = {"met": 0, "not met": 0, "undecided": 0}
    for values in rng.normal(1.0, 0.01, (decisions, LOOKS[-1])):
        replications = [
            made._replace(replication=i, largest=float(value)) for i, value in enumerate(values)
        ]
        for look in LOOKS:
            found = judge(replications[:look], [objective], level_of(look, 1, 1)).verdict
            if found != "undecided":
                break
        ended[found] += 1
    bound = 0.025 + 5 * np.sqrt(0.025 * 0.975 / decisions)
    assert ended["met"] / decisions <= bound
    assert ended["not met"] / decisions <= bound
    assert ended["undecided"] < decisions  # and the level is not absurdly careful


def test_the_interval_for_reading_is_narrower_than_the_one_that_decides():
    """One is at 95 %, the other at the level of a look; both hold the estimate."""
    for objective in (Objective("latency.mean", 1.0), Objective("error_rate", 0.5)):
        judged = judge(some(8, failed=50), [objective], level_of(8, 1, 1))
        reading = judged.readings[0]
        assert judged.level == level_of(8, 1, 1) > 0.95
        assert reading.low < reading.ci95[0] < reading.estimate < reading.ci95[1] < reading.high
        alone = judge(some(8, failed=50), [objective], 0.95).readings[0]
        assert (alone.low, alone.high) == reading.ci95


def test_more_looks_objectives_and_clusters_share_the_chance_of_an_error():
    """The level of one interval leaves 5 % to all of them together."""
    spent = [1.0 - level_of(look, 1, 1) for look in LOOKS]
    assert sum(spent) == pytest.approx(0.05)
    assert spent == sorted(spent)
    assert 1.0 - level_of(8, 3, 2) == pytest.approx(spent[1] / 6)


@pytest.mark.parametrize("metric", ["latency.mean", "latency.p90", "latency.p99"])
def test_a_value_is_judged_by_the_ends_of_its_interval(metric):
    """Far below the limit it is met, far above not met, at the estimate itself undecided."""
    drawn = some()
    reading = judge(drawn, [Objective(metric, 1.0)], level_of(LOOKS[-1], 1, 1)).readings[0]
    assert reading.low < reading.estimate < reading.high
    assert verdict(Objective(metric, reading.high), drawn) == "met"
    assert verdict(Objective(metric, reading.estimate), drawn) == "undecided"
    assert verdict(Objective(metric, reading.low * 0.999), drawn) == "not met"


def test_a_percentile_without_enough_requests_is_undecided():
    """Too few requests above a percentile give no interval and no verdict; more of them do."""
    assert verdict(Objective("latency.p99", 10.0), some(2, requests=64)) == "undecided"
    assert verdict(Objective("latency.p99", 10.0), some(32, requests=64)) == "met"
    assert verdict(Objective("latency.p50", 10.0), some(4, requests=10)) == "undecided"


def test_attainment_is_to_be_high():
    """The share within the largest latency limit must be at least its own limit."""
    drawn = some()  # 63 % of exponential latencies are within their mean
    both = [Objective("latency.p50", 0.1), Objective("attainment", 0.5)]
    judged = judge(drawn, both, level_of(8, 2, 1))
    assert judged.readings[1].estimate == pytest.approx(1 - np.exp(-1), abs=0.02)
    assert [reading.verdict for reading in judged.readings] == ["met", "met"]
    over = [Objective("latency.p50", 0.1), Objective("attainment", 0.7)]
    assert judge(drawn, over, level_of(8, 2, 1)).verdict == "not met"


def test_no_failure_seen_is_a_bound_not_a_zero():
    """Of n requests without a failure the rate may be about log(1 / alpha) / n all the same."""
    drawn = some(4)  # 8000 requests
    alpha = 1.0 - level_of(LOOKS[-1], 1, 1)
    reading = judge(drawn, [Objective("error_rate", 0.001)], level_of(LOOKS[-1], 1, 1)).readings[0]
    assert reading.estimate == 0.0
    assert reading.high == pytest.approx(-np.log(0.5 * alpha) / 8000, rel=0.01)
    assert verdict(Objective("error_rate", 0.001), drawn) == "met"
    assert verdict(Objective("error_rate", 0.0005), drawn) == "undecided"
    assert verdict(Objective("error_rate", 0.0), drawn) == "met"  # asked for none, and none there


def test_failures_beyond_the_limit_are_not_met():
    """A tenth of all requests fails: not met at 1 %, met at 20 %."""
    drawn = some(4, failed=222)
    assert verdict(Objective("error_rate", 0.01), drawn) == "not met"
    assert verdict(Objective("error_rate", 0.2), drawn) == "met"
    assert verdict(Objective("error_rate", 0.0), drawn) == "not met"


def test_the_largest_latency_and_the_busiest_pod_go_by_their_spread():
    """Each replication's own value counts; equal ones leave no doubt."""
    drawn = [sample([0.1] * 64 + [0.2], number=i, utilisation=0.7) for i in range(4)]
    assert verdict(Objective("latency.max", 0.21), drawn) == "met"
    assert verdict(Objective("latency.max", 0.19), drawn) == "not met"
    assert verdict(Objective("utilisation.max", 0.7), drawn) == "met"
    mixed = [sample([0.1], utilisation=u, number=i) for i, u in enumerate((0.5, 0.9, 0.6, 0.8))]
    assert verdict(Objective("utilisation.max", 0.75), mixed) == "undecided"


def test_a_cluster_over_capacity_is_not_met_whatever_its_latencies():
    """When most runs say so; one of them alone may err. Clockwork may be full."""
    full = some(4, overloaded=True)
    assert verdict(Objective("latency.mean", 10.0), full) == "not met"
    once = [*some(3), *some(1, overloaded=True)]
    assert verdict(Objective("latency.mean", 10.0), once) == "met"
    judged = judge(full, [Objective("latency.mean", 10.0)], level_of(8, 1, 1), can_overload=False)
    assert judged.verdict == "met"


def test_objectives_are_read_with_their_units():
    """Times and shares become numbers; a mistake names the metric."""
    assert objectives_of({"latency.p99": "250ms", "error_rate": "0.1%"}) == (
        Objective("latency.p99", 0.25),
        Objective("error_rate", 0.001),
    )
    assert objectives_of({"latency": {"p99": "250ms"}}) == (Objective("latency.p99", 0.25),)
    with pytest.raises(ValueError, match=r"latency\.p98 = 1s: is not a metric"):
        objectives_of({"latency.p98": "1s"})


def test_runs_that_still_drift_say_so():
    """Latencies that rise all along are no settled queue; those that do not, are one."""
    rng = np.random.default_rng(5)
    rising = [
        sample(np.linspace(0.1, 0.2, 2000) * rng.exponential(1.0, 2000), number=i) for i in range(4)
    ]
    objectives = [Objective("latency.mean", 1.0)]
    assert judge(rising, objectives, level_of(8, 1, 1)).drift > 0.3
    assert judge(some(), objectives, level_of(8, 1, 1)).drift is None
