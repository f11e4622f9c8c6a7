"""HAProxy's consistent tree: points of servers on a circle, a hash belongs to the nearest point.

Server number s (1, 2, ...) has 16 points per unit of weight, point k at full_hash(4096 s + k). A
hash belongs to the point nearest in either direction, on a tie to the one below. Rings of 16 points
are uneven: of ten servers the luckiest owns nearly twice the share of the unluckiest.

References
----------
haproxy/haproxy src/lb_chash.c (chash_get_server_hash, chash_init_server_tree) and
include/haproxy/tools.h (full_hash) at v2.6.12;
B. Jenkins, "Integer hashing", burtleburtle.net/bob/hash/integer.html.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

MASK = 2**32 - 1
POINTS_PER_WEIGHT = 16  # BE_WEIGHT_SCALE
NUMBERS_APART = 4096  # SRV_EWGHT_RANGE
PRIME = 3221225473


def full_hash(number: int) -> int:
    """Return HAProxy's avalanche hash of a 32-bit number, as a uint32 in a Python int."""
    a = number & MASK
    a = ((a + 0x7ED55D16) + (a << 12)) & MASK
    a = ((a ^ 0xC761C23C) ^ (a >> 19)) & MASK
    a = ((a + 0x165667B1) + (a << 5)) & MASK
    a = ((a + 0xD3A2646C) ^ (a << 9)) & MASK
    a = ((a + 0xFD7046C5) + (a << 3)) & MASK
    a = ((a ^ 0xB55A4F09) ^ (a >> 16)) & MASK
    return (a * PRIME) & MASK


def tree_points(numbers: Sequence[int], weights: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return (hash int64[m] ascending, owner int64[m]) of all points; owners are positions.

    Points with equal hashes keep the order of ``numbers``, as the tree keeps that of insertion.
    """
    hashes, owners, _ = numbered_points(numbers, weights)
    return hashes, owners


def numbered_points(
    numbers: Sequence[int], weights: Sequence[int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return what `tree_points` does and which of its owner's points each is, int64[m] from 0."""
    made = [
        (full_hash(number * NUMBERS_APART + k), owner, k)
        for owner, number in enumerate(numbers)
        for k in range(POINTS_PER_WEIGHT * weights[owner])
    ]
    made.sort(key=lambda point: point[0])
    hashes, owners, ranks = ([point[i] for point in made] for i in range(3))
    return np.array(hashes, np.int64), np.array(owners, np.int64), np.array(ranks, np.int64)


def nearest(hashes: np.ndarray, n: int, key: int) -> int:
    """Return the position of the point nearest to ``key`` among the first ``n`` (n > 0); compiles.

    ``key`` is a uint32 in an int64, hashes int64 ascending. O(log n).
    """
    low = 0
    high = n
    while low < high:
        middle = (low + high) // 2
        if hashes[middle] < key:
            low = middle + 1
        else:
            high = middle
    above = low if low < n else 0
    below = above - 1 if above > 0 else n - 1
    # unsigned 32-bit differences, as the original's
    if (key - hashes[below]) & MASK <= (hashes[above] - key) & MASK:
        return below
    return above
