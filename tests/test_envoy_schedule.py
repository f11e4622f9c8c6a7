"""Envoy's round robin, least request and random: hand-derived picks of the written rule."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from lbbench.balancers import envoy_least_request
from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.envoy_schedule import effective_weight
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError

ROBIN, LEAST, RANDOM = (
    registry()[name] for name in ("envoy_round_robin", "envoy_least_request", "envoy_random")
)
NO_RNG = np.zeros(4, np.uint64)  # draws 0 for ever


def fresh(balancer, weights, rng=NO_RNG, now=0.0, **options):
    """Return a state that lists one host per weight."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    state = balancer.state(balancer.options(options), endpoints)
    with wrapping():
        balancer.on_endpoints(state, rng, NO_TRIES, np.arange(len(weights)), now)
    return state


def picks(balancer, state, n, now=0.0, busy=None, rng=NO_RNG):
    """Return ``n`` picks while nothing else happens."""
    size = int(state.number[0])
    busy = np.zeros(size, np.int64) if busy is None else np.array(busy)
    with wrapping():
        return [balancer.pick(state, rng, now, -1, busy, NO_TRIES) for _ in range(n)]


# --- deadlines ------------------------------------------------------------------------------------


def test_weights_5_1_1_by_deadline():
    """Deadlines .2 .4 .6 .8 of the first are earliest; its fifth, 1, was put in behind the others.

    In the next round sums of .2 reach 1.9999999999999998, and the fifth comes before the others.
    """
    state = fresh(ROBIN, [5, 1, 1])
    assert picks(ROBIN, state, 7) == [0, 0, 0, 0, 1, 2, 0]
    assert picks(ROBIN, state, 7) == [0, 0, 0, 0, 0, 1, 2]


def test_weights_4_1_1_by_deadline():
    """Sums of .25 are exact, so every round is the first one."""
    assert picks(ROBIN, fresh(ROBIN, [4, 1, 1]), 12) == [0, 0, 0, 1, 2, 0] * 2


def test_weights_2_1_by_deadline():
    """0 at .5, then both at 1: 1 was put in first; 0 at 1 and, alone, at 1.5."""
    assert picks(ROBIN, fresh(ROBIN, [2, 1]), 6) == [0, 1, 0, 0, 1, 0]


@pytest.mark.parametrize(
    ("u", "expected"),
    [
        (0.3, [0, 1, 0, 0, 1]),  # k = 0
        (0.4, [1, 0, 0, 1, 0]),  # k = 1: one pick, of 0, is made; 1 was put in before it comes back
        (0.9, [1, 0, 1, 0, 0]),  # k = 2: 0 begins with its second deadline, put in before host 1
    ],
)
def test_a_worker_begins_somewhere_in_the_schedule(u, expected):
    """Floor(3 u) = k picks of weights 2, 1 have been made.

    Host 0 has had floor(2 k / 3) of them and host 1 floor(k / 3) = 0; the rest is picked.
    """
    state = fresh(ROBIN, [2, 1])
    state.seed[0] = u
    assert picks(ROBIN, state, 5) == expected


@given(st.lists(st.integers(1, 9), min_size=2, max_size=7), st.floats(0, 0.999))
def test_shares_by_deadline_are_those_of_the_weights(weights, u):
    """Over m rounds host i is picked m w_i times, give or take 2: one at each end of the stretch.

    A host's own deadlines are 1/w apart and the schedule never runs ahead of another's deadline.
    """
    state = fresh(ROBIN, weights)
    state.seed[0] = u
    counts = Counter(picks(ROBIN, state, 4 * sum(weights)))
    for i, weight in enumerate(weights):
        assert abs(counts[i] - 4 * weight) <= 2


def test_least_request_weighs_by_active_requests_when_a_host_is_put_in():
    """Weights 2, 1, active 0, 3: first deadlines 1/2 and 4; then 0 comes with 2/(active + 1)."""
    state = fresh(LEAST, [2, 1])
    assert picks(LEAST, state, 3, busy=[0, 3]) == [0, 0, 0]  # .5, 1, 1.5
    assert state.due[0] == 2.0
    # with 9 active host 0 gets weight 0.2: its next deadline after 2.0 is 7.0, behind host 1's 4
    assert picks(LEAST, state, 2, busy=[9, 3]) == [0, 1]


@pytest.mark.parametrize(
    ("bias", "expected"), [(0.0, 6.0), (1.0, 2.0), (2.0, 6 / 9), (0.5, 6 / 3**0.5)]
)
def test_bias(bias, expected):
    """6 / (2 + 1)^bias."""
    state = fresh(LEAST, [6, 1], bias=bias)
    assert effective_weight(state, 0, 0.0, np.array([2, 0])) == pytest.approx(expected, rel=1e-15)


def test_bias_0_is_weighted_round_robin():
    """The same picks as round robin's, whatever is active."""
    plain, biased = fresh(ROBIN, [3, 1, 2]), fresh(LEAST, [3, 1, 2], bias=0)
    assert picks(ROBIN, plain, 12) == picks(LEAST, biased, 12, busy=[9, 0, 4])


# --- equal weights --------------------------------------------------------------------------------


def test_equal_weights_are_a_cycle_that_goes_on_over_changes():
    """From i = 0: 0 1 2 0; then i = 4 over four hosts is host 0, and over two 6 mod 2."""
    state = fresh(ROBIN, [2, 2, 2, 2])
    ids = np.arange(4)
    ROBIN.on_endpoints(state, NO_RNG, ids, ids[:3], 1.0)
    assert picks(ROBIN, state, 4) == [0, 1, 2, 0]
    ROBIN.on_endpoints(state, NO_RNG, ids[:3], ids, 2.0)
    assert picks(ROBIN, state, 2) == [0, 1]
    ROBIN.on_endpoints(state, NO_RNG, ids, ids[2:], 3.0)
    assert picks(ROBIN, state, 3) == [0, 1, 0]


def test_workers_begin_at_random():
    """The first picks of 1200 workers over 6 hosts: chi-square, 1 in 100 000."""
    firsts = []
    for k in range(1200):
        rng = stream(1, 0, "ingress", f"a/{k}")
        firsts += picks(ROBIN, fresh(ROBIN, [1] * 6, rng), 1)
    assert chisquare(np.bincount(firsts, minlength=6)).pvalue > 1e-5


@pytest.mark.parametrize(
    ("busy", "draws", "expected"),
    [
        ([3, 1, 2], [0.0, 0.5], 1),
        ([3, 1, 2], [0.5, 0.0], 1),
        ([2, 2, 2], [0.9, 0.0], 2),  # a tie: the first drawn stays
        ([5, 1, 2], [0.0, 0.1], 0),  # the same one twice: the busiest can win
    ],
)
def test_two_choices_by_hand(busy, draws, expected):
    """Drawn with replacement; only strictly fewer takes over."""
    state = fresh(LEAST, [1, 1, 1])
    script = Script(draws)
    pick = fed(envoy_least_request.pick, uniform=script)
    assert pick(state, NO_RNG, 0.0, -1, np.array(busy), NO_TRIES) == expected
    assert not script.waiting


def test_two_choices_are_every_pair_with_replacement():
    """All 9 pairs of 3 hosts: the busiest wins with 1/9, the middle 3/9, the least 5/9."""
    found = Counter()
    for pair in product([0.1, 0.5, 0.9], repeat=2):
        pick = fed(envoy_least_request.pick, uniform=Script(pair))
        found[pick(fresh(LEAST, [1] * 3), NO_RNG, 0.0, -1, np.array([7, 4, 1]), NO_TRIES)] += 1
    assert found == {0: 1, 1: 3, 2: 5}


def test_full_scan_takes_the_fewest_and_ties_evenly():
    """Three of five tie at 1: reservoir sampling gives each 1/3; chi-square, 1 in 100 000."""
    state, rng = fresh(LEAST, [1] * 5, full_scan=True), stream(3, 0, "ingress", "a")
    found = Counter(picks(LEAST, state, 3000, busy=[1, 4, 1, 2, 1], rng=rng))
    assert set(found) == {0, 2, 4}
    assert chisquare(list(found.values())).pvalue > 1e-5


def test_random_goes_to_all_alike_whatever_their_weights():
    """Weights are not looked at; chi-square, 1 in 100 000."""
    rng = stream(3, 0, "ingress", "a")
    found = picks(RANDOM, fresh(RANDOM, [1, 9, 3]), 3000, rng=rng)
    assert chisquare(np.bincount(found)).pvalue > 1e-5


# --- slow start -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "aggression", "factor"),
    [(0.0, 1, 0.1), (3.0, 1, 0.1), (6.0, 1, 0.2), (15.0, 1, 0.5), (15.0, 2, 0.5**0.5),
     (30.0, 1, 1.0), (31.0, 1, 1.0), (7.5, 0.5, 0.1), (15.0, 0.5, 0.25)],
)  # fmt: skip
def test_slow_start_weights_over_time(age, aggression, factor):
    """max(10 %, (t / 30 s)^(1 / aggression)) of a weight of 4, from the window's end all of it."""
    state = fresh(ROBIN, [4, 1], now=100.0, slow_start_window="30s", aggression=aggression)
    weight = effective_weight(state, 0, 100.0 + age, np.zeros(2, np.int64))
    assert weight == pytest.approx(4 * factor, rel=1e-15)


def test_the_smallest_age_is_a_millisecond():
    """Without a least weight a host begins with 1 ms / window, not with 0."""
    state = fresh(ROBIN, [1, 1], now=5.0, slow_start_window="10s", min_weight_percent=0)
    assert effective_weight(state, 0, 5.0, np.zeros(2, np.int64)) == pytest.approx(1e-4)


def test_a_new_host_is_spared_in_slow_start():
    """One of two is 6 s old of 60 (10 %): with weights 1 and 0.1 it gets one of eleven picks."""
    state = fresh(ROBIN, [1, 1], slow_start_window="60s")
    ids = np.arange(2)
    ROBIN.on_endpoints(state, NO_RNG, ids, ids[:1], 100.0)
    ROBIN.on_endpoints(state, NO_RNG, ids[:1], ids, 200.0)
    assert Counter(picks(ROBIN, state, 110, now=206.0)) == {0: 100, 1: 10}


def test_with_a_window_the_schedule_goes_on_until_the_next_change():
    """All hosts are new at first, so least request goes by deadlines; after the window it draws."""
    state, ids = fresh(LEAST, [1, 1, 1], slow_start_window="5s"), np.arange(3)
    assert picks(LEAST, state, 6, now=1.0) == [0, 1, 2, 0, 1, 2]
    assert picks(LEAST, state, 3, now=9.0) == [0, 1, 2]
    LEAST.on_endpoints(state, NO_RNG, ids, ids[:2], 10.0)
    assert picks(LEAST, state, 3, now=10.0) == [0, 0, 0]  # every draw is 0


# --- options, both forms --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("envoy_least_request", {"choices": 1}),
        ("envoy_least_request", {"bias": -1}),
        ("envoy_least_request", {"bias": float("inf")}),
        ("envoy_least_request", {"full_scan": 1}),
        ("envoy_round_robin", {"aggression": 0}),
        ("envoy_round_robin", {"min_weight_percent": 101}),
        ("envoy_round_robin", {"slow_start_window": "soon"}),
        ("envoy_round_robin", {"slow_start_window": -1}),
        ("envoy_random", {"panic_threshold": "50 %"}),
        ("envoy_random", {"outlier": "on"}),
        ("envoy_random", {"interval": "0s"}),
        ("envoy_random", {"consecutive_5xx": 0}),
        ("envoy_random", {"max_ejection_time": "20s"}),
    ],
)
def test_impossible_options_are_told(name, options):
    """The sentence has the balancer, the option and its value."""
    balancer = registry()[name]
    with pytest.raises(BalancerError, match=rf"^{name}: {next(iter(options))} = "):
        balancer.state(balancer.options(options), [])


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("envoy_round_robin", {"slow_start_window": "20s", "aggression": 1.5}),
        ("envoy_least_request", {"outlier": True, "max_ejection_percent": 100}),
        ("envoy_least_request", {"full_scan": True, "bias": 0.7}),
        ("envoy_random", {}),
    ],
)
@pytest.mark.parametrize("weights", [[1] * 6, [1, 3, 2, 1, 1, 5]])
def test_compiled_and_plain_agree(name, options, weights, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    calls = history(8, calls=700, endpoints=6)
    found = registry()[name]
    picked = assert_compiled_agrees(found, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
