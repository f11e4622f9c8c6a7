"""Numbers as Lua prints them, written into a byte array: the texts that compiled code makes."""

from __future__ import annotations

import numpy as np

DOT, ZERO = 46, 48  # ASCII


def write_number(text: np.ndarray, at: int, number: int) -> int:
    """Write the digits of ``number`` (>= 0) from place ``at``; return the place after them."""
    unit = 1
    while number // unit >= 10:
        unit *= 10
    while unit > 0:
        text[at] = ZERO + (number // unit) % 10
        at += 1
        unit //= 10
    return at


def write_seconds(text: np.ndarray, at: int, milliseconds: int) -> int:
    """Write ``milliseconds`` (>= 0) as seconds from place ``at``; return the place after them.

    Lua prints with ``%.14g``, so trailing zeros vanish: 1100 ms is "1.1", 1000 ms is "1".
    """
    at = write_number(text, at, milliseconds // 1000)
    rest = milliseconds % 1000
    unit = 100
    if rest > 0:
        text[at] = DOT
        at += 1
    while rest > 0:
        text[at] = ZERO + rest // unit
        at += 1
        rest = rest % unit
        unit //= 10
    return at
