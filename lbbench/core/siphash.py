"""SipHash-1-3 of one 32-bit word: what Linux calls `hsiphash` where a long has 64 bits; compiles.

Called as plain Python on numpy scalars, unsigned arithmetic wraps on purpose: do it inside
`lbbench.core.rng.wrapping`.

References
----------
J.-P. Aumasson and D. J. Bernstein, "SipHash: a fast short-input PRF", INDOCRYPT 2012;
torvalds/linux include/linux/siphash.h and lib/siphash.c.
"""

from __future__ import annotations

import numpy as np

START = tuple(np.uint64(word) for word in (
    0x736F6D6570736575, 0x646F72616E646F6D, 0x6C7967656E657261, 0x7465646279746573
))  # fmt: skip
START_0, START_1, START_2, START_3 = START
LENGTH = np.uint64(4 << 56)  # of the input in bytes, in the top byte of its last word
END = np.uint64(0xFF)
LOW = np.uint64(0xFFFFFFFF)
U13, U16, U17, U21, U32 = (np.uint64(bits) for bits in (13, 16, 17, 21, 32))
U43, U47, U48, U51 = (np.uint64(bits) for bits in (43, 47, 48, 51))


def hsiphash_u32(value: int, key: np.uint64) -> int:
    """Return the hash (0 .. 2^32 - 1) of ``value`` (0 .. 2^32 - 1) under the key (key, key)."""
    word = LENGTH | np.uint64(value)
    a, b, c, d = START_0 ^ key, START_1 ^ key, START_2 ^ key, START_3 ^ key
    a, b, c, d = _round(a, b, c, d ^ word)
    a, b, c, d = _round(a ^ word, b, c ^ END, d)
    a, b, c, d = _round(a, b, c, d)
    a, b, c, d = _round(a, b, c, d)
    return np.int64((a ^ b ^ c ^ d) & LOW)  # type: ignore[return-value]


def _round(
    a: np.uint64, b: np.uint64, c: np.uint64, d: np.uint64
) -> tuple[np.uint64, np.uint64, np.uint64, np.uint64]:
    a += b
    b = ((b << U13) | (b >> U51)) ^ a
    a = (a << U32) | (a >> U32)
    c += d
    d = ((d << U16) | (d >> U48)) ^ c
    a += d
    d = ((d << U21) | (d >> U43)) ^ a
    c += b
    b = ((b << U17) | (b >> U47)) ^ c
    c = (c << U32) | (c >> U32)
    return a, b, c, d
