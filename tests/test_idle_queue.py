"""jiq: who is on which list of idle pods, and whom a request gets."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from test_engine_theory import Z, mean_and_error, outcome

from lbbench.balancers import jiq
from lbbench.balancers.base import Endpoint
from lbbench.balancers.jiq import JIQ
from lbbench.core.rng import wrapping

ENDS = [Endpoint(f"10.244.0.{i}:8080") for i in range(6)]
NO_RNG = np.zeros(4, np.uint64)


@pytest.fixture(autouse=True)
def _wraps():
    with wrapping():
        yield


def fresh(pods: int, number: int = 0, of: int = 1):
    state = JIQ.state({}, ENDS[:pods])
    state.dispatcher[:] = (number, of)
    JIQ.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(pods), 0.0)
    return state


def pick(state, n: int, draws=(), tried=()) -> int:
    """Return the pick with these draws of the uniform, all of them used."""
    script = Script(draws)
    asked = fed(jiq.pick, uniform=script)
    found = asked(state, NO_RNG, 0.0, 0, np.zeros(n, np.int64), np.array(tried, np.int64))
    assert not script.waiting
    return int(found)


def test_the_longest_idle_comes_first_then_chance():
    """0, 1, 2 are taken off; 1 and 0 become idle again in this order; then the list is empty."""
    state = fresh(3)
    assert [pick(state, 3) for _ in range(3)] == [0, 1, 2]
    assert pick(state, 3, [0.7]) == 2  # floor(0.7 * 3)
    for pod, busy in ((0, 1), (1, 1), (2, 1), (2, 2), (1, 0), (0, 0)):
        JIQ.on_busy(state, pod, busy)
    assert [pick(state, 3) for _ in range(2)] == [1, 0]
    assert pick(state, 3, [0.0]) == 0


def test_a_pod_that_gets_other_work_leaves_the_list():
    """1 is given work by another dispatcher before this one needs it; 2 has one less of two."""
    state = fresh(3)
    JIQ.on_busy(state, 1, 1)
    JIQ.on_busy(state, 2, 2)
    JIQ.on_busy(state, 2, 1)
    assert pick(state, 3) == 0
    assert pick(state, 3, [0.5]) == 1


def test_where_a_request_has_failed_it_does_not_go():
    """0 heads the list and has failed: 1 it is. Among all the others chance leaves it out too.

    Two of three have failed (0 twice): one is left. When all have, all are drawn from.
    """
    assert pick(fresh(3), 3, tried=[0]) == 1
    state = fresh(3)
    for pod in range(3):
        JIQ.on_busy(state, pod, 1)
    assert pick(state, 3, [0.99], tried=[0]) == 2
    assert pick(state, 3, [0.49], tried=[0]) == 1
    assert pick(state, 3, [0.5], tried=[0, 2, 0]) == 1
    assert pick(state, 3, [0.5], tried=[0, 2, 1]) == 1
    assert pick(fresh(3), 0) == -1


def test_who_leaves_the_cluster_leaves_the_list_and_positions_follow():
    """Pod 0 goes: 1 and 2 are at positions 0 and 1. It comes back and reports last."""
    state = fresh(3)
    JIQ.on_endpoints(state, NO_RNG, np.arange(3), np.array([1, 2]), 0.0)
    assert pick(state, 2) == 0
    JIQ.on_endpoints(state, NO_RNG, np.array([1, 2]), np.arange(3), 0.0)
    assert [pick(state, 3) for _ in range(2)] == [2, 0]


@given(st.integers(1, 5), st.lists(st.tuples(st.integers(0, 5), st.integers(0, 2)), max_size=60))
def test_every_idle_pod_is_on_one_list(dispatchers, changes):
    """All dispatchers hear the same; nobody picks: idle pods are on one list, busy ones on none."""
    with wrapping():
        states = [fresh(6, k, dispatchers) for k in range(dispatchers)]
        busy = np.zeros(6, np.int64)
        for pod, now in changes:
            busy[pod] = now
            for state in states:
                JIQ.on_busy(state, pod, now)
        assert (sum(state.waits for state in states) == (busy == 0)).all()


def test_pods_spread_over_the_dispatchers():
    """A pod that becomes idle again and again reports to each of four about equally often."""
    states = [fresh(1, k, 4) for k in range(4)]
    counts = np.zeros(4)
    for _ in range(4000):
        for k, state in enumerate(states):
            JIQ.on_busy(state, 0, 1)
            JIQ.on_busy(state, 0, 0)
            counts[k] += state.waits[0]
    assert counts.sum() == 4000
    assert abs(counts - 1000).max() < 4.5 * np.sqrt(4000 * 3 / 16)


def test_compiled_code_does_the_same(monkeypatch, tmp_path):
    """Lists that change, retries, everything told."""
    calls = history(11, calls=3000, endpoints=6)
    picked = assert_compiled_agrees(JIQ, {}, ENDS, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 6)}


def two_pods(load: float, longest: int = 80) -> float:
    """Return the mean response of two pods behind one dispatcher, in service times.

    The stationary law of the chain of both queue lengths, cut at ``longest``: an arrival (rate
    2 load) goes to an idle pod, to either with 1/2 when both or none is idle.
    """
    side = longest + 1
    rates = np.zeros((side * side, side * side))

    def flow(i: int, j: int, to: tuple[int, int], rate: float) -> None:
        rates[to[0] * side + to[1], i * side + j] += rate
        rates[i * side + j, i * side + j] -= rate

    for i in range(side):
        for j in range(side):
            alone = (i == 0) != (j == 0)
            first = float(i == 0) if alone else 0.5
            if i < longest:
                flow(i, j, (i + 1, j), 2.0 * load * first)
            if j < longest:
                flow(i, j, (i, j + 1), 2.0 * load * (1.0 - first))
            if i:
                flow(i, j, (i - 1, j), 1.0)
            if j:
                flow(i, j, (i, j - 1), 1.0)
    rates[0] = 1.0
    law = np.linalg.solve(rates, np.eye(side * side)[0]).reshape(side, side)
    inside = (law.sum(axis=1) * np.arange(side)).sum() * 2.0
    return float(inside / (2.0 * load))


@pytest.mark.long
def test_one_dispatcher_and_two_pods_are_the_exact_chain():
    """Load 0.8: the chain lies between join the shortest queue and chance."""
    expected = two_pods(0.8, 50)
    assert expected == pytest.approx(two_pods(0.8, 40), rel=1e-3)
    mean, error = mean_and_error(outcome("jiq", pods=2))
    assert abs(mean - expected) < Z * error
    assert error < 0.03 * expected
