"""random: every attempt goes to an endpoint drawn uniformly. A yardstick, no product.

Random splitting of Poisson arrivals makes every pod a queue of its own (M/G/1 with one place),
which is what the theory checks lean on. What has failed is not left out: a retry may meet it
again.

Original: none; theory. Cost per pick: one draw, O(1).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import uniform


class RandomState(NamedTuple):
    """Nothing is kept."""

    nothing: np.ndarray  # int64[1]


def state(_params: Mapping[str, Any], _endpoints: Sequence[Endpoint]) -> RandomState:
    """Return the empty state."""
    return RandomState(np.zeros(1, np.int64))


def pick(
    _state: RandomState,
    rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return floor(u n), -1 without endpoints (then nothing is drawn)."""
    if len(busy) == 0:
        return -1
    return int(uniform(rng) * len(busy))


RANDOM = Balancer(
    name="random",
    level="l7",
    summary="uniform draw per attempt (yardstick, no product)",
    source="theory: random splitting",
    state=state,
    pick=pick,
    scope="worker",
    independent=True,
    cost="O(1), one draw",
    differs=(
        (
            "round_robin",
            "draws instead of taking turns, so a pod may get several requests in a row",
        ),
    ),
)
