"""Rings are lua-resty-balancer's, point by point; Maglev tables are Envoy's and Cilium's."""

from __future__ import annotations

import base64
import math
from collections import Counter

import numpy as np
import pytest
from golden_replay import vectors
from hypothesis import given, settings
from hypothesis import strategies as st

from lbbench.core import jit
from lbbench.core.hashes import crc32_text, murmur3_x64_128, xxhash64
from lbbench.core.rings import (
    arcs,
    empty_ring,
    is_prime,
    ketama_points,
    maglev_fill,
    maglev_fill_cilium,
    maglev_table,
    ring_find,
    ring_guide,
    ring_keep,
)

SETS = vectors("chash")["sets"]
KEYS = [crc32_text(key) for key in vectors("chash")["keys"]]
OPS = next(ring for ring in SETS if "ops" in ring)
TIES = vectors("chash")["ties"]
MAGLEV = vectors("maglev")


def in_order(ring):
    """Return the names and weights of a recorded ring in the original's iteration order."""
    weights = dict(map(tuple, ring["nodes"]))
    names = ring["iteration_order_seen"]
    return names, [weights[name] for name in names]


def places(hashes, keys):
    """Return the positions of the keys' points in the ring of these sorted hashes."""
    room, _, guide = empty_ring(len(hashes))
    room[: len(hashes)] = hashes
    ring_guide(room, guide, len(hashes))
    return np.array([ring_find(room, guide, len(hashes), key) for key in keys])


@pytest.mark.parametrize("ring", SETS, ids=lambda ring: ring["name"])
def test_rings_equal_the_original_ones(ring):
    """Every point with its owner, its place, every key's point, and the exact shares."""
    names, weights = in_order(ring)
    hashes, owners = ketama_points(names, weights)
    recorded = [name for name, _ in ring["nodes"]]
    index = np.array([recorded.index(name) for name in names])
    assert len(hashes) == ring["npoints"]
    assert int((np.diff(hashes.astype(np.int64)) == 0).sum()) == ring["adjacent_equal_hashes"]
    if "points" in ring:
        assert (
            list(map(list, zip(hashes.tolist(), index[owners].tolist(), strict=True)))
            == (ring["points"])
        )
    assert (
        dict(zip(names, arcs(hashes, owners, len(names)).tolist(), strict=True))
        == (ring["share_points_2pow32"])
    )
    found = places(hashes, KEYS)
    assert [[key, index[owners[at]], at] for key, at in zip(KEYS, found, strict=True)] == (
        ring["picks"]
    )


@pytest.mark.parametrize(
    "ring", [ring for ring in SETS if "next_walk" in ring], ids=lambda ring: ring["name"]
)
def test_the_next_peers_are_the_following_points(ring):
    """`next()` steps one point further, wrapping, also when the owner stays the same."""
    names, weights = in_order(ring)
    hashes, owners = ketama_points(names, weights)
    recorded = [name for name, _ in ring["nodes"]]
    for at, walk in zip(places(hashes, KEYS), ring["next_walk"], strict=False):
        steps = [names[owners[(at + step) % len(hashes)]] for step in range(len(walk))]
        assert [recorded.index(name) for name in steps] == walk


def test_weighted_operations_are_rings_of_the_resulting_weights():
    """incr, decr, set, delete, reinit give the ring that the new weights give from scratch."""
    names, start = in_order(OPS)
    weights = dict(zip(names, start, strict=True))
    for step in OPS["ops"]:
        kind, *rest = step["op"]
        if kind == "reinit":
            weights = dict(map(tuple, rest[0]))
        elif kind == "delete":
            del weights[rest[0]]
        else:
            before = {"incr": weights.get(rest[0], 0), "decr": weights.get(rest[0], 0), "set": 0}
            sign = -1 if kind == "decr" else 1
            weights[rest[0]] = before[kind] + sign * rest[1]
        hashes, owners = ketama_points(list(weights), list(weights.values()))
        assert len(hashes) == step["npoints"]
        found = [list(weights)[owners[at]] for at in places(hashes, KEYS)]
        assert [OPS["op_ids"].index(name) for name in found] == step["picks"]


@pytest.mark.parametrize("tie", TIES["same_crc32_endpoints"], ids=lambda tie: tie["pair"][0])
def test_of_two_endpoints_with_equal_crc32_the_first_gets_all(tie):
    """They share every point; the one first in iteration order owns all and is always picked."""
    names = tie["iteration_order"]
    assert [crc32_text(name) for name in tie["pair"]] == [tie["crc32"]] * 2
    hashes, owners = ketama_points(names)
    assert int((np.diff(hashes.astype(np.int64)) == 0).sum()) == tie["adjacent_equal_hashes"]
    assert (
        dict(zip(names, arcs(hashes, owners, len(names)).tolist(), strict=True))
        == (tie["share_points_2pow32"])
    )
    found = places(hashes, [crc32_text(f"k{i}") for i in range(400)])
    assert Counter(names[owners[at]] for at in found) == tie["picks_per_node"]


def test_big_rings_have_as_many_ties_as_chance_and_keep_their_order():
    """2500 endpoints: 400000 points in 2^32 give C(400000, 2) / 2^32 = 18.6 equal pairs, Poisson.

    z = 4: one false alarm in 16000. In the original all ties kept the iteration order, and their
    numbers pass the same bound.
    """
    names = [f"10.{i // 250}.{i % 250}.{i % 7}:8080" for i in range(2500)]
    hashes, owners = ketama_points(names)
    assert len(hashes) == TIES["big_rings"][0]["points"]
    equal = np.flatnonzero(np.diff(hashes.astype(np.int64)) == 0)
    mean = math.comb(400_000, 2) / 2**32
    for count in [len(equal), *(ring["ties"] for ring in TIES["big_rings"])]:
        assert abs(count - mean) < 4 * math.sqrt(mean)
    assert (owners[equal] <= owners[equal + 1]).all()
    assert (places(hashes, hashes[equal].tolist()) <= equal).all()
    assert all(ring["ties_in_reverse_order"] == 0 for ring in TIES["big_rings"])


HASHES = st.one_of(st.integers(0, 50), st.integers(0, 2**32 - 1), st.just(2**32 - 1))


@given(st.lists(HASHES, max_size=40), st.integers(0, 20), st.integers(1, 60), HASHES)
def test_a_look_up_finds_the_first_point_at_or_after_the_key(points, more, parts, key):
    """As numpy's left search, wrapping to 0, with a guide of whatever size and room to spare."""
    n = len(points)
    hashes, _, _ = empty_ring(n + more)
    hashes[:n] = sorted(points)
    hashes[n:] = 0  # points that are not in use any more
    guide = np.full(parts, -1, np.int32)
    ring_guide(hashes, guide, n)
    for wanted in (key, *points, *(min(point + 1, 2**32 - 1) for point in points)):
        expected = int(np.searchsorted(hashes[:n], wanted, "left")) % max(n, 1)
        assert ring_find(hashes, guide, n, wanted) == expected


def _find_all(hashes, guide, n, keys, found):
    ring_guide(hashes, guide, n)
    for i in range(keys.size):
        found[i] = ring_find(hashes, guide, n, keys[i])


def test_compiled_look_ups_are_numpys():
    """10 000 keys in rings of one point, of points that crowd in one part, and of even ones."""
    stream = np.random.default_rng(1)
    keys = stream.integers(0, 2**32, 10_000)
    keys[:3] = 0, 2**31, 2**32 - 1
    for drawn in (
        np.array([2**31]),
        stream.integers(2**31, 2**31 + 50_000, 300),
        stream.integers(0, 2**32, 5_000),
    ):
        n = len(drawn)
        hashes, _, guide = empty_ring(n)
        hashes[:n] = np.sort(drawn)
        found = np.zeros(len(keys), np.int64)
        jit.bind(_find_all)(hashes, guide, n, keys, found)
        np.testing.assert_array_equal(found, np.searchsorted(hashes[:n], keys) % n)


@given(st.permutations(range(8)), st.integers(0, 8))
def test_the_ring_of_a_list_is_kept_out_of_the_ring_of_all(order, n):
    """Keeping the listed endpoints' points gives the ring that the list alone gives."""
    names = [f"10.0.0.{i}:80" for i in range(8)]
    all_hash, all_owner = ketama_points(names)
    listed = np.array(order[:n], np.int64)
    hashes, owners, guide = empty_ring(len(all_hash))
    seat = np.full(8, -1, np.int64)
    hashes[:], owners[:], guide[:] = 7, 7, 7  # of a list before
    size = ring_keep(all_hash, all_owner, listed, seat, hashes, owners, guide)
    expected = ketama_points([names[i] for i in listed])
    assert (seat == -1).all()
    np.testing.assert_array_equal(hashes[:size], expected[0])
    np.testing.assert_array_equal(owners[:size], expected[1])
    assert int(arcs(hashes[:size], owners[:size], n).sum()) == (2**32 if n else 0)
    assert [ring_find(hashes, guide, size, key) for key in KEYS] == [
        int(np.searchsorted(expected[0], key)) % max(size, 1) for key in KEYS
    ]


# --- Maglev ---------------------------------------------------------------------------------------


def envoy_table(vector):
    size = vector["table_size"]
    offsets = [xxhash64(key.encode(), 0) % size for key in vector["keys"]]
    skips = [xxhash64(key.encode(), 1) % (size - 1) + 1 for key in vector["keys"]]
    return maglev_table(offsets, skips, vector["weights"], size=size)


@pytest.mark.parametrize("vector", MAGLEV["envoy"]["vectors"], ids=lambda vector: vector["name"])
def test_maglev_tables_equal_those_in_envoys_tests(vector):
    """Entry by entry, weighted ones too."""
    table = envoy_table(vector)
    assert table.tolist() == vector["table"]
    if "entries_per_key" in vector:
        assert np.bincount(table).tolist() == vector["entries_per_key"]


def cilium_table(names, size, weights=None):
    seed = int.from_bytes(base64.b64decode("JLfvgnHc2kaSUFaI")[:4], "big")
    halves = [murmur3_x64_128(name.encode(), seed) for name in names]
    offsets, skips = [a % size for a, _ in halves], [b % (size - 1) + 1 for _, b in halves]
    return maglev_table(offsets, skips, weights, size=size, turns="cilium")


def test_weighted_maglev_counts_equal_those_in_ciliums_tests():
    """Cilium's order of turns gives its published counts per backend, and the recorded table."""
    recorded = MAGLEV["cilium"]["weighted"]
    table = cilium_table(recorded["names"], recorded["table_size"], recorded["weights"])
    assert np.bincount(table).tolist() == recorded["published_counts"]
    assert table.tolist() == recorded["scratch_table"]


def test_maglev_moves_few_entries_of_the_survivors_on_removal():
    """Cilium's own bound: below 1 % of the table; tables before and after as recorded."""
    recorded = MAGLEV["cilium"]["removal"]
    size, names = recorded["table_size"], recorded["names"]
    before = cilium_table(names, size)
    after = cilium_table([name for name in names if name != "two"], size)
    assert before.tolist() == recorded["scratch_before"]
    assert after.tolist() == recorded["scratch_after_removing_two"]
    survivors = before != names.index("two")
    changed = int((before != after)[survivors].sum())
    assert changed == recorded["changed_among_survivors"]
    assert changed < 0.01 * size


@settings(max_examples=30)
@given(st.integers(1, 20), st.sampled_from([23, 101, 251]), st.integers(0, 2**32))
def test_equal_weights_share_a_maglev_table_to_one_entry(n, size, seed):
    """Turns go round, so counts differ by at most one; both orders of turns are then the same."""
    source = np.random.default_rng(seed)
    offsets, skips = source.integers(0, size, n).tolist(), source.integers(1, size, n).tolist()
    table = maglev_table(offsets, skips, size=size)
    counts = np.bincount(table, minlength=n)
    assert counts.max() - counts.min() <= 1
    assert table.tolist() == maglev_table(offsets, skips, size=size, turns="cilium").tolist()


@settings(max_examples=30)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=8), st.sampled_from(["envoy", "cilium"]))
def test_maglev_weights_are_kept_and_zero_gets_nothing(weights, turns):
    """Every slot is given when there is a weight; a backend of weight 0 owns none.

    By Envoy's rule backend i has taken at most one turn more than R w_i / heaviest after R rounds,
    so no count is further than n + 1 from its share.
    """
    size, n = 1009, len(weights)
    source = np.random.default_rng(n)
    offsets, skips = source.integers(0, size, n).tolist(), source.integers(1, size, n).tolist()
    table = maglev_table(offsets, skips, weights, size=size, turns=turns)
    if sum(weights) == 0:
        assert (table == -1).all()
        return
    counts = np.bincount(table, minlength=n)
    assert counts.sum() == size
    if turns == "envoy" or sum(weights) // n > 1:
        assert not counts[np.array(weights) == 0].any()
    if turns == "envoy":
        ideal = size * np.array(weights) / sum(weights)
        assert np.abs(counts - ideal).max() <= n + 1


def test_maglev_tables_need_a_prime_size():
    """Another size could leave slots that a permutation never reaches."""
    with pytest.raises(ValueError, match="prime"):
        maglev_table([0], [1], size=1000)
    assert [n for n in range(-2, 30) if is_prime(n)] == [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]
    assert (maglev_table([], [], size=7) == -1).all()


def fill(tables, offsets, skips, weights, place):
    maglev_fill(tables[0], offsets, skips, weights, place)
    maglev_fill_cilium(tables[1], offsets, skips, weights, place)


def test_compiled_maglev_tables_equal_plain_ones(tmp_path, monkeypatch):
    """Both orders of turns give the same tables compiled and as plain Python."""
    monkeypatch.setenv("LBBENCH_CACHE_DIR", str(tmp_path))
    source = np.random.default_rng(5)
    offsets, skips = source.integers(0, 101, 6), source.integers(1, 101, 6)
    weights = np.array([1, 2, 0, 7, 3, 3])
    ours, theirs = np.zeros((2, 101), np.int64), np.zeros((2, 101), np.int64)
    for tables, kernel in ((theirs, fill), (ours, jit.bind(fill))):
        kernel(tables, offsets, skips, weights, np.zeros((2, 6), np.int64))
    np.testing.assert_array_equal(ours, theirs)
