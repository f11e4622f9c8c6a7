"""The 64-bit xxHash of bytes that are put together while a program runs; compiles.

`lbbench.core.hashes.xxhash64` gives the same numbers for texts that are known before a run. Called
as plain Python, unsigned arithmetic wraps on purpose: do it inside `lbbench.core.rng.wrapping`.

References
----------
Y. Collet, "xxHash fast digest algorithm", specification 0.1.1.
"""

from __future__ import annotations

import numpy as np

U1, U7, U11, U12, U18 = (np.uint64(n) for n in (1, 7, 11, 12, 18))
U23, U27, U29, U31, U32, U33, U64 = (np.uint64(n) for n in (23, 27, 29, 31, 32, 33, 64))
P1 = np.uint64(0x9E3779B185EBCA87)  # PRIME64_1 .. PRIME64_5
P2 = np.uint64(0xC2B2AE3D27D4EB4F)
P3 = np.uint64(0x165667B19E3779F9)
P4 = np.uint64(0x85EBCA77C2B2AE63)
P5 = np.uint64(0x27D4EB2F165667C5)
ZERO = np.uint64(0)
STRIPE, WORD, HALF = 32, 8, 4


def xxhash64_of(data: np.ndarray, size: int, seed: np.uint64) -> np.uint64:
    """Return the hash of the first ``size`` of ``data`` (uint8[n])."""
    at = 0
    value = seed + P5
    if size >= STRIPE:
        a = seed + P1 + P2
        b = seed + P2
        c = seed
        d = seed - P1
        while at + STRIPE <= size:
            a = _round(a, _word(data, at, WORD))
            b = _round(b, _word(data, at + 8, WORD))
            c = _round(c, _word(data, at + 16, WORD))
            d = _round(d, _word(data, at + 24, WORD))
            at += STRIPE
        value = _rotated(a, U1) + _rotated(b, U7) + _rotated(c, U12) + _rotated(d, U18)
        value = _merged(_merged(_merged(_merged(value, a), b), c), d)
    value += np.uint64(size)
    while at + WORD <= size:
        value = _rotated(value ^ _round(ZERO, _word(data, at, WORD)), U27) * P1 + P4
        at += WORD
    if at + HALF <= size:
        value = _rotated(value ^ (_word(data, at, HALF) * P1), U23) * P2 + P3
        at += HALF
    while at < size:
        value = _rotated(value ^ (np.uint64(data[at]) * P5), U11) * P1
        at += 1
    value = (value ^ (value >> U33)) * P2
    value = (value ^ (value >> U29)) * P3
    return value ^ (value >> U32)


def _rotated(x: np.uint64, by: np.uint64) -> np.uint64:
    return (x << by) | (x >> (U64 - by))


def _round(lane: np.uint64, word: np.uint64) -> np.uint64:
    return _rotated(lane + word * P2, U31) * P1


def _merged(value: np.uint64, lane: np.uint64) -> np.uint64:
    return (value ^ _round(ZERO, lane)) * P1 + P4


def _word(data: np.ndarray, at: int, size: int) -> np.uint64:
    """Return ``size`` bytes as a little-endian number."""
    word = ZERO
    for k in range(size):
        word |= np.uint64(data[at + k]) << np.uint64(8 * k)
    return word
