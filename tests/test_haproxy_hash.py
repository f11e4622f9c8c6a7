"""HAProxy's hash balancers: the bound on what is in flight, and options that it does not take."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbbench.balancers.base import Endpoint, registry
from lbbench.balancers.haproxy_keys import avalanche_key, plain_key, sdbm
from lbbench.errors import BalancerError

BOUNDED, CONSISTENT = registry()["haproxy_hash_bounded"], registry()["haproxy_hash_consistent"]
NO_RNG, NO_TRIES = np.zeros(4, np.uint64), np.zeros(0, np.int64)
FACTOR = 150


def fresh(balancer, weights, **options):
    """Return a state that lists one server per weight."""
    servers = [Endpoint(f"10.0.0.{i}:80", weight) for i, weight in enumerate(weights)]
    state = balancer.state(balancer.options(options), servers)
    balancer.on_endpoints(state, NO_RNG, NO_TRIES, np.arange(len(weights)), 0.0)
    return state


def slots(weights, in_flight, factor):
    """Return what each server may have, by the rule: every unit its part, the rest along the list.

    tot = ceil((in flight + 1) factor / 100) slots, tot div W to each unit of weight, the tot mod W
    that are left in proportion along the list, at least 1; all weights times 16.
    """
    weights = [16 * w for w in weights]
    total = sum(weights)
    most = -(-(in_flight + 1) * factor // 100)
    each, rest = divmod(most, total)
    ends = np.cumsum([0, *weights])
    return [
        max(w * each + int(ends[i + 1]) * rest // total - int(ends[i]) * rest // total, 1)
        for i, w in enumerate(weights)
    ]


def test_slots_by_hand():
    """3 equal servers, 5 in flight, 150 %: ceil(6 x 1.5) = 9 slots, 3 each."""
    assert slots([1, 1, 1], 5, 150) == [3, 3, 3]
    assert slots([1, 1], 0, 150) == [1, 1]  # ceil(1.5) = 2
    assert slots([2, 1], 3, 150) == [4, 2]  # 6 slots
    assert slots([1, 1, 1], 3, 125) == [1, 2, 2]  # 5 slots: 16 x 5 // 48 = 1, 3, 5


@given(
    weights=st.lists(st.integers(1, 4), min_size=2, max_size=6),
    keys=st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=60),
    factor=st.integers(101, 300),
)
def test_nobody_gets_more_than_its_slots(weights, keys, factor):
    """Requests that never end: each server has room before a pick; the key's own goes first."""
    state = fresh(BOUNDED, weights, hash_balance_factor=factor)
    plain = fresh(CONSISTENT, weights)
    busy = np.zeros(len(weights), np.int64)
    for key in keys:
        room = np.array(slots(weights, int(busy.sum()), factor)) > busy
        assert room.any()
        own = CONSISTENT.pick(plain, NO_RNG, 0.0, key, busy, NO_TRIES)
        place = BOUNDED.pick(state, NO_RNG, 0.0, key, busy, NO_TRIES)
        assert room[place]
        assert not room[own] or place == own
        busy[place] += 1
        BOUNDED.on_busy(state, int(place), int(busy[place]))


def test_sdbm_and_source_by_hand():
    """sdbm("ab") = 98 + 97 x 65599; an IPv4 address is its number, an IPv6 one its words' xor."""
    assert sdbm(b"ab") == 98 + 97 * 65599
    assert plain_key(b"10.0.0.1") == 0x0A000001
    assert plain_key(b"2001:db8::5") == 0x20010DB8 ^ 5
    assert plain_key(b"/k1") == sdbm(b"/k1")
    assert plain_key(b"") == avalanche_key(b"") == -1


@pytest.mark.parametrize("factor", [-1, 50, 100, 1.5, True])
def test_a_factor_at_or_below_the_mean_is_refused(factor):
    """Nobody could take anything; the sentence says from where on it is allowed."""
    with pytest.raises(BalancerError, match=r"hash_balance_factor = .*above 100"):
        fresh(BOUNDED, [1, 1], hash_balance_factor=factor)


@pytest.mark.parametrize("name", [n for n in registry() if n.startswith("haproxy_")])
def test_weights_above_256_are_refused(name):
    """As HAProxy does, with the address and the way out."""
    balancer = registry()[name]
    with pytest.raises(BalancerError, match=r"10.0.0.1:80 has the weight 257.*divide all"):
        balancer.state(balancer.options({}), [Endpoint("10.0.0.1:80", 257)])


def test_without_a_key_servers_take_turns():
    """Weights 1 and 3: the map gives 1 of 4 requests to the light one."""
    balancer = registry()["haproxy_hash"]
    state = fresh(balancer, [1, 3])
    found = [balancer.pick(state, NO_RNG, 0.0, -1, np.zeros(2), NO_TRIES) for _ in range(40)]
    assert found.count(0) == 10
