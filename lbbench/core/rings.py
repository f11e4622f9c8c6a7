"""Rings and tables of consistent hashing: ketama points as lua-resty-balancer makes them, Maglev."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np

POINTS_PER_WEIGHT = 160


def ketama_points(
    names: Sequence[str], weights: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (hash uint32[n], owner int64[n]) of all points in ring order.

    Each name has 160 points per unit of weight: point k continues crc32(name) over the four
    little-endian bytes of point k-1, from 0. On equal hashes the name that comes first keeps its
    place first, and a look-up returns the first.
    Source: openresty/lua-resty-balancer lib/resty/chash.lua and chash.c at 1cd4363c.
    """
    hashes: list[int] = []
    owners: list[int] = []
    for owner, name in enumerate(names):
        base = zlib.crc32(name.encode("utf-8", "surrogateescape"))
        point = 0
        for _ in range(POINTS_PER_WEIGHT * (1 if weights is None else weights[owner])):
            point = zlib.crc32(point.to_bytes(4, "little"), base)
            hashes.append(point)
            owners.append(owner)
    made = np.array(hashes, np.uint32)
    order = np.argsort(made, kind="stable")
    return made[order], np.array(owners, np.int64)[order]


def ring_find(hashes: np.ndarray, n: int, key: int) -> int:
    """Return the position of the first of ``n`` sorted points with hash >= ``key``, wrapping to 0.

    ``key`` is a uint32 in an int64; compiles. O(log n).
    """
    low = 0
    high = n
    while low < high:
        middle = (low + high) >> 1
        if np.int64(hashes[middle]) < key:
            low = middle + 1
        else:
            high = middle
    if low == n:
        return 0
    return low


def arcs(hashes: np.ndarray, owners: np.ndarray, n_owners: int) -> np.ndarray:
    """Return how many of the 2^32 hash values each owner gets, int64[n_owners]."""
    share = np.zeros(n_owners, np.int64)
    points = hashes.astype(np.int64)
    before = np.concatenate([[points[-1] - 2**32], points[:-1]])
    np.add.at(share, owners, points - before)
    return share


def maglev_fill(
    table: np.ndarray, offsets: np.ndarray, skips: np.ndarray, turns: np.ndarray, place: np.ndarray
) -> None:
    """Fill ``table`` (int64[M], M prime) in place; compiles and allocates nothing.

    Backend i takes in turn its next free slot of offset_i + j skip_i mod M. With weights it sits
    rounds out: in round r it takes a turn unless r w_i < target_i, and a turn adds the largest
    weight to target_i.

    Parameters
    ----------
    offsets, skips
        int64[n].
    turns
        int64[n] weights.
    place
        int64[2, n] scratch: next j, target.
    """
    size, n = table.size, offsets.size
    heaviest = 0
    for i in range(n):
        place[0, i] = 0
        place[1, i] = 0
        heaviest = max(heaviest, turns[i])
    for slot in range(size):
        table[slot] = -1
    filled = 0
    round_number = 0
    while filled < size and heaviest > 0:
        round_number += 1
        for i in range(n):
            if round_number * turns[i] < place[1, i] or turns[i] == 0:
                continue
            place[1, i] += heaviest
            slot = (offsets[i] + place[0, i] * skips[i]) % size
            while table[slot] >= 0:
                place[0, i] += 1
                slot = (offsets[i] + place[0, i] * skips[i]) % size
            table[slot] = i
            place[0, i] += 1
            filled += 1
            if filled == size:
                return


def maglev_table(
    offsets: Sequence[int], skips: Sequence[int], weights: Sequence[int] | None = None, *, size: int
) -> np.ndarray:
    """Return the Maglev look-up table int64[size] of backend numbers (-1 without backends).

    Source: D. Eisenbud et al., "Maglev", NSDI 2016; weighted as Envoy does it
    (envoyproxy/envoy source/extensions/load_balancing_policies/maglev).
    """
    n = len(offsets)
    table = np.full(size, -1, np.int64)
    if n:
        turns = np.array(weights if weights is not None else [1] * n, np.int64)
        scratch = np.zeros((2, n), np.int64)
        maglev_fill(table, np.array(offsets, np.int64), np.array(skips, np.int64), turns, scratch)
    return table
