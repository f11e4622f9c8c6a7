"""Prequal: what enters and leaves the pool, what is hot, what is taken, by hand."""

from __future__ import annotations

import math
from collections import Counter
from itertools import product
from statistics import median_low

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers import prequal
from lbbench.balancers.base import Endpoint
from lbbench.balancers.prequal import PREQUAL, estimate
from lbbench.balancers.prequal_pool import (
    SIZE,
    THETA,
    TURN,
    WORST,
    add,
    best,
    is_hot,
    remove_one,
    see,
    use,
    worst,
)
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError

NO_RNG = np.zeros(4, np.uint64)
FOR_EVER = 2**62


def fresh(n, **options):
    """Return a client that lists ``n`` replicas."""
    endpoints = [Endpoint(f"10.0.{i // 256}.{i % 256}:80") for i in range(n)]
    state = PREQUAL.state(PREQUAL.options(options), endpoints)
    PREQUAL.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(n), 0.0)
    return state


def filled(replies, theta, **options):
    """Return a client of 10 with these replies (replica, RIF, latency) and this theta."""
    state = fresh(10, **options)
    for k, (replica, rif, latency) in enumerate(replies):
        add(state, replica, rif, latency, float(k), FOR_EVER)
    state.number[THETA] = theta
    return state


def replies(state):
    """Return (replica, RIF) of every reply, the oldest first."""
    slots = state.order[: state.number[SIZE]]
    return list(zip(state.replica[slots].tolist(), state.rif[slots].tolist(), strict=True))


MIXED = [(0, 5, 0.01), (1, 2, 0.03), (2, 3, 0.02), (3, 7, 0.005)]


@pytest.mark.parametrize(
    ("theta", "options", "taken", "removed"),
    [
        (3, {}, 2, 3),  # cold are 1 and 2, of which 2 is faster; worst is the hot one with 7
        (2, {}, 1, 3),
        (7, {}, 3, 1),  # none is hot: the fastest, and the slowest
        (1, {}, 1, 3),  # all are hot: the fewest in flight
        (7, {"q_rif": 0}, 1, 3),  # RIF alone
        (1, {"q_rif": 1}, 3, 1),  # latency alone
    ],
)
def test_what_is_taken_and_what_is_the_worst(theta, options, taken, removed):
    """Cold by latency first, then hot by RIF; the worst is the other end of it."""
    state = filled(MIXED, theta, **options)
    assert replies(state)[best(state)][0] == taken
    assert replies(state)[worst(state)][0] == removed


def test_ties_are_the_oldest_ones_but_of_cold_ones_the_one_with_less_in_flight():
    """Two cold ones of equal latency; two hot ones of equal RIF."""
    assert best(filled([(0, 2, 0.01), (1, 1, 0.01), (2, 1, 0.01)], 9)) == 1
    assert best(filled([(0, 3, 0.02), (1, 3, 0.01)], 0)) == 0
    assert worst(filled([(0, 3, 0.02), (1, 3, 0.01)], 0)) == 0


def test_a_reply_that_is_taken_has_one_more_in_flight_and_few_uses():
    """RIF 2, 3, then the second use is the last one."""
    state = fresh(4)
    add(state, 3, 2, 0.01, 0.0, 2)
    assert use(state, 0) == 3
    assert replies(state) == [(3, 3)]
    assert use(state, 0) == 3
    assert replies(state) == []


def test_the_pool_has_room_for_sixteen_and_the_oldest_leaves():
    """17 replies: number 0 is out."""
    state = fresh(20)
    for k in range(17):
        add(state, k, k, 0.0, 0.0, FOR_EVER)
    assert replies(state) == [(k, k) for k in range(1, 17)]


def test_the_oldest_and_the_worst_leave_by_turns():
    """Theta 3: oldest 0, worst 3 (RIF 7), oldest 1, then the last one, and nothing of nothing."""
    state, left = filled(MIXED, 3), []
    for _ in range(5):
        remove_one(state)
        left.append([replica for replica, _ in replies(state)])
    assert left == [[1, 2, 3], [1, 2], [2], [], []]
    assert state.number[TURN] in {0, WORST}


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=300), st.sampled_from([0.1, 0.5, 0.84, 0.99])
)
def test_theta_is_the_quantile_of_the_last_128(rifs, q):
    """The smallest RIF such that a share q of the remembered ones has no more."""
    state = fresh(2, q_rif=q)
    for k, rif in enumerate(rifs):
        see(state, rif)
        last = sorted(rifs[max(k - 127, 0) : k + 1])
        assert state.number[THETA] == last[max(math.ceil(q * len(last)), 1) - 1]


def test_hot_is_above_theta():
    """Equal to it is cold."""
    state = filled([(0, 4, 0.1), (1, 5, 0.1)], 4)
    assert [is_hot(state, k) for k in range(2)] == [False, True]


# --- latency --------------------------------------------------------------------------------------


def answered(state, replica, samples, now=0.0):
    """Let answers (RIF, seconds) of a replica come, one every millisecond."""
    for k, (rif, rtt) in enumerate(samples):
        PREQUAL.on_busy(state, replica, rif)
        PREQUAL.done(state, replica, now + 0.001 * k, rtt, True)


def test_latency_is_the_median_at_a_similar_rif():
    """Within 1 of RIF 2 there are five: seconds 10 11 20 30 31. Those at 9 are left out."""
    state = fresh(2)
    assert estimate(state, 0, 2, 0.1) == 0.0
    answered(state, 0, [(9, 99.0), (1, 10.0), (3, 31.0), (2, 20.0)])
    answered(state, 0, [(9, 98.0), (1, 11.0), (3, 30.0)])
    assert estimate(state, 0, 2, 0.1) == 20.0
    assert estimate(state, 0, 9, 0.1) == 31.0  # within 7: 9 9 3 3 2, seconds 20 30 31 98 99
    assert estimate(state, 0, 1, 0.1) == 11.0  # 3 is more than one above: 1 1 2
    assert estimate(state, 1, 2, 0.1) == 0.0


def test_old_samples_do_not_count():
    """After 2 s the slow answers are forgotten, after two more all are: the replica is unknown."""
    state = fresh(2)
    answered(state, 0, [(1, 0.9), (1, 0.8)])
    answered(state, 0, [(1, 0.1)], now=1.5)
    assert estimate(state, 0, 1, 1.5) == 0.8
    assert estimate(state, 0, 1, 2.1) == 0.1
    assert estimate(state, 0, 1, 3.6) == 0.0


def test_an_answer_has_the_rif_at_its_pick():
    """Picks of replica 0 at RIF 2, 7, 4; the second fails and is tried again: 2 and 4 are left."""
    state = fresh(1 + 1, probes=0)
    for rif in (2, 7, 4):
        assert query(state, [rif, 0], [0.0]) == 0
    PREQUAL.done(state, 0, 0.0, 0.1, True)
    fed(prequal.pick, uniform=Script([0.9]))(
        state, NO_RNG, 0.0, -1, np.array([6, 3]), np.array([0])
    )
    PREQUAL.done(state, 0, 0.0, 0.2, True)
    assert state.sample[0, 1, :2].tolist() == [2, 4]


def test_failures_are_no_samples():
    """A fast failure would make a replica attractive."""
    state = fresh(2)
    PREQUAL.done(state, 0, 0.0, 0.001, False)
    answered(state, 0, [(1, 0.5)])
    assert estimate(state, 0, 1, 0.1) == 0.5


@given(
    st.lists(st.tuples(st.integers(0, 9), st.floats(0, 1)), min_size=1, max_size=40),
    st.integers(0, 90),
    st.integers(1, 20),
)
def test_the_estimate_is_a_median_of_the_nearest(samples, rif, similar):
    """By sorting those of the last 16 that met no more than 1.25 RIF by distance, 63 at most."""
    state = fresh(1, similar=similar)
    answered(state, 0, samples)
    most = rif + max(rif // 4, 1)
    away = [(min(abs(one - rif), 63), s) for one, s in samples[-16:] if one <= most]
    expected = 0.0
    if away:
        reach = sorted(away)[:similar][-1][0]
        expected = median_low(s for far, s in away if far <= reach)
    assert estimate(state, 0, rif, 0.1) == expected
    assert not state.far.any()


# --- queries --------------------------------------------------------------------------------------


def query(state, busy, draws, now=0.0):
    """Return the pick for these draws, all of them used."""
    script = Script(draws)
    found = fed(prequal.pick, uniform=script)(state, NO_RNG, now, -1, np.array(busy), NO_TRIES)
    assert not script.waiting
    return found


def test_queries_by_hand():
    """Of five, a reply is used once, as 16 replies are more than five replicas.

    Query 1 has no replies: floor(0.7 5) = 3; probes are 0, then 0 of 1 2 3 4 = 1, then 2 of 2 3 4,
    which is 4. Query 2 finds RIFs 4, 1, 9 and theta 9 (ceil(0.84 3) = 3rd), all cold and unknown:
    the fewest in flight, 1, whose reply goes. The oldest (of 0) leaves. Query 3 takes 1 again.
    """
    state, busy = fresh(5), [4, 1, 5, 5, 9]
    assert query(state, busy, [0.7, 0.0, 0.0, 0.9]) == 3
    assert replies(state) == [(0, 4), (1, 1), (4, 9)]
    assert query(state, busy, [0.5, 0.5, 0.5]) == 1
    # probes: floor(.5 5) = 2, floor(.5 4) = 2 of 0 1 3 4 = 3, floor(.5 3) = 1 of 0 1 4 = 1
    assert replies(state) == [(4, 9), (1, 1), (2, 5), (3, 5)]
    assert query(state, busy, [0.5, 0.5, 0.5]) == 1
    # the worst of three that are cold and unknown is the oldest, 4
    assert replies(state) == [(2, 5), (3, 5), (1, 1), (2, 5), (3, 5)]


def test_old_replies_leave_before_the_choice():
    """After more than a second all are gone, and the replica is drawn."""
    state = fresh(5)
    query(state, [0] * 5, [0.0, 0.0, 0.0, 0.0], now=1.0)
    assert query(state, [0] * 5, [0.0, 0.0, 0.0], now=2.0) == 0
    assert state.number[SIZE] == 3 - 1 - 1 + 3  # one was used up, the oldest removed
    assert query(state, [0] * 5, [0.99, 0.0, 0.0, 0.0], now=3.5) == 4
    assert state.number[SIZE] == 3


@pytest.mark.parametrize(
    ("n", "options", "reuse"),
    [
        (16, {}, 1.0),
        (24, {}, 1.0),  # (1 - 16/24) 3 - 1 = 0
        (32, {}, 4.0),  # 2 / (1.5 - 1)
        (160, {}, 2 / 1.7),
        (1600, {"delta": 0.1}, 1.0),  # 1.1 / 1.97 is less than once
        (100, {"remove": 0, "pool": 10, "probes": 2}, 2 / 1.8),
    ],
)
def test_how_often_a_reply_is_used(n, options, reuse):
    """The paper's b; once where (1 - pool / n) probes - remove is not above 0."""
    assert fresh(n, **options).reuse[1] == pytest.approx(reuse)


def test_a_broken_number_of_uses_is_drawn_for():
    """Of b = 2 / 1.7 = 1.18: once with 0.82 and twice with 0.18, by one draw per reply."""
    state = fresh(160)
    query(state, [0] * 160, [0.0] + [0.0] * 3 + [0.17, 0.18, 0.1])
    assert state.left[:3].tolist() == [2, 1, 2]


def test_every_set_of_probes_is_equally_likely():
    """All 5 4 3 sequences of draws: each of the ten sets of three of five comes six times."""
    found = Counter()
    for draws in product(*([(j + 0.5) / m for j in range(m)] for m in (5, 4, 3))):
        state = fresh(5)
        fed(prequal._draw, uniform=Script(draws))(state, NO_RNG, 5)
        found[tuple(state.drawn.tolist())] += 1
    assert len(found) == 10
    assert set(found.values()) == {6}


def test_replies_of_what_leaves_go_with_it():
    """Replica 1 leaves: its reply too; places are those of the new list."""
    state, ids = filled([(0, 4, 0.0), (1, 0, 0.0), (2, 1, 0.0)], 9), np.arange(10)
    PREQUAL.on_endpoints(state, NO_RNG, ids, np.delete(ids, 1), 3.0)
    assert replies(state) == [(0, 4), (2, 1)]
    assert query(state, [0] * 9, [0.0] * 3, now=1.0) == 1  # replica 2


def test_a_slow_replica_gets_little():
    """Nine of ten answer in 10 ms, one in 100 ms, all with one in flight: below a fifth of 1/10.

    While latencies are unknown it is picked as often as any; 4000 queries make that few.
    """
    state, rng = fresh(10), stream(5, 0, "ingress", "a")
    counts, busy = np.zeros(10), np.ones(10, np.int64)
    with wrapping():
        for k in range(4000):
            place = PREQUAL.pick(state, rng, k * 0.01, -1, busy, NO_TRIES)
            counts[place] += 1
            PREQUAL.done(state, place, k * 0.01, 0.1 if place == 7 else 0.01, True)
    assert counts[7] < 4000 / 10 / 5
    assert counts.sum() == 4000


def test_a_replica_that_was_slow_is_asked_again():
    """Its slow answers are forgotten after 2 s; then the first probe, 3 of 10 a query, finds it.

    That no probe of 800 queries meets it has a chance of 0.7^800.
    """
    state, rng = fresh(10), stream(5, 0, "ingress", "a")
    late, busy = np.zeros(10), np.ones(10, np.int64)
    with wrapping():
        for k in range(3000):
            now = k * 0.01
            place = PREQUAL.pick(state, rng, now, -1, busy, NO_TRIES)
            late[place] += now >= 20.0
            slow = place == 7 and now < 20.0
            PREQUAL.done(state, place, now, 0.1 if slow else 0.01, True)
    assert late[7] > 1


@pytest.mark.parametrize(
    "options",
    [{"pool": 0}, {"probes": -1}, {"probes": 2.5}, {"age": "x"}, {"delta": 0}, {"remove": -1},
     {"q_rif": 1.1}, {"samples": 0}, {"similar": 0}, {"sample_age": "1"}],
)  # fmt: skip
def test_impossible_options_are_told(options):
    """The sentence has the balancer, the option and its value."""
    with pytest.raises(BalancerError, match=rf"^prequal: {next(iter(options))} = "):
        PREQUAL.state(PREQUAL.options(options), [])


@pytest.mark.parametrize("options", [{}, {"pool": 3, "remove": 0, "q_rif": 0.5, "age": "3s"}])
def test_compiled_and_plain_agree(options, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    calls = history(8, calls=900, endpoints=6)
    picked = assert_compiled_agrees(PREQUAL, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
