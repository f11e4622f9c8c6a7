"""The random stream is xoshiro256++, and Lua's numbers are made of it."""

from __future__ import annotations

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core.rng import bits31, lua_random, next_u64, step, stream, uniform, wrapping

MASK = 2**64 - 1
words = st.tuples(*[st.integers(0, MASK)] * 4)


def published(state: list[int]) -> int:
    """Draw as the reference program of Blackman and Vigna does, in whole numbers."""

    def turned(x: int, by: int) -> int:
        return (x << by | x >> (64 - by)) & MASK

    found = (turned(state[0] + state[3] & MASK, 23) + state[0]) & MASK
    t = state[1] << 17 & MASK
    state[2] ^= state[0]
    state[3] ^= state[1]
    state[1] ^= state[2]
    state[0] ^= state[3]
    state[2] ^= t
    state[3] = turned(state[3], 45)
    return found


@given(start=words)
def test_the_stream_is_the_published_one(start):
    """Three draws and the states after them, in place and word by word."""
    expected, rng = list(start), np.array(start, np.uint64)
    local = tuple(rng)
    with wrapping():
        for _ in range(3):
            value = published(expected)
            assert int(next_u64(rng)) == value
            x, *local = step(*local)
            assert int(x) == value
            assert rng.tolist() == expected
            assert [int(word) for word in local] == expected


@given(seed=st.integers(0, 2**32), low=st.integers(1, 5), more=st.integers(0, 10_000))
def test_a_draw_of_lua_is_the_floor(seed, low, more):
    """floor(u (high - low + 1)) + low, between both ends, also with none between them."""
    rng = stream(seed, 0, "ingress", "draws")
    before = rng.copy()
    with wrapping():
        found = lua_random(rng, low, low + more - 1)
        u = uniform(before)
    assert found == math.floor(u * more) + low
    assert low <= found <= max(low + more - 1, low)


def test_31_bits_are_the_upper_ones():
    """Of the 64 bits drawn the kernel's statistic match gets the highest."""
    rng = stream(1, 0, "kube_proxy", "bits")
    same = rng.copy()
    with wrapping():
        assert [int(bits31(rng)) for _ in range(9)] == [int(next_u64(same)) >> 33 for _ in range(9)]
