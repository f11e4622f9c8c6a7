"""IPVS's rr and wrr: sequences worked out by hand, pointers over changes, persistence."""

from __future__ import annotations

from collections import Counter

import pytest
from feeding import assert_compiled_agrees, history
from hypothesis import given, settings
from hypothesis import strategies as st
from proxied import Node

from lbbench.balancers.base import Endpoint
from lbbench.balancers.ipvs import template_span
from lbbench.balancers.ipvs_turns import RR, WRR, wrr_shares


def test_turns_go_from_the_last_address_to_the_first():
    """kube-proxy adds 0, 1, 2; each comes to the head of the kernel's list: 2, 1, 0."""
    assert Node(RR, [1, 1, 1]).picks(7) == [2, 1, 0, 2, 1, 0, 2]


def test_a_new_destination_waits_for_the_end_of_the_cycle():
    """The pointer stands on 1 when 3 comes to the head: 0 is next, then 3, 2, 1."""
    node = Node(RR, [1, 1, 1, 1])
    node.change(0, 1, 2)
    assert node.picks(2) == [2, 1]
    node.change(0, 1, 2, 3)
    assert node.picks(5) == [0, 3, 2, 1, 0]


def test_the_pointer_goes_back_from_a_deleted_destination():
    """List 2 1 0, last choice 1: without 1 the next one is 0; without the head it is the head."""
    node = Node(RR, [1, 1, 1])
    assert node.picks(2) == [2, 1]
    node.change(0, 2)
    assert node.picks(3) == [0, 2, 0]
    node.change(0)
    node.change(0, 1)  # 1 comes back to the head, the pointer stands on 0
    assert node.picks(2) == [1, 0]


def test_weight_zero_gets_no_turn_and_nobody_is_minus_one():
    """Quiesced destinations are passed over."""
    assert Node(RR, [1, 0, 1]).picks(4) == [2, 0, 2, 0]
    assert Node(RR, [0, 0]).pick() == -1
    assert Node(WRR, [0, 0]).pick() == -1
    assert Node(RR, []).pick() == -1
    assert Node(WRR, []).pick() == -1


def test_weighted_turns_after_the_first_cycle():
    """Weights 3, 1, 1, list 2 1 0.

    Added one by one the current weight is 1 at first (step 3, most 1 after the first), so the first
    cycle takes all three; then 3 and 2: only 0; then 1: all.
    """
    assert Node(WRR, [3, 1, 1]).picks(13) == [2, 1, 0, 0, 0, 2, 1, 0, 0, 0, 2, 1, 0]


def test_a_common_divisor_is_the_step():
    """Weights 4, 2: step 2, most 4 - 1 = 3; current 1: both; 3: only 0; 1: both."""
    node = Node(WRR, [4, 2])
    assert node.picks(7) == [1, 0, 0, 1, 0, 0, 1]


def test_a_change_begins_at_the_head_with_the_weight_that_was_current():
    """List 2 1 0, weights 3 1 1 at current weight 3 (after 4 picks): 1 leaves, 2 0 are left.

    Deletion gives step 1, most 3; the current weight 3 stays: 0; at 2: 0; at 1: 2, 0.
    """
    node = Node(WRR, [3, 1, 1])
    assert node.picks(4) == [2, 1, 0, 0]
    node.change(0, 2)
    assert node.picks(6) == [0, 0, 2, 0, 0, 0]


@settings(max_examples=60)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.integers(0, 40))
def test_every_cycle_of_wrr_gives_the_weights(weights, head_start):
    """After the first cycle, sum(w) / g successive picks hold each destination w / g times."""
    total = sum(weights)
    node = Node(WRR, weights)
    if total == 0:
        assert node.pick() == -1
        return
    node.picks(len(weights) + head_start)
    counts = Counter(node.picks(total))
    assert [counts[i] for i in range(len(weights))] == weights
    assert wrr_shares(node.state, len(weights)) * total == pytest.approx(weights)


def test_templates_last_for_the_timeout_or_until_entries_are_gone():
    """A timer that ends within 120 s is armed anew for 60 s at a time (issue 89358)."""
    assert template_span(10800.0, 120) == 10800.0
    assert template_span(120.0, 120) == 120.0
    assert template_span(5.0, 120) == 125.0
    assert template_span(90.0, 120) == 150.0
    assert template_span(0.0, 120) == 0.0


def test_a_known_client_costs_no_turn():
    """Clients 1, 1, 2, 1, 3: 1 stays, the others take the next ones."""
    node = Node(RR, [1, 1, 1], affinity_timeout=300.0)
    assert [node.pick(client) for client in (1, 1, 2, 1, 3)] == [2, 2, 1, 2, 0]
    assert node.pick(1, now=300.0) == 2
    assert node.pick(1, now=600.1) == 2  # a new turn: 0 was the last one
    assert node.pick(2, now=600.1) == 1


def test_templates_of_a_deleted_destination_are_void():
    """Its clients are scheduled anew, also when it comes back."""
    node = Node(RR, [1, 1], affinity_timeout=300.0)
    assert [node.pick(client) for client in (1, 2)] == [1, 0]
    node.change(0)
    assert node.pick(1) == 0
    node.change(0, 1)
    assert node.pick(1) == 0


@pytest.mark.parametrize("balancer", [RR, WRR], ids=["rr", "wrr"])
@pytest.mark.parametrize("options", [{}, {"affinity_timeout": 200.0, "affinity_entries": 8}])
def test_compiled_code_does_the_same(balancer, options, monkeypatch, tmp_path):
    """Unequal weights, lists that change, also empty ones."""
    calls = history(6, calls=3000, endpoints=7, keys=20)
    ends = [Endpoint(f"10.0.0.{i}:80", w) for i, w in enumerate([1, 4, 2, 0, 3, 1, 6])]
    picked = assert_compiled_agrees(balancer, options, ends, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 7)}
