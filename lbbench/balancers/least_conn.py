"""least_conn: the endpoint with the fewest attempts outstanding at this instance. A yardstick.

No product: ties are broken by one uniform draw, so that no position is favoured (nginx's own
least_conn breaks them by smooth weighted round robin, HAProxy's by round robin). One instance per
ingress worker sees only its own attempts. Endpoints where the request has failed are left out
unless all have. Cost per pick: O(n) scan, one draw when there is a tie.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import uniform


class LeastConnState(NamedTuple):
    """Nothing is kept beside what the engine counts."""

    nothing: np.ndarray  # int64[1]


def state(_params: Mapping[str, Any], _endpoints: Sequence[Endpoint]) -> LeastConnState:
    """Return the empty state."""
    return LeastConnState(np.zeros(1, np.int64))


def is_in(tried: np.ndarray, place: int) -> bool:
    """Tell whether ``place`` is among the positions ``tried``."""
    for k in range(len(tried)):  # noqa: SIM110  (compiled code has no generators)
        if tried[k] == place:
            return True
    return False


def pick(
    _state: LeastConnState,
    rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return a position with the least outstanding attempts, -1 without endpoints."""
    n = len(busy)
    all_tried = len(tried) > 0
    for i in range(n):
        if not is_in(tried, i):
            all_tried = False
    least = -1
    ties = 0
    for i in range(n):
        if not all_tried and is_in(tried, i):
            continue
        if least < 0 or busy[i] < least:
            least = busy[i]
            ties = 1
        elif busy[i] == least:
            ties += 1
    if ties == 0:
        return -1
    chosen = 0
    if ties > 1:
        chosen = int(uniform(rng) * ties)
    for i in range(n):
        if busy[i] != least or (not all_tried and is_in(tried, i)):
            continue
        if chosen == 0:
            return i
        chosen -= 1
    return -1


LEAST_CONN = Balancer(
    name="least_conn",
    level="l7",
    summary="fewest outstanding at this instance, ties at random (yardstick)",
    source="theory: least outstanding requests with random ties",
    state=state,
    pick=pick,
    cost="O(n) scan",
)
