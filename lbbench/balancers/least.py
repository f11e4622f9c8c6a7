"""The rule of lwl and central_queue: the least of some numbers, ties at random, failures left out.

Without a tie nothing is drawn; among k tied u in [j/k, (j+1)/k) gives the j-th in list order.
"""

from __future__ import annotations

import numpy as np

from lbbench.balancers.tried import is_tried
from lbbench.core.rng import uniform


def pick_least(rng: np.ndarray, numbers: np.ndarray, tried: np.ndarray) -> int:
    """Return a position with the least of ``numbers`` (int64[n]), -1 when there is none.

    ``tried`` holds positions where the request has failed, perhaps more than once.
    """
    out = tried
    tied = _tied(numbers, out)
    if tied == 0:  # all have failed: start over
        out = tried[:0]
        tied = _tied(numbers, out)
    k = int(uniform(rng) * tied) if tied > 1 else 0
    least = _least(numbers, out)
    for place in range(len(numbers)):
        if numbers[place] != least or is_tried(out, place):
            continue
        if k == 0:
            return place
        k -= 1
    return -1


def _least(numbers: np.ndarray, out: np.ndarray) -> int:
    """Return the least number at a position that is not ``out``, 0 when there is none."""
    found = False
    least = 0
    for place in range(len(numbers)):
        if not is_tried(out, place) and (not found or numbers[place] < least):
            least = numbers[place]
            found = True
    return least


def _tied(numbers: np.ndarray, out: np.ndarray) -> int:
    """Return how many positions that are not ``out`` have the least number."""
    least = _least(numbers, out)
    tied = 0
    for place in range(len(numbers)):
        if numbers[place] == least and not is_tried(out, place):
            tied += 1
    return tied
