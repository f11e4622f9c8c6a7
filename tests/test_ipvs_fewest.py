"""IPVS's lc, wlc, sed and nq: choices worked out by hand, and when a closed connection counts."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import assert_compiled_agrees, history
from hypothesis import given, settings
from hypothesis import strategies as st
from proxied import Node

from lbbench.balancers.base import Endpoint
from lbbench.balancers.ipvs_fewest import LC, NQ, SED, WLC

ALL = {"lc": LC, "wlc": WLC, "sed": SED, "nq": NQ}


def with_open(balancer, weights, open_now, **options):
    node = Node(balancer, weights, **options)
    node.open[:] = open_now
    return node


def test_lc_takes_the_fewest_and_the_first_of_the_list_on_a_tie():
    """Three idle ones, list 2 1 0: 2, then 1, then 0, then 2 again."""
    node = Node(LC, [1, 1, 1])
    assert node.picks(4, opens=True) == [2, 1, 0, 2]
    assert with_open(LC, [1, 9, 1], [1, 2, 3]).pick() == 0  # lc has no weights


def test_wlc_compares_load_per_weight_without_rounding():
    """256 a / w: 2/3 < 1/1 < 3/2; at 1/1 = 2/2 = 3/3 the head of the list wins."""
    assert with_open(WLC, [1, 2, 3], [1, 3, 2]).pick() == 2
    assert with_open(WLC, [1, 2, 3], [1, 2, 3]).pick() == 2
    assert with_open(WLC, [3, 2, 1], [3, 2, 1]).pick() == 2
    assert with_open(WLC, [3, 2, 1], [2, 2, 1]).pick() == 0


def test_sed_counts_the_connection_to_come():
    """(a + 1) / w: idle 1/1 against 2/3 with one open at weight 3: the busy fast one."""
    assert with_open(SED, [1, 3], [0, 1]).pick() == 1
    assert with_open(SED, [1, 3], [0, 2]).pick() == 1  # 1/1 = 3/3: the head
    assert with_open(SED, [3, 1], [2, 0]).pick() == 1  # the same tie: 1 is still the head
    assert with_open(SED, [3, 1], [1, 0]).pick() == 0


def test_nq_takes_an_idle_one_whatever_its_weight():
    """Where sed would rather queue at the fast one; without an idle one it is sed."""
    assert with_open(NQ, [1, 3], [0, 1]).pick() == 0
    assert with_open(NQ, [1, 3], [1, 1]).pick() == 1
    assert with_open(NQ, [1, 3, 1], [0, 0, 1]).pick() == 1  # the first idle one of 2 1 0


@pytest.mark.parametrize("name", sorted(ALL))
def test_weight_zero_gets_nothing_and_nobody_is_minus_one(name):
    """Quiesced destinations are passed over."""
    assert with_open(ALL[name], [1, 0], [9, 0]).pick() == 0
    assert Node(ALL[name], [0, 0]).pick() == -1
    assert Node(ALL[name], []).pick() == -1


def test_closed_connections_count_one_each_for_two_minutes():
    """List 1 0. One connection each; 1 closes its own at 10 s and gets the next one.

    At 11.5 s both close theirs: nothing is open, 1 and 2 are lately closed, so 0 is taken although
    1 is the head. What ended in second 10 counts through second 130.
    """
    node = with_open(LC, [1, 1], [0, 1])
    assert node.pick(opens=True) == 0
    node.open[1] = 0
    assert node.pick(now=10.0, opens=True) == 1
    node.open[:] = 0
    assert node.pick(now=11.5, opens=True) == 0
    assert node.state.inactive.tolist() == [1, 2]
    node.pick(now=130.9, opens=True)
    assert node.state.inactive.tolist() == [1, 2]
    node.pick(now=131.0, opens=True)
    assert node.state.inactive.tolist() == [1, 1]


def test_a_syn_that_found_nobody_counts_as_closed():
    """The pick was made, nothing is open: at the next pick it has ended."""
    node = Node(LC, [1])
    assert node.picks(2) == [0, 0]
    assert node.state.inactive.tolist() == [1]


def test_inactive_counts_are_the_connections_that_ended():
    """Ten open; seven end by 5 s, the rest by 6 s: 7, then 10; gone after 120 s more."""
    node = with_open(WLC, [1, 5], [10, 0])
    found = []
    for now, open_now in ((1.0, 10), (5.0, 3), (6.2, 0), (125.9, 1), (126.0, 1), (400.0, 1)):
        node.open[0] = open_now
        node.pick(now=now, opens=True)
        found.append(int(node.state.inactive[0]))
    assert found == [0, 7, 10, 10, 3, 0]


@settings(max_examples=50)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([0.0, 0.4, 1.0, 3.0, 7.0]),  # time since the step before
            st.lists(st.integers(0, 4), min_size=3, max_size=3),  # how many end at each
        ),
        max_size=60,
    )
)
def test_the_buckets_are_a_list_of_endings(steps):
    """Against a list of (second, destination) that is searched at each pick; fin = 5."""
    node, now, endings = Node(LC, [1, 1, 1], fin=5), 0.0, []
    for gap, ended in steps:
        now += gap
        for endpoint, most in enumerate(ended):
            count = min(most, int(node.open[endpoint]))
            node.open[endpoint] -= count
            endings += [(int(now), endpoint)] * count
        alive = [e for second, e in endings if second >= int(now) - 5]
        load = 256 * node.open + np.bincount(alive, minlength=3)[:3]
        expected = max(range(3), key=lambda i: (-load[i], i))  # the head is the highest id
        assert node.pick(now=now, opens=True) == expected
        assert node.state.inactive.tolist() == np.bincount(alive, minlength=3).tolist()


def test_a_destination_that_comes_back_begins_anew():
    """What was open or closed before it left does not count, and is not taken for closed."""
    node = with_open(LC, [1, 1], [0, 5])
    node.pick(now=1.0)
    node.open[1] = 0
    node.pick(now=2.0)
    assert node.state.inactive[1] == 5
    node.change(0)
    node.open[1] = 3
    node.change(0, 1)
    node.pick(now=3.0)
    assert node.state.inactive[1] == 0


@pytest.mark.parametrize("name", sorted(ALL))
@pytest.mark.parametrize("options", [{}, {"affinity_timeout": 200.0, "affinity_entries": 8}])
def test_compiled_code_does_the_same(name, options, monkeypatch, tmp_path):
    """Unequal weights, lists that change, open connections at random."""
    calls = history(7, calls=2000, endpoints=6, keys=20)
    ends = [Endpoint(f"10.0.0.{i}:80", w) for i, w in enumerate([1, 4, 2, 0, 3, 1])]
    picked = assert_compiled_agrees(ALL[name], options, ends, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, *range(-1, 6)}
