"""ClientIP affinity of the iptables balancer: the kernel's `recent` lists."""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
from feeding import NO_TRIES
from hypothesis import given
from hypothesis import strategies as st
from test_iptables_balancer import change, pick, state_of

from lbbench.balancers import iptables
from lbbench.balancers.iptables import (
    ALWAYS,
    IPTABLES_NTH,
)
from lbbench.core.rng import stream, wrapping

# --- affinity -------------------------------------------------------------------------------------

LAST = [ALWAYS - 1]  # a draw that no rule but the last takes


def test_a_client_stays_for_the_timeout_after_its_last_connection():
    """Matched up to T seconds after the last *connection*, each of which begins T anew."""
    state = state_of(2, affinity_timeout=10.0)
    assert pick(state, [0], now=0.0) == 0
    assert pick(state, key=1, now=10.0) == 0
    assert pick(state, key=1, now=20.0) == 0
    assert pick(state, LAST, key=2, now=20.0) == 1
    assert pick(state, LAST, key=1, now=30.5) == 1


def test_the_first_list_in_rule_order_wins():
    """A client that two lists know goes to the first, though the other saw it later."""
    state = state_of(3, affinity_timeout=10.0)
    assert pick(state, [0], now=0.0) == 0
    change(state, [0, 1, 2], [1, 2])
    change(state, [1, 2], [0, 1, 2])  # endpoint 0 came back with an empty list
    assert pick(state, LAST * 2, now=1.0) == 2
    change(state, [0, 1, 2], [0, 1])
    assert pick(state, LAST, now=2.0) == 1
    change(state, [0, 1], [0, 1, 2])
    assert pick(state, now=3.0) == 1


def test_lists_survive_a_rewrite_of_the_rules():
    """They belong to the endpoint: other endpoints come and go, its position changes."""
    state = state_of(4, affinity_timeout=10.0, listed=False)
    change(state, [], [1, 2])
    assert pick(state, LAST, key=5) == 1
    change(state, [1, 2], [0, 1, 2, 3])
    assert pick(state, key=5) == 2
    change(state, [0, 1, 2, 3], [2])
    assert pick(state, key=5) == 0


def test_beyond_a_hundred_clients_the_oldest_loses_its_affinity():
    """A list holds 100 addresses; the one stamped longest ago goes, not the one added first."""
    state = state_of(2, affinity_timeout=1e6)
    for client in range(100):
        assert pick(state, [0], key=client, now=1.0) == 0  # all at one time: order counts
    assert pick(state, key=0, now=1.0) == 0
    assert pick(state, [0], key=100, now=1.0) == 0
    assert pick(state, LAST, key=1, now=1.0) == 1  # forgotten
    assert pick(state, key=0, now=1.0) == 0
    assert pick(state, key=2, now=1.0) == 0


def test_nth_has_affinity_too_and_a_passed_chain_remembers_nothing():
    """A known client costs no turn of the cycle; -1 is not stamped."""
    state = state_of(3, IPTABLES_NTH, affinity_timeout=10.0)
    assert [pick(state, key=key) for key in (1, 1, 2, 1, 3)] == [0, 0, 1, 0, 2]
    state = state_of(1, probabilities=(0.5,), affinity_timeout=10.0)
    assert pick(state, LAST) == -1
    assert not state.held.any()


class KernelLists:
    """The lists as xt_recent keeps them: ordered by the last stamp, with `--reap` done."""

    def __init__(self, n: int, timeout: float, size: int) -> None:
        self.lists: list[OrderedDict[int, float]] = [OrderedDict() for _ in range(n)]
        self.timeout = timeout
        self.size = size

    def check(self, listed: Sequence[int], client: int, now: float) -> int:
        """Run the rules with `--rcheck --seconds --reap`."""
        for place, endpoint in enumerate(listed):
            entries = self.lists[endpoint]
            if client not in entries:
                continue
            matches = not entries[client] < now - self.timeout
            oldest = next(iter(entries))
            if not (oldest == client and matches) and entries[oldest] < now - self.timeout:
                del entries[oldest]
            if matches:
                return place
        return -1

    def set(self, endpoint: int, client: int, now: float) -> None:
        """Run the rule with `--set`."""
        entries = self.lists[endpoint]
        if client not in entries and len(entries) >= self.size:
            entries.popitem(last=False)
        entries[client] = now
        entries.move_to_end(client)


steps = st.lists(
    st.tuples(
        st.integers(0, 7),  # client; 7: another list of endpoints instead
        st.sampled_from([0.0, 0.5, 1.0, 3.0]),  # time since the step before
        st.sets(st.integers(0, 3), min_size=1),
    ),
    max_size=80,
)


@given(steps, st.integers(1, 4))
def test_affinity_is_that_of_the_kernels_lists(calls: list[Any], size: int):
    """Against a model with the kernel's order of entries and its `--reap`: the same picks."""
    state = state_of(4, affinity_timeout=3.0, recent_list_size=size)
    model, listed, now = KernelLists(4, 3.0, size), [0, 1, 2, 3], 0.0
    rng = np.random.default_rng(size)
    for client, gap, wanted in calls:
        now += gap
        if client == 7:
            change(state, listed, sorted(wanted))
            for endpoint in set(listed) - wanted:
                model.lists[endpoint].clear()
            listed = sorted(wanted)
            continue
        place = model.check(listed, client, now)
        if place < 0:
            place = int(rng.integers(len(listed)))
            bits = [ALWAYS - 1] * place + [0] * (place < len(listed) - 1)
            assert pick(state, bits, key=client, now=now) == place
        else:
            assert pick(state, key=client, now=now) == place
        model.set(listed[place], client, now)


def test_few_clients_share_few_endpoints():
    """With affinity the picks are no independent draws: 3 clients use at most 3 of 10 endpoints."""
    state, rng = state_of(10, affinity_timeout=10_800.0), stream(2, 0, "kube_proxy", "node-0")
    with wrapping():
        found = Counter(
            iptables.pick(state, rng, float(t), t % 3, NO_TRIES, NO_TRIES) for t in range(300)
        )
    assert len(found) <= 3
    assert sum(found.values()) == 300
