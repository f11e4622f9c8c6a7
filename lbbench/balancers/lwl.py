"""lwl: least work left, the pod that has least to do, in seconds of work. A yardstick.

It knows what nobody knows: how long the requests will take that are at each pod, waiting or in
service. The number of a pod is their work left over its speed and its places: with one place how
long a request that comes now would wait. A tie (idle pods) is broken by one uniform draw among the
tied; without a tie nothing is drawn. Endpoints where the request has failed are left out, unless
all have. Attempts on their way to a pod are not seen.

With one worker, no delays and pods of one place and equal speed it is one queue before all pods
(M/G/k): M. Harchol-Balter, "Performance Modeling and Design of Computer Systems" (2013), chapter
24; with exponential work the wait is Erlang's C formula. Pods that share their cores (``discipline:
ps``) have the sum of what is left of their requests, over speed and cores. A pod that stands still
with something to do comes last.

Original: none; theory. Units: nanoseconds, whole ones. Cost per pick: O(n) and the engine's count
of what is left, O(requests at all pods).
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
    """Return a position with the least work left, -1 without endpoints."""
    return pick_least(rng, busy, tried)


LWL = Balancer(
    name="lwl",
    level="l7",
    summary="least work left by the requests' true work (yardstick, no product)",
    source="theory: Harchol-Balter 2013",
    state=state,
    pick=pick,
    sees="work",
    scope="worker",
    cost="O(requests at all pods)",
    differs=(
        ("jsq", "knows how long the work at each pod takes, not only how many requests there are"),
    ),
)
