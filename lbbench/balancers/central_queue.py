"""central_queue: as if all pods had one queue: the pod whose place is free first. A yardstick.

What no balancer in front of queues can beat when requests are served in the order in which they
come: a request goes to the pod where, with what is there now, a place will be free soonest, so it
begins when it would begin as the next one of a common queue before all places (M/G/k). The number
of a pod is the time until one more request would begin, 0 where a place is free. A tie is broken by
one uniform draw among the tied; without a tie nothing is drawn. Endpoints where the request has
failed are left out, unless all have. Attempts on their way to a pod are not seen.

Exact with one worker and no delays, whatever the places and the speeds (a free place is as good as
another, also that of a slower pod): A. Allen, "Probability, Statistics and Queueing Theory" (1990),
M/M/c; with pods of one place it is ``lwl``. Pods that share their cores (``discipline: ps``) have
no places to wait for: they count as in ``lwl``. A pod that stands still with something to do comes
last.

Original: none; theory. Units: nanoseconds, whole ones. Cost per pick: O(n) and the engine's count,
O(places times requests at all pods).
"""

from __future__ import annotations

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.least import pick_least
from lbbench.balancers.random import RandomState, state


def pick(
    _state: RandomState,
    rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return a position where a place is free first, -1 without endpoints."""
    return pick_least(rng, busy, tried)


CENTRAL_QUEUE = Balancer(
    name="central_queue",
    level="l7",
    summary="one queue before all pods: the place that is free first (yardstick, no product)",
    source="theory: one queue before all servers, M/G/k",
    state=state,
    pick=pick,
    sees="free",
    scope="worker",
    cost="O(requests at all pods)",
    differs=(
        ("lwl", "goes where it can start first: with one place per pod the same"),
        ("jsq", "is what one queue in front of all pods would do: the bound for all others"),
    ),
)
