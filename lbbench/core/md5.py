"""md5 for compiled code: in place, without memory of its own; for cookies, not for security.

`hashes.md5_text` names things before a run; this one hashes texts that are made during it. All
arithmetic is modulo 2^32 in uint64, which neither overflows as plain Python nor changes type when
compiled.

References
----------
R. Rivest, "The MD5 Message-Digest Algorithm", RFC 1321, 1992.
"""

from __future__ import annotations

import math

import numpy as np

BLOCK = 64  # bytes
LENGTH = 8  # bytes at the end of the last block: the length of the message in bits

START = np.array([0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476], np.uint64)  # RFC 1321, 3.3
SINE = np.array([int(2**32 * abs(math.sin(i + 1))) for i in range(64)], np.uint64)  # 3.4, table T
TURN = np.array([7, 12, 17, 22, 5, 9, 14, 20, 4, 11, 16, 23, 6, 10, 15, 21], np.uint64)  # 3.4
HEX = np.array(list(b"0123456789abcdef"), np.uint8)

MASK = np.uint64(0xFFFFFFFF)
NOTHING = np.uint64(0)
END_MARK = np.uint64(0x80)
U4 = np.uint64(4)
U15 = np.uint64(15)
U32 = np.uint64(32)


def md5_into(words: np.ndarray, data: np.ndarray) -> None:
    """Put the md5 of ``data`` (uint8[n]) into ``words`` (uint64[4], 32 bits each); compiles."""
    for k in range(4):
        words[k] = START[k]
    for start in range(0, padded(data.size), BLOCK):
        _mix_block(words, data, start)


def hex_into(text: np.ndarray, words: np.ndarray) -> None:
    """Write the 32 hexadecimal digits of a digest into ``text`` (uint8[>= 32]); compiles."""
    for i in range(16):
        byte = words[i // 4] >> np.uint64(8 * (i % 4))
        text[2 * i] = HEX[(byte >> U4) & U15]
        text[2 * i + 1] = HEX[byte & U15]


def padded(n: int) -> int:
    """Return the bytes of a message of ``n`` bytes with its end mark, zeros and length."""
    return ((n + LENGTH) // BLOCK + 1) * BLOCK


def _mix_block(words: np.ndarray, data: np.ndarray, start: int) -> None:
    """Do the 64 steps of one block."""
    a = words[0]
    b = words[1]
    c = words[2]
    d = words[3]
    for i in range(64):
        if i < 16:
            mixed = (b & c) | ((b ^ MASK) & d)
            place = i
        elif i < 32:
            mixed = (d & b) | ((d ^ MASK) & c)
            place = (5 * i + 1) % 16
        elif i < 48:
            mixed = b ^ c ^ d
            place = (3 * i + 5) % 16
        else:
            mixed = c ^ (b | (d ^ MASK))
            place = (7 * i) % 16
        total = (a + mixed + SINE[i] + _word(data, start + 4 * place)) & MASK
        by = TURN[4 * (i // 16) + i % 4]
        a = d
        d = c
        c = b
        b = (b + ((total << by) | (total >> (U32 - by)))) & MASK
    words[0] = (words[0] + a) & MASK
    words[1] = (words[1] + b) & MASK
    words[2] = (words[2] + c) & MASK
    words[3] = (words[3] + d) & MASK


def _word(data: np.ndarray, at: int) -> np.uint64:
    """Return four bytes of the padded message from place ``at``, the lowest first."""
    value = NOTHING
    for k in range(4):
        value |= _byte(data, at + k) << np.uint64(8 * k)
    return value


def _byte(data: np.ndarray, at: int) -> np.uint64:
    """Return a byte of the padded message: the text, the mark, zeros, the number of its bits."""
    n = data.size
    if at < n:
        return np.uint64(data[at])
    if at == n:
        return END_MARK
    into_length = at - (padded(n) - LENGTH)
    if into_length >= 0:
        return np.uint64(((8 * n) >> (8 * into_length)) & 0xFF)
    return NOTHING
