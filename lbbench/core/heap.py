"""Which event comes next: a binary heap on parallel arrays, ordered by (time, order).

Plain Python that numba can compile; nothing is allocated. The root, at index 0, is the event that
comes first. With distinct keys, as the engines' event order gives them, the order of removal is
unique.

A removal walks the hole to a leaf and puts the last entry in from below (R. W. Floyd's variant):
one comparison per level, made without a branch, because which child is smaller cannot be predicted.
"""

from __future__ import annotations

import numpy as np


def heap_push(
    times: np.ndarray,
    orders: np.ndarray,
    payload: np.ndarray,
    size: int,
    t: float,
    o: int,
    p: int,
) -> int:
    """Insert the event ``p`` with key (``t``, ``o``); return the new size. O(log size).

    Parameters
    ----------
    times, orders, payload
        float64[n], int64[n], int64[n] with n > size; the first ``size`` entries are the heap.
    """
    _raise(times, orders, payload, size, t, o, p)
    return size + 1


def heap_pop(times: np.ndarray, orders: np.ndarray, payload: np.ndarray, size: int) -> int:
    """Remove the root, which the caller has read, and return the new size. O(log size)."""
    size -= 1
    at = 0
    child = 1
    while child + 1 < size:
        left = times[child]
        right = times[child + 1]
        if left == right:
            child += int(orders[child + 1] < orders[child])
        else:
            child += int(right < left)
        times[at] = times[child]
        orders[at] = orders[child]
        payload[at] = payload[child]
        at = child
        child = 2 * at + 1
    if child < size:
        times[at] = times[child]
        orders[at] = orders[child]
        payload[at] = payload[child]
        at = child
    _raise(times, orders, payload, at, times[size], orders[size], payload[size])
    return size


def _raise(
    times: np.ndarray,
    orders: np.ndarray,
    payload: np.ndarray,
    at: int,
    t: float,
    o: int,
    p: int,
) -> None:
    """Put an entry into the hole ``at``, or higher up where its key belongs."""
    while at > 0:
        parent = (at - 1) >> 1
        above = times[parent]
        if above < t or (above == t and orders[parent] < o):
            break
        times[at] = above
        orders[at] = orders[parent]
        payload[at] = payload[parent]
        at = parent
    times[at] = t
    orders[at] = o
    payload[at] = p
