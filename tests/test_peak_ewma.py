"""Peak EWMA by Finagle and by tower, and AWS's least outstanding: the rules' numbers by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers import peak_ewma, peak_ewma_tower
from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.peak_cost import observe, second_of_two
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError

FINAGLE, TOWER = registry()["peak_ewma"], registry()["peak_ewma_tower"]
AWS = registry()["aws_least_outstanding"]
NO_RNG = np.zeros(4, np.uint64)
HALF = math.log(2)  # of a tau


def fresh(balancer, n, **options):
    """Return a state that lists ``n`` endpoints."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(n)]
    state = balancer.state(balancer.options(options), endpoints)
    if balancer.on_endpoints:
        balancer.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(n), 0.0)
    return state


def pick(module, state, busy, draws, now=0.0):
    """Return the pick for these draws, all of them used."""
    script = Script(draws)
    parts = {"uniform": script, "second_of_two": fed(second_of_two, uniform=script)}
    chosen = fed(module.pick, **parts)(state, NO_RNG, now, -1, np.array(busy), NO_TRIES)
    assert not script.waiting
    return chosen


def test_a_slow_answer_counts_at_once_and_a_fast_one_by_age():
    """100 ms jumps; half a life later 20 ms makes it 100/2 + 20/2 = 60 ms."""
    state = fresh(FINAGLE, 2, tau="1s")
    FINAGLE.done(state, 1, 5.0, 0.1, True)
    assert state.cost.tolist() == [0.0, 0.1]
    FINAGLE.done(state, 1, 5.0 + HALF, 0.02, True)
    assert state.cost[1] == pytest.approx(0.06)
    FINAGLE.done(state, 1, 5.0 + HALF, 0.3, False)
    assert state.cost[1] == 0.3


def test_a_reading_decays_and_restamps():
    """Read at half a life: 50 ms. 20 ms at another half: 50/2 + 20/2 = 35, not 100/4 + 20 3/4."""
    state, busy = fresh(FINAGLE, 1, tau="1s"), np.array([2])
    FINAGLE.done(state, 0, 0.0, 0.1, True)
    assert peak_ewma.load(state, 0, HALF, busy) == pytest.approx(0.05 * 3)
    assert state.stamp[0] == HALF
    FINAGLE.done(state, 0, 2 * HALF, 0.02, True)
    assert state.cost[0] == pytest.approx(0.035)


def test_an_unknown_endpoint_is_explored_by_one_request():
    """Load 0 while idle, beyond everything with one outstanding, whatever the other's load."""
    state = fresh(FINAGLE, 2)
    FINAGLE.done(state, 0, 1.0, 0.001, True)
    assert pick(peak_ewma, state, [0, 0], [0.0], now=1.0) == 1
    assert pick(peak_ewma, state, [900, 1], [0.0], now=1.0) == 0
    assert peak_ewma.load(state, 1, 1.0, np.array([0, 1])) == (2**63 - 1 >> 16) + 1
    FINAGLE.done(state, 1, 1.0, 0.002, True)
    assert pick(peak_ewma, state, [900, 1], [0.0], now=1.0) == 1


@pytest.mark.parametrize(
    ("costs", "busy", "draws", "finagle", "tower"),
    [
        ([0.1, 0.3, 0.2], [0, 0, 0], [0.0, 0.0], 0, 0),  # 0 and 1
        ([0.1, 0.3, 0.2], [3, 0, 0], [0.0, 0.0], 1, 1),  # 0.4 against 0.3
        ([0.1, 0.3, 0.2], [1, 0, 0], [0.0, 0.9], 2, 0),  # 0.2 against 0.2: a tie
        ([0.1, 0.3, 0.2], [1, 0, 0], [0.9, 0.0], 0, 2),  # the other way round
        ([0.1, 0.3, 0.2], [0, 0, 0], [0.4, 0.9], 2, 2),  # 1, then 2 of 0 2
    ],
)
def test_picks_by_hand(costs, busy, draws, finagle, tower):
    """The lower cost (p + 1) of two distinct ones; on a tie Finagle takes the second drawn."""
    for module, balancer, expected in (
        (peak_ewma, FINAGLE, finagle),
        (peak_ewma_tower, TOWER, tower),
    ):
        state = fresh(balancer, 3)
        state.cost[:] = costs
        assert pick(module, state, busy, draws) == expected


def test_tower_begins_with_a_default_and_decays_it():
    """30 ms times p + 1; after half a life 15 ms. A faster answer is blended in, a slower jumps."""
    state = fresh(TOWER, 2, tau="1s")
    assert peak_ewma_tower.load(state, 0, 0.0, np.array([2, 0])) == pytest.approx(0.09)
    assert peak_ewma_tower.load(state, 0, HALF, np.array([0, 0])) == pytest.approx(0.015)
    TOWER.done(state, 0, 2 * HALF, 0.005, True)
    assert state.cost[0] == pytest.approx(0.0075 + 0.0025)
    TOWER.done(state, 0, 2 * HALF, 0.5, True)
    assert state.cost[0] == 0.5


@pytest.mark.parametrize(("balancer", "first"), [(FINAGLE, 0.0), (TOWER, 0.03)])
def test_what_leaves_and_comes_back_is_new(balancer, first):
    """Its cost is forgotten, that of the others stays."""
    state, ids = fresh(balancer, 3), np.arange(3)
    for endpoint in ids:
        balancer.done(state, endpoint, 1.0, 0.4, True)
    balancer.on_endpoints(state, NO_RNG, ids, ids[1:], 2.0)
    balancer.on_endpoints(state, NO_RNG, ids[1:], ids, 3.0)
    assert state.cost.tolist() == [first, 0.4, 0.4]
    assert state.stamp[0] == 3.0


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 2)), min_size=1, max_size=30))
def test_cost_stays_between_the_last_answer_and_the_peak(events):
    """Never below the last answer, never above the highest (to rounding), whatever comes when."""
    state, now, peak = fresh(FINAGLE, 1), 0.0, 0.0
    for gap, rtt in events:
        now += gap
        peak = max(peak, rtt)
        cost = observe(state, 0, now, rtt)
        assert rtt * (1 - 1e-12) <= cost <= peak * (1 + 1e-12)
        assert observe(state, 0, now, 0.0) == cost  # a reading at the same time takes nothing


def test_aws_takes_the_fewest_of_a_node():
    """Fewest in flight; the scope is the replica, whose workers are one node of the balancer."""
    state, rng = fresh(AWS, 3), stream(1, 0, "ingress", "a")
    for endpoint, busy in enumerate((3, 1, 2)):
        AWS.on_busy(state, endpoint, busy)
    assert AWS.pick(state, rng, 0.0, -1, np.array([3, 1, 2]), NO_TRIES) == 1
    assert AWS.scope == "replica"
    AWS.on_busy(state, 0, 1)
    with wrapping():
        found = [AWS.pick(state, rng, 0.0, -1, np.array([1, 1, 2]), NO_TRIES) for _ in range(64)]
    assert set(found) == {0, 1}


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("peak_ewma", {"tau": 0}),
        ("peak_ewma_tower", {"tau": "x"}),
        ("peak_ewma_tower", {"default_rtt": "0s"}),
    ],
)
def test_impossible_options_are_told(name, options):
    """The sentence has the balancer, the option and its value."""
    balancer = registry()[name]
    with pytest.raises(BalancerError, match=rf"^{name}: {next(iter(options))} = "):
        balancer.state(balancer.options(options), [])


@pytest.mark.parametrize("name", ["peak_ewma", "peak_ewma_tower"])
def test_compiled_and_plain_agree(name, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    calls, found = history(8, calls=900, endpoints=6), registry()[name]
    picked = assert_compiled_agrees(found, {}, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
