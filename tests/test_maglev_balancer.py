"""Cilium's Maglev at the nodes: its published table, one mapping everywhere, affinity."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from feeding import NO_TRIES, assert_compiled_agrees, golden, history
from proxied import Node
from scipy.stats import chisquare

from lbbench.balancers.base import Endpoint
from lbbench.balancers.maglev import MAGLEV, TABLE, entry_of
from lbbench.core.rng import wrapping
from lbbench.errors import BalancerError

FALSE_ALARM = 1e-5
RECORDED = golden("maglev.json")["cilium"]["weighted"]


def test_the_table_is_the_one_of_ciliums_own_test():
    """Its four names and weights: the published number of entries of each, and the whole table."""
    ends = [
        Endpoint(name, weight)
        for name, weight in zip(RECORDED["names"], RECORDED["weights"], strict=True)
    ]
    state = MAGLEV.state(MAGLEV.options({"table": RECORDED["table_size"]}), ends)
    MAGLEV.on_endpoints(state, None, NO_TRIES, np.arange(4), 0.0)
    assert np.bincount(state.table).tolist() == RECORDED["published_counts"]
    assert state.table.tolist() == RECORDED["scratch_table"]
    assert (MAGLEV.shares(state, 4) * 1021).round().tolist() == RECORDED["published_counts"]


def test_every_node_sends_a_flow_to_the_same_backend():
    """Two nodes, other histories of their lists, the same mapping; ports count."""
    one, other = Node(MAGLEV, [1] * 7), Node(MAGLEV, [1] * 7)
    other.change(2, 3)
    other.change(*range(7))
    flows = [(client, port) for client in range(60) for port in (5, 6, 7)]
    found = [one.pick(client, port=port) for client, port in flows]
    assert found == [other.pick(client, port=port) for client, port in flows]
    assert any(len({one.pick(client, port=port) for port in range(9)}) > 1 for client in range(5))


def test_flows_spread_evenly_over_the_table():
    """Neighbouring addresses and ports, chi-square over 64 parts of the table."""
    with wrapping():
        parts = [entry_of((11 << 40) + k, TABLE) * 64 // TABLE for k in range(40_000)]
    assert chisquare(np.bincount(parts, minlength=64)).pvalue > FALSE_ALARM


def test_a_removal_moves_few_flows_of_the_others():
    """One of ten: below 1 % of the flows of the other nine, as Cilium's test asks of its table."""
    node = Node(MAGLEV, [1] * 10)
    flows = [(client, port) for client in range(400) for port in range(5)]
    before = [node.pick(client, port=port) for client, port in flows]
    node.change(*(i for i in range(10) if i != 4))
    after = [node.pick(client, port=port) for client, port in flows]
    others = [(a, b) for a, b in zip(before, after, strict=True) if a != 4]
    assert sum(a != b for a, b in others) < 0.02 * len(others)
    assert all(b != 4 for b in after)


def test_with_affinity_ports_do_not_count_and_a_client_stays():
    """Two nodes agree on a new client; a known one stays through a change of the list."""
    node = Node(MAGLEV, [1] * 5, affinity_timeout=100.0)
    fresh = Node(MAGLEV, [1] * 5, affinity_timeout=100.0)
    before = {client: node.pick(client, port=client) for client in range(100)}
    assert before == {client: fresh.pick(client, port=9) for client in range(100)}
    node.change(0, 1, 3, 4)
    after = {client: node.pick(client, port=4, now=50.0) for client in range(100)}
    assert all(after[c] == before[c] for c in before if before[c] != 2)
    assert 2 not in after.values()
    assert len(Counter(after.values())) == 4


def test_nobody_and_wrong_sizes():
    """No backends: -1. A table of 100 is refused with a size that works."""
    assert Node(MAGLEV, []).pick() == -1
    with pytest.raises(
        BalancerError, match=f"table = 100: must be a prime number, such as {TABLE}"
    ):
        Node(MAGLEV, [1], table=100)


@pytest.mark.parametrize("options", [{}, {"affinity_timeout": 4.0, "affinity_entries": 8}])
def test_compiled_code_does_the_same(options, monkeypatch, tmp_path):
    """Unequal weights, lists that change, a small table."""
    calls = history(9, calls=1500, endpoints=6, keys=20 * 65536)
    ends = [Endpoint(f"10.0.0.{i}:80", w) for i, w in enumerate([1, 4, 2, 1, 3, 1])]
    given = {**options, "table": 251}
    picked = assert_compiled_agrees(MAGLEV, given, ends, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 6)}
