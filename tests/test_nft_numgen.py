"""kube-proxy's nftables mode: reciprocal scaling of 32 bits, and its affinity sets."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from feeding import NO_TRIES, Script, assert_compiled_agrees, fed, history
from hypothesis import given
from hypothesis import strategies as st
from proxied import Node
from scipy.stats import chisquare

from lbbench.balancers import nft_numgen
from lbbench.balancers.base import Endpoint
from lbbench.balancers.nft_numgen import NFT_NUMGEN, scaled, shares
from lbbench.core.rng import wrapping

FALSE_ALARM = 1e-5


def test_the_number_is_the_scaled_upper_half_of_a_draw():
    """Of three endpoints: u = 0, 2^32/3 rounded down and up, 2^32 - 1 give 0, 0, 1, 2."""
    node = Node(NFT_NUMGEN, [1, 1, 1])
    draws = [np.uint64(u << 32 | 0xFFFFFFFF) for u in (0, 1431655765, 1431655766, 2**32 - 1)]
    pick = fed(nft_numgen.pick, next_u64=Script(draws))
    args = (node.state, node.rng, 0.0, 1, np.zeros(3, np.int64), NO_TRIES)
    assert [pick(*args) for _ in draws] == [0, 0, 1, 2]


@given(st.integers(1, 400), st.integers(0, 2**32 - 1))
def test_every_number_is_in_range_and_shares_are_exact(n, u):
    """floor(u n / 2^32) < n; the share of k is the number of u that give k over 2^32."""
    assert scaled(u, n) == Fraction(u * n, 2**32).__floor__() < n
    exact = shares(None, n)
    k = scaled(u, n)
    low, high = (-(-j * 2**32 // n) for j in (k, k + 1))
    assert exact[k] == (high - low) / 2**32
    assert abs(exact - 1 / n).max() < 2**-32


def test_picks_are_uniform():
    """60 000 draws over 7 endpoints, chi-square."""
    counts = Counter(Node(NFT_NUMGEN, [1] * 7).picks(60_000))
    assert chisquare([counts[i] for i in range(7)]).pvalue > FALSE_ALARM


def test_a_client_stays_for_the_timeout_after_its_last_connection():
    """As long as it comes within 5 s; then it is drawn anew; others are not bound."""
    node = Node(NFT_NUMGEN, [1] * 8, affinity_timeout=5.0)
    first = node.pick(now=0.0)
    assert {node.pick(now=now) for now in (5.0, 10.0, 15.0)} == {first}
    assert len({node.pick(now=20.1 + 5.1 * k) for k in range(20)}) > 1
    assert len({node.pick(client, now=200.0) for client in range(20)}) > 1


def test_the_set_goes_with_its_endpoint():
    """An endpoint that left and came back knows nobody; the others' sets stay."""
    node = Node(NFT_NUMGEN, [1, 1], affinity_timeout=1000.0)
    clients = {client: node.pick(client) for client in range(40)}
    node.change(1)
    node.change(0, 1)
    again = {client: node.pick(client, now=1.0) for client in clients}
    assert all(again[client] == 1 for client in clients if clients[client] == 1)
    assert {again[client] for client in clients if clients[client] == 0} == {0, 1}


def test_nothing_is_drawn_without_endpoints():
    """-1, and the stream stands still."""
    node = Node(NFT_NUMGEN, [1])
    node.change()
    before = node.rng.copy()
    assert node.pick() == -1
    assert (node.rng == before).all()


@pytest.mark.parametrize("options", [{}, {"affinity_timeout": 4.0, "affinity_entries": 8}])
def test_compiled_code_does_the_same(options, monkeypatch, tmp_path):
    """With and without affinity, lists that change, few clients and more than there is room for."""
    calls = history(5, calls=3000, endpoints=6, keys=20)
    ends = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
    with wrapping():
        picked = assert_compiled_agrees(NFT_NUMGEN, options, ends, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 6)}
