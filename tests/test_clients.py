"""Client addresses are distinct and shared as NAT says; popularity follows its law."""

from __future__ import annotations

import ipaddress
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from lbbench.errors import RunError
from lbbench.traffic.clients import (
    Popularity,
    addresses_of,
    behind_nat,
    client_address,
    nat_address,
)
from lbbench.traffic.streams import Streams, pick_index

P = 1e-5


@given(st.integers(0, 2**24 - 1))
def test_a_clients_address_is_its_number_in_base_256(client):
    """Client c is 11.0.0.0 + c."""
    expected = ipaddress.ip_address("11.0.0.0") + client
    assert client_address(client) == str(expected)


@given(st.integers(0, 2**22 - 1))
def test_nat_addresses_count_up_inside_the_shared_address_space(number):
    """Gateway k is 100.64.0.0 + k, in 100.64.0.0/10."""
    address = ipaddress.ip_address(nat_address(number))
    assert address == ipaddress.ip_address("100.64.0.0") + number
    assert address in ipaddress.ip_network("100.64.0.0/10")


@given(st.integers(1, 400), st.floats(0, 1), st.integers(1, 50))
def test_nat_hides_its_share_behind_its_addresses(count, share, gateways):
    """round(share count) clients share the gateways evenly, the others have their own address."""
    index, texts = addresses_of(count, share_behind_nat=share, nat_addresses=gateways)
    assert len(set(texts)) == len(texts)
    seen = [texts[i] for i in index.tolist()]
    own = [client_address(c) == text for c, text in enumerate(seen)]
    hidden = [text for text, is_own in zip(seen, own, strict=True) if not is_own]
    assert len(hidden) == round(share * count)
    used = [hidden.count(nat_address(k)) for k in range(gateways)]
    assert sum(used) == len(hidden)
    assert max(used) - min(used) <= 1
    assert set(seen) == set(texts)


@given(st.integers(1, 400), st.floats(0, 1))
def test_clients_behind_nat_are_spread_over_the_numbers(count, share):
    """Among the first m clients the number behind NAT is m times the share, within one."""
    n = round(share * count)
    running = np.cumsum(behind_nat(count, share))
    ideal = np.arange(1, count + 1) * n / count
    assert (np.abs(running - ideal) < 1).all()


def test_more_clients_than_addresses_are_refused():
    """A sentence names the key, the value and the limit."""
    with pytest.raises(RunError, match=r"traffic\.clients\.count = 16777217: .* at most 16777216"):
        addresses_of(2**24 + 1)
    with pytest.raises(RunError, match=r"traffic\.clients\.nat_addresses = 4194305"):
        addresses_of(10, share_behind_nat=1.0, nat_addresses=2**22 + 1)


@pytest.mark.parametrize(
    ("count", "exponent"), [(50, 0.0), (500, 1.0), (100, 0.6), (1_000, 1.2), (3, 3.0), (1, 1.0)]
)
def test_popularity_follows_its_law(count, exponent):
    """Chi-square test of the counts against k^-s (items expected less than 5 times are joined)."""
    n = 100_000
    popularity = Popularity(count, exponent)
    items = popularity.sampler(Streams(1, 0).open("client")).draw(n)
    assert items.dtype == np.int64
    expected = n * np.arange(1.0, count + 1) ** -exponent
    expected /= (np.arange(1.0, count + 1) ** -exponent).sum()
    assert popularity.shares() == pytest.approx(expected / n)
    found = np.bincount(items, minlength=count)
    assert len(found) == count
    rare = expected < 5
    if rare.any():
        found = np.append(found[~rare], found[rare].sum())
        expected = np.append(expected[~rare], expected[rare].sum())
    if count > 1:
        assert stats.chisquare(found, expected).pvalue > P


@pytest.mark.parametrize(("count", "exponent"), [(7, 1.0), (500, 1.0), (40_000, 1.3), (2_000, 4.0)])
def test_the_guide_table_changes_no_draw(count, exponent):
    """Guided inversion gives exactly what a search of the whole cumulated shares gives."""
    sampler = Popularity(count, exponent).sampler(Streams(2, 0).open("key"))
    items = sampler.draw(20_000)
    uniforms = Streams(2, 0).open("key").random(20_000)
    assert (items == np.searchsorted(sampler.inverse.cumulated, uniforms, side="right")).all()


@pytest.mark.parametrize("exponent", [0.0, 1.0])
@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=8))
def test_draws_do_not_depend_on_the_size_of_blocks(exponent, sizes):
    """Drawn in any pieces, the items are those drawn at once."""
    sampler = Popularity(200, exponent).sampler(Streams(3, 0).open("client"))
    whole = Popularity(200, exponent).sampler(Streams(3, 0).open("client")).draw(sum(sizes))
    assert np.concatenate([sampler.draw(n) for n in sizes]).tolist() == whole.tolist()


@given(st.integers(1, 2**53 - 1))
def test_the_largest_uniform_number_picks_the_last_index(n):
    """The product u n never rounds up to n, so an index stays below n."""
    largest = np.array([1.0 - 2.0**-53, math.nextafter(1.0, 0.0)])
    assert (pick_index(largest, n) == n - 1).all()
