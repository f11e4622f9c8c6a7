"""sticky_0.21 makes and reads cookies as ingress-nginx 0.21 does."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import pytest
from golden_replay import choose, fresh, listing
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import stats

from lbbench.balancers.chash import CHASH
from lbbench.balancers.sticky_021 import EPOCH, FIRST_PID, STICKY_021, new_cookie
from lbbench.core.hashes import crc32_text
from lbbench.errors import BalancerError

NAMES = [f"10.244.{i}.{7 * i % 256}:8080" for i in range(8)]


def cookie_of(now: float, pid: int) -> str:
    """Return the cookie's text by hashlib and %.14g."""
    return hashlib.md5(f"{now:.14g}.{pid}".encode(), usedforsecurity=False).hexdigest()


@given(
    st.integers(0, 10**10), st.integers(0, 2**22), st.sampled_from([0, EPOCH])
)  # milliseconds, pid, epoch
@example(1000, FIRST_PID, EPOCH)
@example(1100, FIRST_PID, EPOCH)
@example(1001, FIRST_PID, 0)  # 1.001 * 1000 is 1000.9999999999999
def test_the_cookie_is_the_md5_of_clock_and_pid(milliseconds: int, pid: int, epoch: int):
    """32 hexadecimal digits; their crc32 is the value that the engine carries."""
    state = fresh(STICKY_021, NAMES, epoch=epoch)
    state.pid[0] = pid
    value = new_cookie(state, milliseconds / 1000)
    expected = cookie_of(epoch + milliseconds / 1000, pid)
    assert state.digits.tobytes().decode() == expected
    assert value == crc32_text(expected)


@given(st.integers(0, 10**7), st.sets(st.integers(0, 7), min_size=1))
def test_a_new_cookie_leads_back_to_the_endpoint_that_it_was_set_by(milliseconds, listed):
    """The ring finds by the text of the cookie both times, as chash does by a key."""
    state = fresh(STICKY_021, NAMES, listed=sorted(listed))
    place = choose(STICKY_021, state, -1, now=milliseconds / 1000)
    cookie = int(state.set_cookie[0])
    assert cookie == crc32_text(cookie_of(EPOCH + milliseconds / 1000, FIRST_PID))
    assert choose(STICKY_021, state, cookie) == place
    assert state.set_cookie[0] == -1  # a request with a cookie gets none
    assert choose(CHASH, fresh(CHASH, NAMES, listed=sorted(listed)), cookie) == place


def test_one_millisecond_and_worker_make_one_cookie():
    """Another request in it gets the same; the next millisecond or another pid another."""
    first, second = fresh(STICKY_021, NAMES), fresh(STICKY_021, NAMES)
    assert first.pid[0] == FIRST_PID
    second.pid[0] = FIRST_PID + 1
    made = [new_cookie(first, 1.001), new_cookie(first, 1.001), new_cookie(first, 1.002)]
    assert made[0] == made[1] != made[2]
    assert new_cookie(second, 1.001) not in made


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 7)))
def test_failures_are_not_looked_at(cookie: int, tried: list[int]):
    """With a cookie the dead endpoint again; without one, in that millisecond, too."""
    state = fresh(STICKY_021, NAMES)
    for key in (cookie, -1):
        place = choose(STICKY_021, state, key, now=2.0)
        assert choose(STICKY_021, state, key, now=2.0, tried=[place, *tried]) == place


def test_a_retry_without_a_cookie_makes_a_new_one_when_the_clock_has_gone_on():
    """5 s later (a connect timeout) another text, by chance another endpoint: the arcs' shares.

    Of 2000 such retries as many stay as the sum of the squared arcs says; z = 4.
    """
    state = fresh(STICKY_021, NAMES)
    stays = 0
    for k in range(2000):
        place = choose(STICKY_021, state, -1, now=k / 1000)
        stays += choose(STICKY_021, state, -1, now=k / 1000 + 5.0, tried=[place]) == place
        assert state.set_cookie[0] >= 0
    p = float((STICKY_021.shares(state, len(NAMES)) ** 2).sum())
    assert abs(stays - 2000 * p) < 4 * math.sqrt(2000 * p * (1 - p))


@given(
    st.sets(st.integers(0, 7), min_size=1),
    st.sets(st.integers(0, 7), min_size=1),
    st.integers(0, 2**32 - 1),
)
def test_a_session_moves_only_when_its_arc_changes_hands(before, after, cookie):
    """Its endpoint leaves, or a new endpoint takes the arc; no cookie is replaced."""
    old, new = sorted(before), sorted(after)
    state = fresh(STICKY_021, NAMES, listed=old)
    owner = old[choose(STICKY_021, state, cookie)]
    listing(STICKY_021, state, new)
    now = new[choose(STICKY_021, state, cookie)]
    assert state.set_cookie[0] == -1
    assert now == owner or owner not in after or now not in before


def test_new_sessions_follow_the_arcs():
    """Chi-square of 4000 cookies of distinct milliseconds against the arcs: alarm below 1e-5."""
    state = fresh(STICKY_021, NAMES)
    places = [choose(STICKY_021, state, -1, now=k / 1000) for k in range(4000)]
    shares = STICKY_021.shares(state, len(NAMES))
    assert math.isclose(shares.sum(), 1.0)
    assert stats.chisquare(np.bincount(places, minlength=8), 4000 * shares).pvalue > 1e-5


def test_without_endpoints_there_is_neither_pick_nor_cookie():
    """An empty list gives -1 with and without a cookie."""
    for state in (fresh(STICKY_021, NAMES, listed=[]), fresh(STICKY_021, [])):
        for key in (-1, 7):
            assert choose(STICKY_021, state, key) == -1
            assert state.set_cookie[0] == -1


@pytest.mark.parametrize("epoch", [-1, 1.5, 10**10])
def test_an_epoch_that_cannot_be_printed_is_a_sentence(epoch):
    """It is named with its value."""
    with pytest.raises(BalancerError, match=f"sticky_0.21: epoch = {epoch}: must be a whole"):
        fresh(STICKY_021, NAMES, epoch=epoch)
