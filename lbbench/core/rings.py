"""Rings and tables of consistent hashing: ketama points as lua-resty-balancer has them, Maglev.

The functions marked "compiles" work in place, allocate nothing and run the same as plain Python.

References
----------
openresty/lua-resty-balancer lib/resty/chash.lua and chash.c at 1cd4363c;
D. Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

import numpy as np

POINTS_PER_WEIGHT = 160  # chash.lua: CONSISTENT_POINTS
MOST_REMEMBERED = 4096  # names whose points a process keeps, 640 bytes each

NEAR = 4  # points that a look-up compares without a branch; 0 and 8 took longer
HIGHEST = np.uint32(2**32 - 1)


def ketama_points(
    names: Sequence[str], weights: Sequence[int] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return (hash uint32[n], owner int64[n]) of all points in ring order.

    Each name has 160 points per unit of weight (1 when not given): point k is crc32(name) continued
    over the four little-endian bytes of point k-1, beginning with 0. Points with equal hashes keep
    the order of ``names``; `ring_find` returns the first of them.
    """
    counts = [POINTS_PER_WEIGHT * n for n in ([1] * len(names) if weights is None else weights)]
    rows = [_points_of(name, count) for name, count in zip(names, counts, strict=True)]
    made = np.concatenate([np.zeros(0, np.uint32), *rows])
    order = np.argsort(made, kind="stable")
    return made[order], np.repeat(np.arange(len(rows), dtype=np.int64), counts)[order]


@lru_cache(maxsize=MOST_REMEMBERED)
def _points_of(name: str, count: int) -> np.ndarray:
    """Return uint32[count], the points of one name as they are made; the runs of a study repeat."""
    base = zlib.crc32(name.encode("utf-8", "surrogateescape"))
    point, points = 0, []
    for _ in range(count):
        point = zlib.crc32(point.to_bytes(4, "little"), base)
        points.append(point)
    made = np.array(points, np.uint32)
    made.flags.writeable = False
    return made


def empty_ring(points: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (hashes, owners, guide) of a ring without points, with room for ``points``.

    uint32[points + NEAR], int32[points], int32[points / 2, at least 1]. Behind the points in use
    there are `NEAR` hashes that no key exceeds. The guide has the position of the first point of
    every part of [0, 2^32), two points to a part when all are in use.
    """
    hashes = np.full(points + NEAR, HIGHEST, np.uint32)
    return hashes, np.zeros(points, np.int32), np.zeros(max(points // 2, 1), np.int32)


def ring_find(hashes: np.ndarray, guide: np.ndarray, n: int, key: int) -> int:
    """Return the position of the first of ``n`` sorted points with hash >= ``key``, wrapping to 0.

    ``key`` is a uint32 in an int64; compiles. O(1) where the hashes are spread evenly: one look at
    the guide and one at `NEAR` points, which does not branch on the key, for
    ``(hash - key) >> 32`` is -1 for a hash below it, else 0.
    """
    first = int(guide[(key * guide.size) >> 32])
    at = first
    for k in range(NEAR):
        at -= int((np.int64(hashes[first + k]) - key) >> 32)
    while np.int64(hashes[at]) < key:  # seldom: more points of this part are below the key
        at += 1
    if at == n:
        return 0
    return at


def ring_guide(hashes: np.ndarray, guide: np.ndarray, n: int) -> None:
    """Fill the guide for the first ``n`` hashes, and close their row; compiles. O(points)."""
    for k in range(NEAR):
        hashes[n + k] = HIGHEST
    part = 0
    for at in range(n):
        own = (np.int64(hashes[at]) * guide.size) >> 32
        while part <= own:
            guide[part] = at
            part += 1
    while part < guide.size:
        guide[part] = n
        part += 1


def ring_keep(
    all_hash: np.ndarray,
    all_owner: np.ndarray,
    listed: np.ndarray,
    seat: np.ndarray,
    hashes: np.ndarray,
    owners: np.ndarray,
    guide: np.ndarray,
) -> int:
    """Copy the points of the ``listed`` owners out of the ring of all owners; return their number.

    The ring of some owners is a subsequence of the ring of all, so a change of the list sorts
    nothing. Compiles. O(points of all owners).

    Parameters
    ----------
    all_hash, all_owner
        uint32[M], int64[M]: the whole ring; owners are numbers 0 .. E-1.
    listed
        int64[n]: owners in list order.
    seat
        int64[E] scratch, all -1 before and after.
    hashes, owners, guide
        An `empty_ring` for M points: filled from 0; owners are positions in ``listed``.
    """
    size = points_kept(all_hash, all_owner, listed, seat, hashes, owners)
    ring_guide(hashes, guide, size)
    return size


def points_kept(
    all_hash: np.ndarray,
    all_owner: np.ndarray,
    listed: np.ndarray,
    seat: np.ndarray,
    hashes: np.ndarray,
    owners: np.ndarray,
) -> int:
    """Copy as `ring_keep` does, for points that need no guide; return their number. Compiles."""
    for k in range(len(listed)):
        seat[listed[k]] = k
    size = 0
    for point in range(len(all_hash)):
        place = seat[all_owner[point]]
        if place >= 0:
            hashes[size] = all_hash[point]
            owners[size] = place
            size += 1
    for k in range(len(listed)):
        seat[listed[k]] = -1
    return size


def arcs(hashes: np.ndarray, owners: np.ndarray, n_owners: int) -> np.ndarray:
    """Return how many of the 2^32 hash values each owner gets, int64[n_owners].

    ``hashes`` uint32[n] sorted, ``owners`` int64[n]. The first of several equal points gets the
    arc, the others nothing.
    """
    share = np.zeros(n_owners, np.int64)
    if len(hashes):
        points = hashes.astype(np.int64)
        before = np.concatenate([[points[-1] - 2**32], points[:-1]])
        np.add.at(share, owners, points - before)
    return share


# --- Maglev -----------------------------------------------------------------------------------


def is_prime(number: int) -> bool:
    """Tell whether ``number`` is prime; tables of another size may have slots out of reach."""
    return number > 1 and all(number % d for d in range(2, int(number**0.5) + 1))


def maglev_fill(
    table: np.ndarray,
    offsets: np.ndarray,
    skips: np.ndarray,
    weights: np.ndarray,
    place: np.ndarray,
) -> None:
    """Fill ``table`` (int64[M], M prime) in place with backend numbers, -1 without any; compiles.

    Backend i takes in turn its next free slot of (offset_i + j skip_i) mod M. As Envoy weighs
    (envoyproxy/envoy source/extensions/load_balancing_policies/maglev): in round r backend i sits
    out while r w_i < target_i, and a turn adds the largest weight to target_i.

    Parameters
    ----------
    offsets, skips, weights
        int64[n]; 0 <= offset < M, 1 <= skip < M; a weight of 0 takes no turn.
    place
        int64[2, n] scratch: next j, target.
    """
    heaviest = _clear(table, weights, place)
    filled = 0
    round_number = 0
    while filled < len(table) and heaviest > 0:
        round_number += 1
        for i in range(len(offsets)):
            if round_number * weights[i] < place[1, i] or weights[i] == 0:
                continue
            place[1, i] += heaviest
            _take_slot(table, offsets[i], skips[i], place, i)
            filled += 1
            if filled == len(table):
                return


def maglev_fill_cilium(
    table: np.ndarray,
    offsets: np.ndarray,
    skips: np.ndarray,
    weights: np.ndarray,
    place: np.ndarray,
) -> None:
    """Fill ``table`` as `maglev_fill` does, but in Cilium's order of weighted turns; compiles.

    Slot number s (1, 2, ...) begins with backend (s - 1) mod n and goes on to the next one while
    s w_i < target_i; target_i begins at w_i / n, and a turn adds the sum of all weights. With a
    mean weight below 2 there are plain turns. (cilium/cilium pkg/maglev/maglev.go at e0cc421a.)
    """
    n = len(offsets)
    if _clear(table, weights, place) == 0:
        return
    total = 0
    for i in range(n):
        total += weights[i]
        place[1, i] = weights[i] // n  # the original compares the whole part of a float
    weighted = total // n > 1
    for slot in range(len(table)):
        i = slot % n
        while weighted and ((slot + 1) * weights[i] < place[1, i] or weights[i] == 0):
            i = (i + 1) % n
        place[1, i] += total
        _take_slot(table, offsets[i], skips[i], place, i)


def _clear(table: np.ndarray, weights: np.ndarray, place: np.ndarray) -> int:
    """Empty the table and the scratch; return the largest weight."""
    for slot in range(len(table)):
        table[slot] = -1
    heaviest = 0
    for i in range(len(weights)):
        place[0, i] = 0
        place[1, i] = 0
        heaviest = max(heaviest, weights[i])
    return heaviest


def _take_slot(table: np.ndarray, offset: int, skip: int, place: np.ndarray, i: int) -> None:
    """Give backend i the next free slot of its permutation."""
    slot = (offset + place[0, i] * skip) % len(table)
    while table[slot] >= 0:
        place[0, i] += 1
        slot = (offset + place[0, i] * skip) % len(table)
    table[slot] = i
    place[0, i] += 1


def maglev_table(
    offsets: Sequence[int],
    skips: Sequence[int],
    weights: Sequence[int] | None = None,
    *,
    size: int,
    turns: Literal["envoy", "cilium"] = "envoy",
) -> np.ndarray:
    """Return the Maglev look-up table int64[size] of backend numbers (-1 without backends).

    Raises
    ------
    ValueError
        When ``size`` is not prime.
    """
    if not is_prime(size):
        raise ValueError(f"a Maglev table needs a prime size, {size} is none")
    n = len(offsets)
    table = np.full(size, -1, np.int64)
    heavy = np.array(weights if weights is not None else [1] * n, np.int64)
    fill = maglev_fill if turns == "envoy" else maglev_fill_cilium
    place = np.zeros((2, n), np.int64)
    fill(table, np.array(offsets, np.int64), np.array(skips, np.int64), heavy, place)
    return table
