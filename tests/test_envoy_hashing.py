"""Envoy's ring and Maglev: published tables, points by hand, what moves, bounded load."""

from __future__ import annotations

import math

import numpy as np
import pytest
from feeding import NO_TRIES, assert_compiled_agrees, golden, history
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.envoy_hashing import key_of, overload
from lbbench.core.hashes import xxhash64
from lbbench.core.mersenne import below, next_twisted, seed_twister
from lbbench.core.rng import stream, wrapping
from lbbench.core.xxhash import xxhash64_of
from lbbench.errors import BalancerError

RING, MAGLEV = registry()["envoy_ring_hash"], registry()["envoy_maglev"]
PUBLISHED = golden("maglev.json")["envoy"]["vectors"]
RNG = stream(1, 0, "ingress", "a")


def fresh(balancer, addresses, weights=None, **options):
    """Return a state that lists these addresses."""
    weights = weights or [1] * len(addresses)
    endpoints = [Endpoint(*pair) for pair in zip(addresses, weights, strict=True)]
    state = balancer.state(balancer.options(options), endpoints)
    balancer.on_endpoints(state, RNG, NO_TRIES, np.arange(len(addresses)), 0.0)
    return state


def names(n):
    """Return addresses in the order of a list."""
    return sorted(f"10.244.{i % 3}.{i}:8080" for i in range(n))


def pick(balancer, state, key, busy=None):
    """Return one pick."""
    busy = np.zeros(int(state.number[0]), np.int64) if busy is None else np.array(busy)
    with wrapping():
        return int(balancer.pick(state, RNG, 0.0, key, busy, NO_TRIES))


def signed(value):
    """Return 64 bits as an int64."""
    return value - 2**64 if value >= 2**63 else value


# --- hashes and draws -----------------------------------------------------------------------------


@given(st.binary(max_size=80), st.sampled_from([0, 1, 2**64 - 1]))
def test_the_hash_of_bytes_is_that_of_texts(data, seed):
    """Both forms of xxHash64, which share no code, give the same."""
    row = np.frombuffer(data + b"?", np.uint8)
    with wrapping():
        assert int(xxhash64_of(row, len(data), np.uint64(seed))) == xxhash64(data, seed)


def test_the_twister_is_that_of_the_standard():
    """ISO/IEC 14882: the 10 000th number of mt19937 from its default seed."""
    twister = np.zeros(625, np.int64)
    seed_twister(twister, 5489)
    assert [next_twisted(twister) for _ in range(10_000)][-1] == 4123659995


@given(st.integers(0, 2**32 - 1), st.integers(1, 2000))
@settings(max_examples=20)
def test_the_twister_is_numpys(seed, n):
    """Another implementation draws the same, and `below` divides its numbers."""
    twister, bits = np.zeros(625, np.int64), np.random.MT19937()
    bits._legacy_seeding(seed)
    seed_twister(twister, seed)
    for _ in range(20):
        raw = int(bits.random_raw())
        while raw // (2**32 // n) >= n:
            raw = int(bits.random_raw())
        assert below(twister, n) == raw // (2**32 // n)


def test_keys_are_64_bits_and_an_empty_text_is_none():
    """The digest is xxHash64 as an int64; where a header is missing each request draws a key."""
    assert key_of(b"/k1") == signed(xxhash64(b"/k1", 0))
    assert key_of(b"") == -1
    for balancer in (RING, MAGLEV):
        options = {"table_size": 251} if balancer is MAGLEV else {}
        state = fresh(balancer, names(4), **options)
        assert {pick(balancer, state, -1) for _ in range(60)} == {0, 1, 2, 3}


# --- Maglev ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("vector", PUBLISHED, ids=lambda vector: vector["name"])
def test_picks_reproduce_the_tables_of_envoys_own_tests(vector):
    """Key k finds entry k mod M: the whole published table, entry by entry."""
    size = vector["table_size"]
    state = fresh(MAGLEV, vector["keys"], vector["weights"], table_size=size)
    assert [pick(MAGLEV, state, size * 10**15 + k) for k in range(size)] == vector["table"]


def test_keys_above_2_to_the_63_are_unsigned():
    """The int64 -5 is the key 2^64 - 5."""
    state = fresh(MAGLEV, names(4), table_size=251)
    assert pick(MAGLEV, state, -5) == pick(MAGLEV, state, (2**64 - 5) % 251)


# --- the ring -------------------------------------------------------------------------------------


def test_the_ring_by_hand():
    """Points of "address_i" in order; a key belongs to the first at or after it, and it wraps."""
    addresses = names(3)
    state = fresh(RING, addresses, minimum_ring_size=12)
    points = sorted(
        (xxhash64(f"{address}_{i}".encode(), 0), owner)
        for owner, address in enumerate(addresses)
        for i in range(4)
    )
    for k, (point, owner) in enumerate(points):
        assert pick(RING, state, signed(point)) == owner
        assert pick(RING, state, signed(point - 1)) == owner
        assert pick(RING, state, signed(point + 1)) == points[(k + 1) % 12][1]
    assert pick(RING, state, 0) == pick(RING, state, signed(2**64 - 2)) == points[0][1]


@pytest.mark.parametrize(
    ("weights", "ring", "counts"),
    [
        ([1] * 3, {}, [342] * 3),  # ceil(1024 / 3) each
        ([1] * 4, {"maximum_ring_size": 6, "minimum_ring_size": 1}, [1] * 4),
        ([1] * 4, {"maximum_ring_size": 6, "minimum_ring_size": 6}, [2, 1, 2, 1]),  # 1.5 each
        ([1, 2, 5], {"minimum_ring_size": 8}, [1, 2, 5]),
        ([1, 2, 5], {"minimum_ring_size": 9}, [2, 4, 10]),
    ],
)
def test_numbers_of_points(weights, ring, counts):
    """The least weight has a whole number, the others S times the weights so far."""
    state = fresh(RING, names(len(weights)), weights, **ring)
    pick(RING, state, 5)
    owners = state.owner[: state.number[4]]
    assert np.bincount(owners).tolist() == counts
    assert (np.diff(state.point[: len(owners)].astype(object)) >= 0).all()


@given(st.lists(st.integers(1, 6), min_size=1, max_size=8), st.integers(1, 60), st.data())
@settings(max_examples=25)
def test_the_ring_finds_what_a_plain_search_finds(weights, least, data):
    """Any key: the owner of the first point at or after it among all points, sorted."""
    addresses = names(len(weights))
    state = fresh(RING, addresses, weights, minimum_ring_size=least)
    pick(RING, state, 5)
    size = int(state.number[4])
    counts = np.bincount(state.owner[:size], minlength=len(weights))
    points = sorted(
        (xxhash64(f"{address}_{i}".encode(), 0), owner)
        for owner, address in enumerate(addresses)
        for i in range(counts[owner])
    )
    for key in data.draw(st.lists(st.integers(0, 2**64 - 2), min_size=5, max_size=5)):
        expected = next((owner for point, owner in points if point >= key), points[0][1])
        assert pick(RING, state, signed(key)) == expected


@pytest.mark.parametrize(
    ("name", "options"), [("envoy_ring_hash", {}), ("envoy_maglev", {"table_size": 5003})]
)
def test_shares_are_those_of_the_keys(name, options):
    """10 000 random keys fall as `shares` says: each within 5 sd of its binomial law."""
    balancer = registry()[name]
    state = fresh(balancer, names(5), [1, 1, 2, 1, 3], **options)
    shares = balancer.shares(state, 5)
    assert shares.sum() == pytest.approx(1.0)
    keys = np.random.default_rng(4).integers(-(2**63), 2**63, 10_000)
    counts = np.bincount([pick(balancer, state, key) for key in keys], minlength=5)
    assert (abs(counts - 10_000 * shares) < 5 * np.sqrt(10_000 * shares * (1 - shares))).all()


@pytest.mark.parametrize(
    ("name", "options", "others"),
    [
        ("envoy_ring_hash", {"minimum_ring_size": 1000}, 0.107 + 0.025),
        ("envoy_maglev", {"table_size": 5003}, 0.1 + 0.025),
    ],
)
def test_what_moves_when_a_host_leaves(name, options, others):
    """Its own keys all move; of the others' share at most ``others`` of all keys.

    The ring of 10 hosts has 100 points each, that of 9 has 112 (ceil 1000/9): a key of one that
    stays moves when one of the 9 x 12 new points lies before its own, at most 108 of 1008 points:
    a share of 0.107. Maglev moves about as much again as has to move, 0.1. 5 sd of the binomial law
    of 4000 keys are 0.025 at most.
    """
    balancer, n = registry()[name], 10
    state = fresh(balancer, names(n), **options)
    keys = np.random.default_rng(4).integers(-(2**63), 2**63, 4000)
    before = np.array([pick(balancer, state, key) for key in keys])
    ids = np.arange(n)
    balancer.on_endpoints(state, RNG, ids, np.delete(ids, 4), 1.0)
    after = np.array([np.delete(ids, 4)[pick(balancer, state, key)] for key in keys])
    owned = before == 4
    assert abs(owned.mean() - balancer.shares(fresh(balancer, names(n), **options), n)[4]) < 0.025
    assert not (after == 4).any()
    assert 0 < (before != after)[~owned].sum() / len(keys) < others
    balancer.on_endpoints(state, RNG, np.delete(ids, 4), ids, 2.0)
    assert [pick(balancer, state, key) for key in keys[:300]] == before[:300].tolist()


# --- bounded load ---------------------------------------------------------------------------------


def loaded(balancer, state, busy):
    """Tell a balancer what is active."""
    for host, active in enumerate(busy):
        balancer.on_busy(state, host, active)


def test_overload_by_hand():
    """Weights 1, 3 and 150 %: of (7 + 1) 1.5 = 12 slots a quarter are 3 and the rest 9."""
    state = fresh(RING, names(2), [1, 3], hash_balance_factor=150)
    busy = [4, 3]
    loaded(RING, state, busy)
    pick(RING, state, 5, busy)
    assert overload(state, 0, np.array(busy)) == 4 / 3
    assert overload(state, 1, np.array(busy)) == 3 / 9
    loaded(RING, state, [0, 1])
    assert state.bound[1] == 1  # (1 + 1) 1.5 = 3 slots: ceil 0.75 = 1, ceil 2.25 = 3
    assert overload(state, 0, np.array([1, 0])) == 1.0
    assert overload(state, 1, np.array([0, 1])) == 1 / 3


@given(
    st.lists(st.integers(0, 12), min_size=2, max_size=6),
    st.integers(100, 250),
    st.integers(-(2**63), 2**63 - 1),
    st.booleans(),
)
@settings(max_examples=80)
def test_a_host_above_its_slots_is_never_picked_while_another_is_not(busy, factor, key, maglev):
    """A host has max(ceil(ceil((active + 1) f / 100) / n), 1) slots; one above is passed over."""
    balancer = MAGLEV if maglev else RING
    small = {"table_size": 31} if maglev else {"minimum_ring_size": 20}
    n = len(busy)
    free = fresh(balancer, names(n), **small)
    state = fresh(balancer, names(n), hash_balance_factor=factor, **small)
    loaded(balancer, state, busy)
    owner, chosen = pick(balancer, free, key), pick(balancer, state, key, busy)
    slots = max(math.ceil(math.ceil((sum(busy) + 1) * factor / 100) / n), 1)
    if key != -1 and busy[owner] <= slots:
        assert chosen == owner
    assert busy[chosen] <= slots  # the mean is not above the bound, so there is always one
    if key != -1:
        assert pick(balancer, state, key, busy) == chosen
    assert state.order.tolist() == list(range(n))


def test_the_order_of_the_others_follows_the_key():
    """Whose owner is overloaded spreads over all others, each key always to the same one."""
    state = fresh(MAGLEV, names(5), table_size=31, hash_balance_factor=100)
    busy = [9, 0, 0, 0, 0]
    loaded(MAGLEV, state, busy)
    free = fresh(MAGLEV, names(5), table_size=31)
    keys = [31 * k for k in range(400)]  # all of the entry 0
    owner = pick(MAGLEV, free, 0)
    busy[0], busy[owner] = busy[owner], busy[0]
    loaded(MAGLEV, state, busy)
    found = [pick(MAGLEV, state, key, busy) for key in keys]
    counts = np.delete(np.bincount(found, minlength=5), owner)
    assert counts.sum() == 400
    assert (abs(counts - 100) < 5 * np.sqrt(400 * 0.25 * 0.75)).all()


@pytest.mark.parametrize("key", [0, 5, -7, 2**40 + 3])
def test_the_others_are_asked_in_the_order_of_the_standard_shuffle(key):
    """Six hosts, 15 active, 100 %: ceil(16 / 6) = 3 slots. With 4, 4/3, a host has too many.

    The order is worked out with another twister: host i changes places with one of i .. 5.
    """
    free = fresh(MAGLEV, names(6), table_size=31)
    state = fresh(MAGLEV, names(6), table_size=31, hash_balance_factor=100)
    owner = pick(MAGLEV, free, key)
    busy = [4, 4, 4, 0, 3, 0]
    busy[owner], busy[0] = 4, busy[owner]
    bits, order = np.random.MT19937(), list(range(6))
    bits._legacy_seeding(key % 2**32)
    for i in range(6):
        raw = 2**32
        while raw // (2**32 // (6 - i)) >= 6 - i:
            raw = int(bits.random_raw())
        j = i + raw // (2**32 // (6 - i))
        order[i], order[j] = order[j], order[i]
    loaded(MAGLEV, state, busy)
    expected = next(host for host in order if host != owner and busy[host] <= 3)
    assert pick(MAGLEV, state, key, busy) == expected


# --- options, both forms --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("envoy_maglev", {"table_size": 1000}),
        ("envoy_maglev", {"table_size": 5000077}),
        ("envoy_maglev", {"hash_balance_factor": 99}),
        ("envoy_ring_hash", {"minimum_ring_size": 0}),
        ("envoy_ring_hash", {"minimum_ring_size": 9, "maximum_ring_size": 8}),
        ("envoy_ring_hash", {"maximum_ring_size": 8388609}),
        ("envoy_ring_hash", {"hash_balance_factor": 125.0}),
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
        pytest.param(
            "envoy_ring_hash",
            {"minimum_ring_size": 50, "hash_balance_factor": 110},
            marks=pytest.mark.long,
        ),
        ("envoy_maglev", {"table_size": 31, "outlier": True, "hash_balance_factor": 110}),
    ],
)
def test_compiled_and_plain_agree(name, options, monkeypatch, tmp_path):
    """Picks, draws and states of a random history are equal bit for bit."""
    weights = [1, 3, 2, 1, 1, 5]
    endpoints = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    calls = history(8, calls=500, endpoints=6)
    calls.key[::7] = -1
    calls.key[1::7] *= -(2**31)
    found = registry()[name]
    picked = assert_compiled_agrees(found, options, endpoints, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}
