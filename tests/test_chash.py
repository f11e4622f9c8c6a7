"""chash picks as ingress-nginx does, and moves only the keys that have to move."""

from __future__ import annotations

import math

import numpy as np
import pytest
from golden_replay import choose, fresh, listing, vectors
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.chash import CHASH
from lbbench.core.hashes import crc32_text

GOLDEN = vectors("chash")
SETS = {ring["name"]: ring for ring in GOLDEN["sets"]}
ADDED = "10.250.1.1:8080"
NAMES = [f"10.244.{i}.{7 * i % 256}:8080" for i in range(12)]
SPREAD = [crc32_text(f"k{i}") for i in range(20_000)]


@pytest.mark.parametrize("ring", GOLDEN["sets"], ids=lambda ring: ring["name"])
def test_picks_equal_the_originals(ring):
    """Every recorded key of every set of nodes, weighted ones too."""
    weights = dict(map(tuple, ring["nodes"]))
    names = ring["iteration_order_seen"]
    state = fresh(CHASH, names, weights=[weights[name] for name in names])
    recorded = [name for name, _ in ring["nodes"]]
    for key, node, _ in ring["picks"]:
        assert recorded.index(names[choose(CHASH, state, key)]) == node
    shares = CHASH.shares(state, len(names)) * 2**32
    assert dict(zip(names, shares.tolist(), strict=True)) == ring["share_points_2pow32"]


@pytest.mark.parametrize("level", GOLDEN["balancer_level"], ids=lambda level: level["hash_by"])
def test_requests_through_the_controllers_balancer(level):
    """The evaluated `upstream-hash-by` text leads to the recorded endpoint, also after a sync."""
    everyone = sorted({*level["endpoints"], *level["endpoints_after_sync"]})
    state = fresh(CHASH, everyone, listed=[])
    for endpoints, field in (
        (level["endpoints"], "endpoint"),
        (level["endpoints_after_sync"], "endpoint_after_sync"),
    ):
        listing(CHASH, state, [everyone.index(name) for name in endpoints])
        for request in level["requests"]:
            place = choose(CHASH, state, crc32_text(request["key"]))
            assert endpoints[place] == request[field]


@pytest.mark.parametrize("change", GOLDEN["remap"], ids=lambda row: f"{row['n']}-{row['change']}")
def test_as_many_keys_move_as_in_the_original(change):
    """20000 keys: the recorded number moves, and none without need."""
    names = [name for name, _ in SETS[f"n{change['n']}_w1"]["nodes"]]
    after = {
        "removed_first": names[1:],
        "removed_last": names[:-1],
        "added": [*names, ADDED],
    }[change["change"]]
    everyone = [*names, ADDED]
    state = fresh(CHASH, everyone, listed=range(len(names)))
    before = [names[choose(CHASH, state, key)] for key in SPREAD]
    listing(CHASH, state, [everyone.index(name) for name in after])
    owners = [after[choose(CHASH, state, key)] for key in SPREAD]
    moved = [(a, b) for a, b in zip(before, owners, strict=True) if a != b]
    assert len(moved) == change["moved"]
    needless = sum(a in after and b in names for a, b in moved)
    assert needless == change["moved_without_need"] == 0


@given(
    st.sets(st.integers(0, 11), min_size=1),
    st.sets(st.integers(0, 11), min_size=1),
    st.lists(st.integers(0, 2**32 - 1), max_size=40),
)
def test_only_keys_of_leaving_or_arriving_endpoints_move(before, after, keys):
    """Between any two lists a key stays unless its owner leaves or its new owner has arrived."""
    old, new = sorted(before), sorted(after)
    state = fresh(CHASH, NAMES, listed=old)
    owners = [old[choose(CHASH, state, key)] for key in keys]
    listing(CHASH, state, new)
    for key, owner in zip(keys, owners, strict=True):
        now = new[choose(CHASH, state, key)]
        assert now == owner or owner not in after or now not in before
    other = fresh(CHASH, NAMES, listed=new)
    assert all(choose(CHASH, state, key) == choose(CHASH, other, key) for key in keys)


def test_shares_are_the_arcs_and_counts_follow_them():
    """The counts of N hashed keys are within 4 standard deviations of N times the exact arc.

    Ten endpoints, one false alarm in 1600; the arcs add up to 1.
    """
    state = fresh(CHASH, NAMES[:10])
    shares = CHASH.shares(state, 10)
    assert math.isclose(shares.sum(), 1.0)
    keys = np.random.default_rng(1).integers(0, 2**32, 20_000)
    counts = np.bincount([choose(CHASH, state, key) for key in keys], minlength=10)
    spread = np.sqrt(len(keys) * shares * (1 - shares))
    assert (np.abs(counts - len(keys) * shares) < 4 * spread).all()


def test_the_spread_of_shares_is_that_of_random_points():
    """CoV of n = 10 arcs of 160 random points each: sqrt((n - 1) / (160 n)) = 7.5 %.

    The mean over 40 sets of addresses has a standard error of about 1/sqrt(2 n) / sqrt(40) of it
    (4 %); four of them: 16 %.
    """
    covs = []
    for seed in range(40):
        octets = np.random.default_rng(seed).integers(1, 255, (10, 2))
        state = fresh(CHASH, [f"10.244.{a}.{b}:8080" for a, b in octets])
        shares = CHASH.shares(state, 10)
        covs.append(shares.std() / shares.mean())
    expected = math.sqrt(9 / 1600)
    assert abs(np.mean(covs) / expected - 1) < 0.16


def test_a_retry_gets_the_same_peer_and_an_empty_key_one_pod():
    """The failed endpoint is picked again; the empty text hashes to 0 like any other."""
    state = fresh(CHASH, NAMES)
    for key in SPREAD[:50]:
        place = choose(CHASH, state, key)
        assert choose(CHASH, state, key, tried=[place]) == place
    assert crc32_text("") == 0
    assert choose(CHASH, state, 0) == int(state.owner[0])


def test_without_endpoints_there_is_no_pick():
    """An empty list gives -1, and so does a run that has no endpoint at all."""
    assert choose(CHASH, fresh(CHASH, NAMES, listed=[]), 5) == -1
    assert choose(CHASH, fresh(CHASH, []), 5) == -1
