"""azure_lb spreads flows evenly and moves as many as its mapping says."""

from __future__ import annotations

import math
from hashlib import sha256

import numpy as np
import pytest
from golden_replay import choose, fresh, listing
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.balancers.azure_lb import AZURE_LB, MAPPINGS
from lbbench.core.hashes import RSS_KEY, flow_bytes, toeplitz, toeplitz_tables
from lbbench.core.rng import mix64, wrapping
from lbbench.errors import BalancerError

NODES = [f"10.224.0.{4 + i}" for i in range(10)]
N_FLOWS = 8_000


def flow_hashes(seed: int) -> list[int]:
    """Return the hashes of the 5-tuples of random clients and ports, a quarter of them IPv6."""
    tables, source = toeplitz_tables(RSS_KEY), np.random.default_rng(seed)
    hashes = []
    for octets, port in zip(
        source.integers(0, 256, (N_FLOWS, 4)).tolist(),
        source.integers(32768, 61000, N_FLOWS).tolist(),
        strict=True,
    ):
        a, b, c, d = octets
        if d % 4:
            data = flow_bytes("Default", f"11.{a}.{b}.{c}", port, "20.0.0.1", 80)
        else:
            address = f"2001:db8:{a:x}:{b:x}::{c:x}"
            data = flow_bytes("Default", address, port, "2001:db8::1", 80)
        hashes.append(int(toeplitz(tables, np.frombuffer(data, np.uint8))))
    return hashes


FLOWS = flow_hashes(11)


@pytest.mark.parametrize("mapping", MAPPINGS)
@pytest.mark.parametrize("n", [2, 3, 10])
def test_flows_of_random_clients_are_spread_like_independent_draws(mapping, n):
    """Chi-square of 8000 flows over n nodes: both tails beyond 1e-5 would be alarms."""
    state = fresh(AZURE_LB, NODES[:n], mapping=mapping)
    counts = np.bincount([choose(AZURE_LB, state, key) for key in FLOWS], minlength=n)
    p = stats.chisquare(counts).pvalue
    assert 1e-5 < p < 1 - 1e-5


def test_modulo_is_the_hash_modulo_the_healthy_nodes():
    """Position = hash mod n in the order of the list, whatever the members are called."""
    state = fresh(AZURE_LB, NODES, listed=[7, 2, 5])
    assert [choose(AZURE_LB, state, key) for key in FLOWS[:99]] == [k % 3 for k in FLOWS[:99]]


def test_rendezvous_is_the_highest_mixed_value():
    """The member whose mix64(sha256(name) XOR hash) is the highest, computed apart."""
    salts = [sha256(name.encode()).digest()[:8] for name in NODES]
    state = fresh(AZURE_LB, NODES, mapping="rendezvous")
    for flow in FLOWS[:300]:
        with wrapping():
            values = [mix64(np.frombuffer(s, "<u8")[0] ^ np.uint64(flow)) for s in salts]
        assert choose(AZURE_LB, state, flow) == int(np.argmax(values))


@pytest.mark.parametrize("leaving", [0, 4])
@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_node_that_leaves_moves_the_share_that_the_mapping_says(mapping, leaving):
    """One of n = 10 leaves: modulo moves 1 - 1/n of the flows, rendezvous and maglev 1/n.

    4 standard deviations of 8000 flows. rendezvous moves nobody else; maglev moves some of the
    others, in all less than twice 1/n.
    """
    state = fresh(AZURE_LB, NODES, mapping=mapping)
    before = np.array([choose(AZURE_LB, state, key) for key in FLOWS])
    left = np.delete(np.arange(10), leaving)
    listing(AZURE_LB, state, left)
    after = left[[choose(AZURE_LB, state, key) for key in FLOWS]]
    forced, moved = (before == leaving).mean(), (before != after).mean()
    tolerance = 4 * math.sqrt(0.1 * 0.9 / N_FLOWS)
    assert abs(forced - 0.1) < tolerance
    if mapping == "modulo":
        assert abs(moved - 0.9) < tolerance
    elif mapping == "rendezvous":
        assert moved == forced
    else:
        assert forced <= moved < 0.2


@given(
    st.permutations(range(10)),
    st.integers(1, 10),
    st.lists(st.integers(0, 2**32 - 1), max_size=30),
)
def test_rendezvous_knows_members_and_not_positions(order, n, flows):
    """The same members in another order get the same flows; a member more only takes some."""
    state = fresh(AZURE_LB, NODES, listed=order[:n], mapping="rendezvous")
    owners = [order[choose(AZURE_LB, state, flow)] for flow in flows]
    listing(AZURE_LB, state, sorted(order[:n]))
    assert [sorted(order[:n])[choose(AZURE_LB, state, flow)] for flow in flows] == owners
    if n < 10:
        listing(AZURE_LB, state, order[: n + 1])
        for flow, owner in zip(flows, owners, strict=True):
            assert order[choose(AZURE_LB, state, flow)] in (owner, order[n])


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_state_depends_on_nothing_but_the_list(mapping):
    """After any history the picks are those of a fresh state (the balancer is a pure function)."""
    state = fresh(AZURE_LB, NODES, mapping=mapping, table=251)
    for listed in ([1, 4], [], [3], [0, 2, 5, 9]):
        listing(AZURE_LB, state, listed)
        other = fresh(AZURE_LB, NODES, listed=listed, mapping=mapping, table=251)
        places = [choose(AZURE_LB, state, key) for key in FLOWS[:200]]
        assert places == [choose(AZURE_LB, other, key) for key in FLOWS[:200]]
        assert set(places) == (set(range(len(listed))) or {-1})


@pytest.mark.parametrize("mapping", MAPPINGS)
def test_a_pool_without_members_gives_no_node(mapping):
    """A cluster that has no node at all is -1 too."""
    assert choose(AZURE_LB, fresh(AZURE_LB, [], mapping=mapping), 5) == -1


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"mapping": "mod"}, "mapping = mod: must be one of modulo, rendezvous, maglev"),
        ({"table": 1000}, "table = 1000: must be a prime number"),
        ({"table": "251"}, "table = 251: must be a prime number"),
        ({"tables": 251}, "no option 'tables'"),
    ],
)
def test_bad_options_are_sentences(options, sentence):
    """Name, value and what is allowed."""
    with pytest.raises(BalancerError, match=sentence):
        fresh(AZURE_LB, NODES, **options)
