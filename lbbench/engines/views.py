"""What a balancer instance sees: the list that it holds, busy counts and failures by position."""

from __future__ import annotations

import numpy as np

from lbbench.engines.tables import SEEN
from lbbench.engines.world import World


def see_busy(w: World, by_id: np.ndarray, listed: np.ndarray, n: int) -> None:
    """Put the busy counts of the ``n`` listed into ``w.busy_seen``; ``by_id`` int64[E] holds all.

    A list of all is in the order of the ids, so then there is nothing to do: `by_id` is it.
    """
    if n < by_id.size:
        for k in range(n):
            w.busy_seen[k] = by_id[listed[k]]


def see_tried(w: World, tried: np.ndarray, n_tried: int, listed: np.ndarray, n: int) -> int:
    """Put the positions of those of ``n_tried`` pods that are listed into ``w.tried_seen``.

    Return how many there are.
    """
    count = 0
    for k in range(n_tried):
        at = position_of(tried[k], listed, n)
        if at >= 0:
            w.tried_seen[count] = at
            count += 1
    return count


def position_of(endpoint: int, listed: np.ndarray, n: int) -> int:
    """Return the position of an id in the first ``n`` of a sorted list, -1 when it is not there."""
    low = 0
    high = n
    while low < high:
        middle = (low + high) >> 1
        if listed[middle] < endpoint:
            low = middle + 1
        else:
            high = middle
    if low < n and listed[low] == endpoint:
        return low
    return -1


def take_list(
    w: World, held: np.ndarray, seen: np.ndarray, row: int, new: np.ndarray, drops: int
) -> int:
    """Let row ``row`` of a viewer's lists become ``new``.

    What it held before is in ``w.old_list``; return how much.
    """
    old = seen[row].n
    for k in range(old):
        w.old_list[k] = held[row, k]
    for k in range(new.size):
        held[row, k] = new[k]
    seen[row].n = new.size
    seen[row].drops = drops
    return old


def first_lists(lists: list[np.ndarray], width: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (lists int64[rows, width], SEEN[rows]) of viewers that hold ``lists`` at time 0."""
    held = np.zeros((len(lists), width), np.int64)
    seen = np.zeros(len(lists), SEEN).view(np.recarray)
    for row, listed in enumerate(lists):
        held[row, : len(listed)] = listed
        seen["n"][row] = len(listed)
    return held, seen
