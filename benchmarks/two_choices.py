"""Two choices for the bare loop: a pick that reads endpoints through a function of its own.

It is what ``p2c`` is: two distinct endpoints are drawn, the one with fewer outstanding requests
wins, on a tie the first drawn. The bare loop replaces `outstanding` by one that looks at the pod
first, as it does with `lbbench.balancers.ewma.score`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.core.rng import lua_random


def outstanding(_state: Any, busy: np.ndarray, position: int, _now: float) -> int:
    """Return how many requests the endpoint has."""
    return int(busy[position])


def pick(
    state: Any, rng: np.ndarray, now: float, _key: int, busy: np.ndarray, _tried: np.ndarray
) -> int:
    """Return the less busy of two distinct drawn positions, -1 without endpoints."""
    n = len(busy)
    if n <= 1:
        return n - 1
    first = lua_random(rng, 1, n) - 1
    second = lua_random(rng, 1, n - 1) - 1
    if second >= first:
        second += 1
    best = outstanding(state, busy, first, now)
    if outstanding(state, busy, second, now) < best:
        return second
    return first
