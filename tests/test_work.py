"""Balancers that know what the pods have to do: lwl, central_queue and jsq_d."""

from __future__ import annotations

from collections import Counter
from unittest import mock

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history

from lbbench.balancers import least, p2c
from lbbench.balancers.base import Balancer, Endpoint, registry
from lbbench.core.rng import stream, wrapping
from lbbench.engines import fast, reference
from lbbench.engines.plan import make_plan
from lbbench.engines.steady.fit import why_not
from lbbench.engines.work import put_in_line, soonest, time_for
from lbbench.errors import BalancerError
from lbbench.model.check import build

NO_RNG = np.zeros(4, np.uint64)


def plan_of(balancer: str, *, requests: int = 1500, load: float = 0.9, pods=3, **pod):
    """Return a plan with one worker and no delays."""
    return make_plan(
        build(
            {
                "name": "work",
                "cluster": {
                    "nodes": 1,
                    "pods": pods,
                    "pod": pod,
                    "ingress": {"replicas": 1, "workers": 1},
                },
                "stages": {"ingress": {"balancer": balancer}},
                "traffic": {
                    "utilisation": load,
                    "service_time": {"distribution": "lognormal", "mean": "20ms", "cv": 2},
                },
                "run": {"requests": requests, "seed": 5},
            }
        )
    )


# --- the rule -------------------------------------------------------------------------------------


def test_the_least_wins_and_ties_are_drawn():
    """Least of 5 3 3 9 3: the three threes, u = 0.34 gives the second; alone nothing is drawn."""
    pick = fed(least.pick_least, uniform=Script([0.34]))
    assert pick(NO_RNG, np.array([5, 3, 3, 9, 3]), NO_TRIES) == 2
    assert least.pick_least(NO_RNG, np.array([5, 3, 4]), NO_TRIES) == 1
    assert least.pick_least(NO_RNG, np.array([], np.int64), NO_TRIES) == -1


def test_failures_are_left_out_unless_all_have_failed():
    """Also when a position is named twice."""
    numbers = np.array([1, 2, 3])
    assert least.pick_least(NO_RNG, numbers, np.array([0, 0, 0])) == 1
    assert least.pick_least(NO_RNG, numbers, np.array([0, 1])) == 2
    assert least.pick_least(NO_RNG, numbers, np.array([0, 1, 2])) == 0


def test_a_place_is_free_when_those_before_are_through():
    """Free after 4 and 7; in line 5, 1, 2: 4+5 = 9, 7+1 = 8, 8+2 = 10: the next begins at 9."""
    free_at = np.array([4, 7])
    for takes in (5, 1, 2):
        put_in_line(free_at, 2, takes)
    assert sorted(free_at) == [9, 10]
    assert soonest(free_at, 2) == 9
    assert time_for(1000, 0.5, 4) == 500


def test_what_is_told_all_the_time_is_refused_for_what_changes_all_the_time():
    """A balancer cannot be told of work."""
    lwl = registry()["lwl"]
    with pytest.raises(BalancerError, match="on_busy with sees = work"):
        Balancer(
            name="x",
            level="l7",
            summary="",
            source="",
            state=lwl.state,
            pick=lwl.pick,
            on_busy=lambda *_: None,
            sees="work",
        )


def test_jsq_d_is_p2c_over_the_true_numbers():
    """The same picks from the same stream; other errors, another sight."""
    jsq_d, two = registry()["jsq_d"], registry()["p2c"]
    assert (jsq_d.sees, two.sees) == ("pods", "own")
    ends = [Endpoint(f"10.0.0.{i}:80") for i in range(5)]
    one, other = (stream(1, 0, "x", "y") for _ in range(2))
    state, busy = jsq_d.state({"choices": 3}, ends), np.array([3, 1, 2, 1, 0])
    with wrapping():
        ours = [jsq_d.pick(state, one, 0.0, 0, busy, NO_TRIES) for _ in range(50)]
        assert ours == [p2c.pick(state, other, 0.0, 0, busy, NO_TRIES) for _ in range(50)]
    assert Counter(ours)[4] > 20
    with pytest.raises(BalancerError, match="jsq_d: choices = 0"):
        jsq_d.state({"choices": 0}, ends)


@pytest.mark.parametrize("name", ["lwl", "central_queue", "jsq_d"])
def test_compiled_code_does_the_same(name, monkeypatch, tmp_path):
    """Lists that change, retries, ties."""
    calls = history(12, calls=2000, endpoints=6)
    ends = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    picked = assert_compiled_agrees(registry()[name], {}, ends, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 6)}


# --- the engines ----------------------------------------------------------------------------------


def common_queue(arrivals: np.ndarray, works: np.ndarray, places: int) -> np.ndarray:
    """Return when each request begins behind one queue before so many servers.

    Kiefer and Wolfowitz: the next request takes the server that is free first.
    """
    free, starts = [0.0] * places, []
    for arrival, work in zip(arrivals, works, strict=True):
        k = free.index(min(free))
        starts.append(max(arrival, free[k]))
        free[k] = starts[-1] + work
    return np.array(starts)


@pytest.mark.parametrize(
    ("name", "pods", "places"),
    [("lwl", 3, 1), ("central_queue", 3, 1), ("central_queue", 2, 3)],
)
def test_they_are_one_queue_before_all_places(name, pods, places):
    """Request by request each begins when it would behind one queue (M/G/k, cv 2, load 0.9).

    Whole nanoseconds may order two places that are free within one; nothing depends on which.
    """
    found = reference.run(plan_of(name, pods=pods, concurrency=places), record=True).records
    works = found["end"] - found["start"]
    expected = common_queue(found["arrival"], works, pods * places)
    np.testing.assert_allclose(found["start"], expected, rtol=0.0, atol=1e-7)
    assert (found["start"] > found["arrival"] + 1e-9).sum() > 200


@pytest.mark.long
def test_work_beats_numbers_and_numbers_beat_chance():
    """Mean response of lwl < jsq < jsq_d < random on the same requests, at load 0.9 and cv 2."""
    means = []
    for name in ("lwl", "jsq", "jsq_d", "random"):
        kept = reference.run(plan_of(name, pods=6, requests=3000), record=True).records
        means.append(float((kept["end"] - kept["arrival"]).mean()))
    assert means == sorted(means)


@pytest.mark.parametrize("name", ["lwl", "central_queue"])
def test_only_the_general_kernel_counts_work(name):
    """The steady one says why it cannot."""
    assert why_not(plan_of(name)) == "the balancer sees the pods"


@pytest.mark.parametrize(
    ("name", "pod"),
    [
        ("lwl", {"concurrency": 2}),
        ("lwl", {"concurrency": 2, "discipline": "ps"}),
        pytest.param("central_queue", {"concurrency": 2}, marks=pytest.mark.long),
        pytest.param(
            "central_queue", {"cfs": {"quota": "15ms", "period": "40ms"}}, marks=pytest.mark.long
        ),
    ],
)
def test_both_engines_count_the_same_work(name, pod):
    """Several places, sharing, a CPU quota: the same requests to the same pods, bit for bit."""
    pods = [{"name": f"pod-{i}", "speed": s} for i, s in enumerate((1.0, 0.5, 2.0))]
    with mock.patch.dict("os.environ", NUMBA_DISABLE_JIT="1"):
        one = fast.run(plan_of(name, pods=pods, requests=600, **pod), record=True)
    other = reference.run(plan_of(name, pods=pods, requests=600, **pod), record=True)
    for column in ("pod", "start", "end"):
        assert np.array_equal(one.records[column], other.records[column]), column
    assert len(set(one.records["pod"])) == 3
