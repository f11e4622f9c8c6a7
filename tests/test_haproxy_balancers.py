"""HAProxy's leastconn and random: hand-derived picks of the written rule, and both forms agree."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history

from lbbench.balancers import haproxy_random
from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.haproxy_servers import server_numbers
from lbbench.core.nearest import MASK, full_hash, nearest, tree_points
from lbbench.core.rng import stream, wrapping
from lbbench.errors import BalancerError

LEAST, RANDOM = registry()["haproxy_leastconn"], registry()["haproxy_random"]
NO_RNG = np.zeros(4, np.uint64)


def fresh(balancer, weights, **options):
    """Return a state that lists one server per weight, in the order of their numbers."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    state = balancer.state(balancer.options(options), endpoints)
    balancer.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(len(weights)), 0.0)
    return state


class Process:
    """A process with leastconn that keeps its own books, as an engine does."""

    def __init__(self, weights, **options) -> None:
        self.state = fresh(LEAST, weights, **options)
        self.busy = np.zeros(len(weights), np.int64)

    def change(self, server, by):
        """Begin or end an attempt."""
        self.busy[server] += by
        LEAST.on_busy(self.state, server, self.busy[server])

    def pick(self, tried=()):
        """Pick and begin."""
        server = LEAST.pick(self.state, NO_RNG, 0.0, -1, self.busy, np.array(tried, np.int64))
        self.change(server, 1)
        return server


def test_equals_are_taken_in_the_order_in_which_they_became_equal():
    """Three idle ones in list order; then 1 ends before 0, so 1 comes first among the idle."""
    process = Process([1, 1, 1])
    assert [process.pick() for _ in range(3)] == [0, 1, 2]
    process.change(1, -1)
    process.change(0, -1)
    assert [process.pick() for _ in range(3)] == [1, 0, 2]  # 2 has one since before the others


def test_weights_count_with_one_attempt_more():
    """Keys (inflight + 1) 4096 / 16 w: all idle tie at 0; then weight 2 takes until it has 3."""
    process = Process([1, 2])
    # keys after each pick: 0: 512 | 1: 256 -> 1: 384 -> 1: 512 is behind 0, put in later
    assert [process.pick() for _ in range(5)] == [0, 1, 1, 1, 0]


def test_idle_servers_tie_whatever_their_weight():
    """A key of 0 for all: the first put in wins, not the heaviest."""
    assert Process([1, 9, 5]).pick() == 0


def test_a_list_that_changes_keeps_the_order_of_those_that_stay():
    """Server 0 leaves and comes back: it is put in behind 1 and 2."""
    process = Process([1, 1, 1])
    ids = np.arange(3)
    LEAST.on_endpoints(process.state, NO_RNG, ids, ids[1:], 0.0)
    LEAST.on_endpoints(process.state, NO_RNG, ids[1:], ids, 0.0)
    assert [process.pick() for _ in range(3)] == [1, 2, 0]


@pytest.mark.parametrize("name", ["haproxy_leastconn", "haproxy_random"])
def test_a_retry_goes_to_the_same_server_unless_redispatched(name):
    """Without option redispatch the server that failed is tried again; with it, another."""
    balancer, busy, failed = registry()[name], np.array([0, 1, 1]), np.array([2, 0])
    rng = stream(1, 0, "ingress", "a")
    state = fresh(balancer, [1, 1, 1])
    with wrapping():
        assert balancer.pick(state, rng, 0.0, -1, busy, failed) == 0
        state = fresh(balancer, [1, 1, 1], redispatch=True)
        picks = {balancer.pick(state, rng, 0.0, -1, busy, failed) for _ in range(40)}
    assert picks <= {1, 2}
    alone = fresh(balancer, [1], redispatch=True)
    assert balancer.pick(alone, rng, 0.0, -1, np.array([0]), np.array([0])) == 0


def test_servers_are_numbered_in_the_order_of_their_addresses():
    """Numbers are read as numbers: the list's order is that of texts."""
    addresses = sorted(f"10.244.0.{i}:8080" for i in (1, 2, 9, 10, 11))
    numbers = server_numbers([Endpoint(address) for address in addresses])
    assert dict(zip(addresses, numbers, strict=True)) == {
        f"10.244.0.{i}:8080": k + 1 for k, i in enumerate((1, 2, 9, 10, 11))
    }


def test_the_hash_avalanches():
    """Each input bit flips each output bit in about half of the cases: 6 sd of 2000 coins."""
    rng = np.random.default_rng(1)
    numbers = [int(x) for x in rng.integers(0, 2**32, 2000)]
    for bit in (0, 5, 12, 31):
        flips = np.array(
            [
                [(full_hash(x) ^ full_hash(x ^ (1 << bit))) >> b & 1 for b in range(8, 32)]
                for x in numbers
            ]
        ).mean(axis=0)
        # Jenkins' hash is good, not perfect: a bit that never or always flips would be a mistake
        assert flips.min() > 0.2
        assert flips.max() < 0.8
    assert len({full_hash(x) for x in range(70_000)}) == 70_000  # a permutation of 32 bits


def test_a_hash_belongs_to_the_nearest_point():
    """Points 10, 20, 2^32 - 10: ties go to the one below, and the circle closes."""
    points = np.array([10, 20, MASK - 9], np.int64)
    for key, expected in ((10, 0), (14, 0), (15, 0), (16, 1), (21, 1), (0, 2), (1, 0), (MASK, 2)):
        assert nearest(points, 3, key) == expected, key
    assert nearest(points, 3, 2**31) in {1, 2}
    assert nearest(points[:1], 1, 12345) == 0


def shares(n):
    """Return the share of all hashes that each of n servers of weight 1 is drawn with."""
    hashes, owners = tree_points(range(1, n + 1), [1] * n)
    after = np.append(hashes[1:], hashes[0] + 2**32)
    before = np.append(hashes[-1] - 2**32, hashes[:-1])
    return np.bincount(owners, (after - before) / 2**33, n)


def test_draws_are_as_uneven_as_the_tree():
    """Even hashes fall to the servers as the arcs say, within the 160 boundaries."""
    n, step = 10, 2**18
    hashes, owners = tree_points(range(1, n + 1), [1] * n)
    assert len(hashes) == 160
    found = [owners[nearest(hashes, len(hashes), key)] for key in range(step // 2, 2**32, step)]
    counted = np.bincount(found, minlength=n) / len(found)
    np.testing.assert_allclose(counted, shares(n), atol=32 * step / 2**32)
    assert shares(n).max() / shares(n).min() > 1.8


def draw_for(state, server):
    """Return a uniform that draws this server: the hash of one of its points."""
    point = int(np.flatnonzero(state.owners[: state.number[3]] == server)[0])
    return (int(state.hashes[point]) + 0.5) / 2**32


@pytest.mark.parametrize(
    ("busy", "drawn", "weights", "expected"),
    [
        ([3, 1, 2], [0, 1], [1, 1, 1], 1),
        ([3, 1, 2], [1, 0], [1, 1, 1], 1),
        ([2, 2, 2], [0, 1], [1, 1, 1], 1),  # a tie goes to the later draw
        ([2, 2, 2], [1, 0], [1, 1, 1], 0),
        ([2, 2, 2], [1, 1], [1, 1, 1], 1),  # the same one twice
        ([2, 3, 0], [0, 1], [1, 2, 1], 1),  # 3/2 < 2
        ([2, 5, 0], [0, 1], [1, 2, 1], 0),
    ],
)
def test_picks_of_random_by_hand(busy, drawn, weights, expected):
    """The server with less in flight per weight of two drawn."""
    state = fresh(RANDOM, weights)
    script = Script([draw_for(state, server) for server in drawn])
    pick = fed(haproxy_random.pick, uniform=script)
    assert pick(state, NO_RNG, 1.0, -1, np.array(busy), NO_TRIES) == expected
    assert not script.waiting


def test_ties_by_session_rate():
    """0 has had two sessions in the last second, 1 one: with equal loads 1 wins, drawn first."""
    state = fresh(RANDOM, [1, 1, 1], ties="session_rate")
    script = Script([])
    pick = fed(haproxy_random.pick, uniform=script)

    def picked(first, second, now):
        script.waiting.extend(draw_for(state, server) for server in (first, second))
        return pick(state, NO_RNG, now, -1, np.zeros(3, np.int64), NO_TRIES)

    assert [picked(0, 0, 5.0), picked(0, 0, 5.1), picked(1, 1, 5.2)] == [0, 0, 1]
    assert picked(1, 0, 5.3) == 1  # 1 against 2 sessions, though 0 was drawn later
    assert picked(1, 0, 5.4) == 0  # 2 against 2: the later draw
    assert picked(1, 0, 9.0) == 0  # all long ago: the later draw


def test_session_rate_counts_what_overlaps_of_the_second_before():
    """10 sessions in [5.0, 6.0): at 6.25 three quarters of that second are in the window."""
    state = fresh(RANDOM, [1, 1])
    state.tick[0] = 5000
    for k in range(10):
        haproxy_random._count_session(state, 0, 5000 + 90 * k)
    assert haproxy_random.session_rate(state, 0, 5999) == 10
    assert haproxy_random.session_rate(state, 0, 6250) == 7
    assert haproxy_random.session_rate(state, 0, 8000) == 0
    haproxy_random._count_session(state, 0, 6250)
    assert haproxy_random.session_rate(state, 0, 6250) == 8


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("haproxy_random", {"draws": 0}),
        ("haproxy_random", {"draws": True}),
        ("haproxy_random", {"ties": "first"}),
        ("haproxy_random", {"redispatch": 3}),
        ("haproxy_leastconn", {"redispatch": "yes"}),
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
        ("haproxy_leastconn", {}),
        ("haproxy_leastconn", {"redispatch": True}),
        ("haproxy_random", {}),
        ("haproxy_random", {"draws": 3, "ties": "session_rate", "redispatch": True}),
    ],
)
@pytest.mark.parametrize("weights", [[1] * 6, [1, 3, 2, 1, 1, 5]])
def test_compiled_and_plain_agree(name, options, weights, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    calls = history(8, calls=2000, endpoints=6)
    found = registry()[name]
    picked = assert_compiled_agrees(found, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
