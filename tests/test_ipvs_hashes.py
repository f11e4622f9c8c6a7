"""IPVS's hashing schedulers: buckets and tables by hand, SipHash against other programs."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter

import numpy as np
import pytest
from feeding import assert_compiled_agrees, history
from hypothesis import given
from hypothesis import strategies as st
from proxied import Node

from lbbench.balancers.base import Endpoint
from lbbench.balancers.ipvs import folded
from lbbench.balancers.ipvs_hashes import DH, SH, bucket_of
from lbbench.balancers.ipvs_mh import KEY_1, KEY_2, MH, SIZE
from lbbench.core.rng import wrapping
from lbbench.core.siphash import hsiphash_u32
from lbbench.errors import BalancerError

ADDRESSES = [11 * 2**24 + k for k in range(2000)]
ALL = {"sh": SH, "dh": DH, "mh": MH}

OTHER = """
import sys
assert sys.hash_info.algorithm == "siphash13"
print([hash(v.to_bytes(4, "little")) & 0xFFFFFFFF for v in (0, 1, 80, 2**31, 2**32 - 1)])
"""


# --- hashes ---------------------------------------------------------------------------------------


@pytest.mark.skipif(sys.hash_info.algorithm != "siphash13", reason="texts hash otherwise here")
def test_siphash_is_that_of_the_interpreter():
    """CPython hashes bytes by SipHash-1-3; with PYTHONHASHSEED=0 its key is zero."""
    found = subprocess.run(
        [sys.executable, "-c", OTHER],
        env={"PYTHONHASHSEED": "0"},
        capture_output=True,
        text=True,
        check=True,
    )
    with wrapping():
        ours = [int(hsiphash_u32(v, np.uint64(0))) for v in (0, 1, 80, 2**31, 2**32 - 1)]
    assert str(ours) == found.stdout.strip()


def test_buckets_of_todays_and_of_older_kernels():
    """hash_32(1) = 0x61C88647 >> 24 = 0x61, of 2^32 - 1 the complement + 1 of it: 0x9E.

    The product sees eight bits: 0xB1 = 177 times them modulo 256, whatever stands above.
    """
    assert bucket_of(1, 0) == 0x61
    assert bucket_of(2**32 - 1, 0) == 0x9E
    assert bucket_of(2, 0) == (2 * 0x61C88647 & 0xFFFFFFFF) >> 24 == 0xC3
    assert bucket_of(1, 1) == 177
    assert bucket_of(3, 1) == 3 * 177 % 256
    assert bucket_of(0x0A000003, 1) == bucket_of(3, 1)


@given(st.integers(0, 2**32 + 65535))
def test_the_short_product_is_the_whole_one(value):
    """Only the low byte of both factors reaches the low byte of the product."""
    assert bucket_of(value, 1) == value * 2654435761 & 255
    assert bucket_of(value, 0) == (value * 0x61C88647 & 0xFFFFFFFF) >> 24


def test_addresses_are_folded_as_in_the_kernel():
    """IPv4: the number; IPv6: the four words XORed."""
    assert folded("x", "10.0.0.1:80") == (0x0A000001, 80)
    assert folded("x", "[1:2:3:4:5:6:7:8]:53") == (
        0x00010002 ^ 0x00030004 ^ 0x00050006 ^ 0x00070008,
        53,
    )
    with pytest.raises(BalancerError, match="x: nonsense: must be ADDRESS:PORT"):
        folded("x", "nonsense")


# --- sh and dh ------------------------------------------------------------------------------------


def test_sh_deals_the_buckets_in_list_order_by_weight():
    """Weights 2, 1 with list 1 0: buckets 1 0 0 1 0 0 ...; a client goes to its bucket."""
    node = Node(SH, [2, 1])
    assert node.state.table[:7].tolist() == [1, 0, 0, 1, 0, 0, 1]
    for client in ADDRESSES[:50]:
        assert node.pick(client, port=7) == node.state.table[bucket_of(client, 0)]


def test_sh_shares_differ_by_one_bucket():
    """256 = 3 * 85 + 1: the head of the list, the last address, has one more."""
    node = Node(SH, [1, 1, 1])
    assert (SH.shares(node.state, 3) * 256).tolist() == [85, 85, 86]


def test_the_old_product_follows_the_last_octet_alone():
    """Clients x.x.x.5 of all networks go to one endpoint; hash_32 spreads them."""
    clients = [(k << 8) + 5 for k in range(1, 200)]
    old, new = Node(SH, [1] * 4, hash="product"), Node(SH, [1] * 4)
    assert len({old.pick(client) for client in clients}) == 1
    assert len({new.pick(client) for client in clients}) == 4


def test_the_port_counts_with_sh_port_only():
    """Without it all connections of an address stay together."""
    assert len({Node(SH, [1] * 5).pick(port=port) for port in range(40)}) == 1
    assert len({Node(SH, [1] * 5, port=True).pick(port=port) for port in range(40)}) == 5


def test_an_unusable_bucket_drops_or_falls_back():
    """Weights 1, 0: every second bucket has nobody: -1; with fallback someone is found."""
    plain, fallback = Node(SH, [1, 0]), Node(SH, [1, 0], fallback=True)
    found = Counter(plain.pick(client) for client in ADDRESSES)
    assert set(found) == {0, -1}
    assert abs(found[-1] - 1000) < 100
    assert {fallback.pick(client) for client in ADDRESSES} == {0}
    assert Node(SH, [0, 0], fallback=True).pick() == -1
    assert SH.shares(plain.state, 2).tolist() == [0.5, 0.0]


def test_dh_sends_everything_to_one():
    """A Service has one address: 20.0.0.1 has bucket 0x24 = 36 of (2 1 0)(2 1 0)...: 2."""
    node = Node(DH, [1, 1, 1])
    assert bucket_of(0x14000001, 0) == (0x14000001 * 0x61C88647 & 0xFFFFFFFF) >> 24
    expected = 2 - bucket_of(0x14000001, 0) % 3
    assert {node.pick(client) for client in ADDRESSES} == {expected}
    assert DH.shares(node.state, 3)[expected] == 1.0
    others = {Node(DH, [1] * 3, destination=f"20.0.0.{k}:80").pick() for k in range(1, 30)}
    assert others == {0, 1, 2}


def test_an_unknown_hash_is_told():
    """With the names that there are."""
    with pytest.raises(BalancerError, match="ipvs_sh: hash = md5: must be one of hash_32, product"):
        Node(SH, [1], hash="md5")


# --- mh -------------------------------------------------------------------------------------------


def rounds(weights, turns):
    """Return the table as the written rule fills it, on plain lists; list order is descending."""
    with wrapping():
        prefer = []
        for i in range(len(weights)):
            value = 0x0AF4000A + i + 80
            first = int(hsiphash_u32(value, KEY_1)) % SIZE
            skip = int(hsiphash_u32(value, KEY_2)) % (SIZE - 1) + 1
            prefer.append(iter([(first + j * skip) % SIZE for j in range(SIZE)]))
    table, free = [-1] * SIZE, SIZE
    while free:
        for i in reversed(range(len(weights))):
            for _ in range(min(turns[i], free)):
                table[next(e for e in prefer[i] if table[e] < 0)] = i
                free -= 1
    return table


@pytest.mark.parametrize(
    ("weights", "turns"),
    [
        ([1, 1, 1], [1, 1, 1]),
        ([2, 4, 6], [1, 2, 3]),
        ([128, 1, 64], [32, 1, 16]),  # eight bits are two too many: shifted, but 1 at least
        ([0, 5], [0, 1]),
    ],
)
def test_mh_fills_its_table_by_preference_in_turns(weights, turns):
    """Against lists of preferences that are walked from the front."""
    assert Node(MH, weights).state.table.tolist() == rounds(weights, turns)


def test_mh_looks_up_the_source_address():
    """Entry h1(address) mod 4093; the port is added with mh-port."""
    node = Node(MH, [1] * 5)
    with wrapping():
        entry = hsiphash_u32(ADDRESSES[3], KEY_1) % SIZE
        other = hsiphash_u32(ADDRESSES[3] + 7, KEY_1) % SIZE
    assert node.pick(ADDRESSES[3], port=7) == node.state.table[entry]
    assert Node(MH, [1] * 5, port=True).pick(ADDRESSES[3], port=7) == node.state.table[other]
    assert MH.shares(node.state, 5).sum() == pytest.approx(1.0)
    assert np.ptp(MH.shares(node.state, 5)) <= 1.0001 / SIZE


def test_mh_moves_few_others_and_sh_moves_most():
    """One of ten leaves: of the clients of the other nine mh moves below 3 %, sh over 60 %."""
    moved = {}
    for name in ("sh", "mh"):
        node = Node(ALL[name], [1] * 10)
        before = [node.pick(client) for client in ADDRESSES]
        node.change(*(i for i in range(10) if i != 4))
        after = [node.pick(client) for client in ADDRESSES]
        stayed = [(a, b) for a, b in zip(before, after, strict=True) if a != 4]
        moved[name] = sum(a != b for a, b in stayed) / len(stayed)
    assert moved["mh"] < 0.03
    assert moved["sh"] > 0.6


@pytest.mark.parametrize("name", sorted(ALL))
def test_persistence_goes_before_the_hash(name):
    """After a change a known client stays where it was, as long as that is there."""
    node = Node(ALL[name], [1] * 6, affinity_timeout=300.0)
    before = {client: node.pick(client, port=5) for client in ADDRESSES[:60]}
    node.change(0, 2, 3, 4, 5)
    after = {client: node.pick(client, port=9, now=200.0) for client in before}
    assert all(after[c] == before[c] for c in before if before[c] != 1)
    assert 1 not in after.values()


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("options", [{}, {"affinity_timeout": 200.0, "affinity_entries": 8}])
def test_compiled_code_does_the_same(name, options, monkeypatch, tmp_path):
    """Unequal weights, lists that change, also empty ones."""
    calls = history(8, calls=600, endpoints=6, keys=2**48 if not options else 20 * 65536)
    ends = [Endpoint(f"10.0.0.{i}:80", w) for i, w in enumerate([1, 4, 2, 0, 3, 1])]
    picked = assert_compiled_agrees(ALL[name], options, ends, calls, monkeypatch, tmp_path)
    assert {-9, -1} < set(picked)
