"""least_conn: the endpoint with the fewest attempts outstanding at this instance. A yardstick.

No product: a tie is broken by one uniform draw among the tied, so that no position is favoured
(nginx's own least_conn breaks ties by smooth weighted round robin, HAProxy's by round robin).
Without a tie nothing is drawn. An ingress worker sees only its own attempts. Endpoints where the
request has failed are left out, unless all have.

Original: none; theory ("least outstanding requests with random ties"). Cost per pick: O(n).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.tried import is_tried
from lbbench.core.rng import uniform


class LeastConnState(NamedTuple):
    """Nothing is kept beside what the engine counts."""

    nothing: np.ndarray  # int64[1]


def state(_params: Mapping[str, Any], _endpoints: Sequence[Endpoint]) -> LeastConnState:
    """Return the empty state."""
    return LeastConnState(np.zeros(1, np.int64))


def pick(
    _state: LeastConnState,
    rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return a position with the fewest outstanding attempts, -1 without endpoints."""
    place = _least_busy(rng, busy, tried)
    if place < 0 and len(tried) > 0:  # all have failed: start over
        place = _least_busy(rng, busy, tried[:0])
    return place


def _least_busy(rng: np.ndarray, busy: np.ndarray, left_out: np.ndarray) -> int:
    """Return a least busy position that is not left out, a uniform one of several; -1 for none."""
    first = -1
    ties = 0
    for place in range(len(busy)):
        if is_tried(left_out, place):
            continue
        if first < 0 or busy[place] < busy[first]:
            first = place
            ties = 1
        elif busy[place] == busy[first]:
            ties += 1
    if ties <= 1:
        return first
    skip = int(uniform(rng) * ties)
    for place in range(first, len(busy)):
        if busy[place] == busy[first] and not is_tried(left_out, place):
            if skip == 0:
                return place
            skip -= 1
    return first


LEAST_CONN = Balancer(
    name="least_conn",
    level="l7",
    summary="fewest outstanding at this instance, ties at random (yardstick, no product)",
    source="theory: least outstanding requests with random ties",
    state=state,
    pick=pick,
    scope="worker",
    cost="O(n)",
)
