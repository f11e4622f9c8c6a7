"""Named random streams for balancers: one xoshiro256++ state per instance.

Every function here is plain Python that numba can compile, so the reference engine and the fast
engine draw the same numbers. Called as plain Python on numpy scalars, unsigned arithmetic wraps on
purpose: do it inside :func:`wrapping`.

References
----------
D. Blackman and S. Vigna, "Scrambled Linear Pseudorandom Number Generators", ACM TOMS 47 (2021).
"""

from __future__ import annotations

import hashlib

import numpy as np

U1 = np.uint64(1)
U11 = np.uint64(11)
U17 = np.uint64(17)
U19 = np.uint64(19)
U23 = np.uint64(23)
U27 = np.uint64(27)
U30 = np.uint64(30)
U31 = np.uint64(31)
U33 = np.uint64(33)
U41 = np.uint64(41)
U45 = np.uint64(45)
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
MIX_A = np.uint64(0xBF58476D1CE4E5B9)
MIX_B = np.uint64(0x94D049BB133111EB)
TO_UNIT = 2.0**-53


def wrapping() -> np.errstate:
    """Context in which unsigned 64-bit arithmetic on numpy scalars may wrap silently."""
    return np.errstate(over="ignore")


def stream(seed: int, replication: int, stage: str, instance: str) -> np.ndarray:
    """Return the start state uint64[4] of one balancer instance's stream.

    The state is SHA-256 of the four names, so streams of different instances are independent and
    adding an instance changes no other one.
    """
    text = f"{seed}\x00{replication}\x00{stage}\x00{instance}"
    return np.frombuffer(hashlib.sha256(text.encode()).digest(), dtype="<u8").copy()


def step(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64, np.uint64]:
    """Return the 64 bits that the state (a, b, c, d) draws, and the state after it.

    A loop of many draws keeps the four words in local variables by this.
    """
    s = a + d
    x = ((s << U23) | (s >> U41)) + a
    t = b << U17
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= t
    return x, a, b, c, (d << U45) | (d >> U19)


def next_u64(rng: np.ndarray) -> np.uint64:
    """Draw 64 bits and advance the state ``rng`` (uint64[4]) in place."""
    x, a, b, c, d = step(rng[0], rng[1], rng[2], rng[3])
    rng[0] = a
    rng[1] = b
    rng[2] = c
    rng[3] = d
    return x


def uniform(rng: np.ndarray) -> float:
    """Draw a float64 in [0, 1) with 53 random bits."""
    return float(next_u64(rng) >> U11) * TO_UNIT


def lua_random(rng: np.ndarray, low: int, high: int) -> int:
    """Draw as LuaJIT's ``math.random(low, high)``: floor(u (high - low + 1)) + low."""
    return int(uniform(rng) * (high - low + 1)) + low  # of what is not negative, int is the floor


def bits31(rng: np.ndarray) -> int:
    """Draw the 31 bits that the kernel's xt_statistic compares with its threshold (int64)."""
    return upper31(next_u64(rng))


def upper31(x: np.uint64) -> int:
    """Return the upper 31 of 64 bits (int64)."""
    return np.int64(x >> U33)  # type: ignore[return-value]


def mix64(x: np.uint64) -> np.uint64:
    """Mix 64 bits (uint64 in, uint64 out): the finaliser of splitmix64."""
    z = x + GOLDEN
    z = (z ^ (z >> U30)) * MIX_A
    z = (z ^ (z >> U27)) * MIX_B
    return z ^ (z >> U31)
