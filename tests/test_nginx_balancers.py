"""nginx's least_conn and random two: picks derived by hand, and both forms agree."""

from __future__ import annotations

from collections import Counter
from itertools import product

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history

import lbbench
from lbbench.balancers import nginx_random_two
from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.nginx_peers import note_failure
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError
from lbbench.model.check import build

LEAST, TWO = registry()["nginx_least_conn"], registry()["nginx_random_two"]
NO_RNG = np.zeros(4, np.uint64)


def fresh(balancer, weights, **options):
    """Return a state that lists one peer per weight."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    state = balancer.state(balancer.options(options), endpoints)
    balancer.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(len(weights)), 0.0)
    return state


def least(state, busy, *, now=100.0, tried=()):
    """Return a pick of least_conn."""
    return LEAST.pick(state, NO_RNG, now, -1, np.array(busy), np.array(tried, np.int64))


def two(state, busy, draws, *, now=100.0, tried=()):
    """Return a pick of random two for these uniforms, all of them used."""
    script = Script(draws)
    pick = fed(nginx_random_two.pick, uniform=script)
    found = pick(state, NO_RNG, now, -1, np.array(busy), np.array(tried, np.int64))
    assert not script.waiting
    return found


def test_idle_peers_are_taken_in_smooth_weighted_round_robin():
    """All tie at 0 connections: weights 5, 1, 1 give a a b a c a a, as nginx's own order."""
    state = fresh(LEAST, [5, 1, 1])
    assert [least(state, [0, 0, 0]) for _ in range(7)] == [0, 0, 1, 0, 2, 0, 0]


@pytest.mark.parametrize(
    ("weights", "busy", "expected"),
    [
        ([1, 1, 1], [2, 1, 3], 1),
        ([2, 1], [3, 2], 0),  # 3/2 < 2
        ([2, 1], [5, 2], 1),  # 5/2 > 2
        ([1, 3], [1, 2], 1),  # 1 > 2/3
        ([1, 1], [0, 9], 0),
    ],
)
def test_the_fewest_connections_per_weight_win(weights, busy, expected):
    """Compared by cross products, so that no weight is rounded."""
    assert least(fresh(LEAST, weights), busy) == expected


def test_the_tied_alone_take_turns():
    """Of busy 1, 0, 0, 1 the two idle ones alternate; the others' running weights stay."""
    state = fresh(LEAST, [1, 1, 1, 1])
    assert [least(state, [1, 0, 0, 1]) for _ in range(4)] == [1, 2, 1, 2]
    assert list(state.current) == [0, 0, 0, 0]


def test_a_failed_peer_is_out_until_the_timeout_has_passed():
    """After one failure at second 100 it is out up to second 110, and on trial from 111."""
    state = fresh(LEAST, [1, 1])
    assert least(state, [0, 5], now=100.2, tried=[0]) == 1  # the retry tells of the failure
    for now in (100.9, 105.0, 110.999):
        assert least(state, [0, 5], now=now) == 1
    assert least(state, [0, 5], now=111.0) == 0


def test_an_answer_after_the_trial_began_forgets_the_failures():
    """They are 0 again only when the peer was accessed before it was checked."""
    state = fresh(LEAST, [1, 1])
    note_failure(state, np.array([0]), 100)
    LEAST.done(state, 0, 105.0, 0.01, True)  # an answer from before: accessed = checked
    assert state.fails[0] == 1
    least(state, [0, 5], now=111.0)  # begins the trial
    LEAST.done(state, 0, 111.5, 0.01, True)
    assert state.fails[0] == 0


def test_a_full_peer_is_left_out():
    """With max_conns 2: of 2, 1, 2 only the second may be picked, by every method, then none."""
    names = [name for name in registry() if name.startswith("nginx_")]
    assert len(names) == 10
    for name in names:
        balancer, rng = registry()[name], stream(1, 0, "ingress", name)
        state = fresh(balancer, [1, 1, 1], max_conns=2)
        with wrapping():
            for busy, expected in (([2, 1, 2], 1), ([3, 2, 2], -1)):
                picks = {
                    balancer.pick(state, rng, 5.0, key, np.array(busy), NO_TRIES)
                    for key in range(20)
                }
                assert picks == {expected}, name


def test_the_only_peer_is_left_out_only_when_it_is_full():
    """Failures do not put it out of use."""
    state = fresh(LEAST, [1], max_conns=2)
    assert least(state, [1], tried=[0]) == 0
    assert least(state, [2]) == -1
    assert least(fresh(LEAST, [1]), [10**6]) == 0


def test_the_last_try_counts_where_no_answer_came():
    """A request that is not tried again tells of its failure too: the peer is out."""
    state = fresh(LEAST, [1, 1])
    assert least(state, [0, 5]) == 0
    LEAST.done(state, 0, 100.3, 0.01, False)
    assert state.fails[0] == 1
    assert least(state, [0, 5]) == 1


def test_with_one_try_a_refusing_pod_is_out_for_ten_seconds():
    """4 pods, 1 refuses from 5 s to the end, 1 worker: one failure each 11 s, not a quarter."""

    def failed(fault: dict) -> int:
        scenario = build(
            {
                "cluster": {"nodes": 1, "pods": 4, "ingress": {"workers": 1, "replicas": 1}},
                "stages": {
                    "ingress": {"balancer": "nginx_round_robin", "next_upstream": {"tries": 1}}
                },
                "traffic": {"arrivals": {"rate": "40/s"}, "service_time": {"mean": "5ms"}},
                "timeline": [{"at": "5s", "pod": "pod-1", **fault}],
                "run": {"duration": "60s"},
            }
        )
        return lbbench.run(scenario, engine="reference").requests["failed"]

    # trials at 5, 16, 27, 38, 49 and perhaps 60 s; what is on its way when the first fails is lost
    assert 5 <= failed({"fail": "refuse"}) <= 8
    # nginx counts a 5xx only where it would try again: a quarter of 55 s at 40/s fails
    assert failed({"fail": "error"}) > 400


def test_a_failure_costs_weight_that_comes_back_by_turns():
    """Weight 4, max_fails 2: 2 are lost; each turn of round robin gives 1 back."""
    state = fresh(LEAST, [4, 4], max_fails=2)
    note_failure(state, np.array([1]), 100)
    assert list(state.effective) == [4, 2]
    for expected in (3, 4, 4):
        least(state, [0, 0])
        assert state.effective[1] == expected


def test_nothing_is_left_when_all_have_failed():
    """The request gets an error; without passive health the untried ones are still used."""
    state = fresh(LEAST, [1, 1, 1])
    for peer in range(3):
        note_failure(state, np.array([peer]), 100)
    assert least(state, [0, 0, 0]) == -1
    assert two(fresh(TWO, [1, 1]), [0, 0], [0.1] * 21, tried=[0, 1]) == -1
    state = fresh(LEAST, [1, 1, 1], max_fails=0)
    assert least(state, [0, 0, 0], tried=[0, 1]) == 2


def test_a_single_peer_is_always_used():
    """No heed is paid to failures of a peer that has no other beside it."""
    state = fresh(LEAST, [1])
    assert [least(state, [3], tried=[0]) for _ in range(3)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("busy", "draws", "tried", "expected"),
    [
        ([3, 1, 0, 2], [0.0, 0.3], [], 1),  # 0 then 1
        ([3, 1, 0, 2], [0.3, 0.0], [], 1),
        ([1, 1, 1, 1], [0.0, 0.9], [], 3),  # a tie goes to the second
        ([1, 1, 1, 1], [0.9, 0.0], [], 0),
        ([3, 1, 0, 2], [0.6, 0.6, 0.7, 0.9], [], 2),  # 2 drawn again, thrown away twice
        ([3, 1, 0, 2], [0.6, 0.9, 0.0], [2], 3),  # 2 has failed
    ],
)
def test_picks_of_two_by_hand(busy, draws, tried, expected):
    """The k-th peer is drawn by u in [k/4, (k+1)/4)."""
    assert two(fresh(TWO, [1, 1, 1, 1]), busy, draws, tried=tried) == expected


def test_draws_follow_the_weights():
    """Weights 1, 2, 1 of 4: u = 1/4 .. 3/4 is the middle one."""
    for first, second in ((0.0, 0.25), (0.0, 0.7499), (0.9, 0.3)):
        assert two(fresh(TWO, [1, 2, 1]), [9, 0, 9], [first, second]) == 1
    assert two(fresh(TWO, [1, 2, 1]), [9, 0, 9], [0.0, 0.75]) == 2
    assert two(fresh(TWO, [1, 3]), [1, 2], [0.0, 0.9]) == 1  # 2/3 < 1


def test_twenty_draws_may_be_thrown_away_then_round_robin_decides():
    """With one usable peer left no second is found: the 21st is the last draw."""
    state = fresh(TWO, [1, 1, 1])
    assert two(state, [0, 0, 0], [0.0] + [0.4] * 21, tried=[1]) == 0
    assert two(fresh(TWO, [1, 1, 1]), [0, 0, 0], [0.4] * 20 + [0.0, 0.9], tried=[1]) == 2


def test_two_distinct_peers_are_equally_likely():
    """One u from each part of both draws: the better of all ordered pairs, each once."""
    n, busy = 4, [3, 1, 0, 2]
    found = Counter(
        two(fresh(TWO, [1] * n), busy, [(a + 0.5) / n, (b + 0.5) / n])
        for a, b in product(range(n), repeat=2)
        if a != b
    )
    assert found == Counter(
        min(a, b, key=lambda i: busy[i]) for a in range(n) for b in range(n) if a != b
    )


@pytest.mark.parametrize("name", ["nginx_least_conn", "nginx_random_two"])
@pytest.mark.parametrize(
    "options",
    [{"max_fails": -1}, {"max_fails": 1.5}, {"fail_timeout": "x"}, {"fail_timeout": "1ms"}],
)
def test_impossible_options_are_told(name, options):
    """The sentence has the balancer, the option and its value."""
    balancer = registry()[name]
    with pytest.raises(BalancerError, match=rf"^{name}: {next(iter(options))} = "):
        balancer.state(balancer.options(options), [])


@pytest.mark.parametrize("name", ["nginx_least_conn", "nginx_random_two"])
@pytest.mark.parametrize("weights", [[1] * 6, [1, 3, 2, 1, 1, 5]])
def test_compiled_and_plain_agree(name, weights, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    calls = history(8, calls=2000, endpoints=6)
    picked = assert_compiled_agrees(registry()[name], {}, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}


def test_draws_come_from_the_instances_stream():
    """Another stream, other picks; the same stream, the same."""

    def picks(instance):
        state, rng = fresh(TWO, [1] * 8), stream(1, 0, "ingress", instance)
        with wrapping():
            return [TWO.pick(state, rng, 0.0, -1, np.zeros(8), NO_TRIES) for _ in range(50)]

    assert picks("a/0") == picks("a/0") != picks("a/1")
