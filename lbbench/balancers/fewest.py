"""The rule of least_conn and jsq: the fewest busy, ties at random, what has failed left out.

The endpoints are kept in order of what they have (`lbbench.core.ranking`), so a pick is O(1), and
O(tried) where the request has failed before. Among k tied u in [j/k, (j+1)/k) gives the j-th of
the ranking's order, which means nothing; without a tie nothing is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.core.ranking import (
    NOWHERE,
    Ranking,
    group_above,
    group_size,
    lowest_group,
    member,
    new_ranking,
    rank_only,
    set_aside,
    set_level,
)
from lbbench.core.rng import uniform


def state(_params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Ranking:
    """Return the ranking of endpoints that have nothing yet."""
    return new_ranking(len(endpoints))


def on_endpoints(
    state: Ranking, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Rank the endpoints ``new``, by what they are known to have."""
    rank_only(state, new)


def on_busy(state: Ranking, endpoint: int, busy: int) -> None:
    """Let an endpoint have ``busy`` from now on."""
    set_level(state, endpoint, busy)


def pick_fewest(state: Ranking, rng: np.ndarray, tried: np.ndarray) -> int:
    """Return a position with the fewest, -1 without endpoints."""
    group = lowest_group(state)
    if group == NOWHERE:
        return -1
    start = group
    left = _not_tried(state, group, tried)
    while left == 0 and group != NOWHERE:
        group = group_above(state, group)
        if group != NOWHERE:
            left = _not_tried(state, group, tried)
    if left == 0:  # all have failed: start over
        group = start
        left = group_size(state, group)
    k = int(uniform(rng) * left) if left > 1 else 0
    return state.seat[member(state, group, k)]


def _not_tried(state: Ranking, group: int, tried: np.ndarray) -> int:
    """Put those of a group where the request has failed behind the others; return how many stay."""
    left = group_size(state, group)
    for k in range(len(tried)):
        left = set_aside(state, group, state.ids[tried[k]], left)
    return left
