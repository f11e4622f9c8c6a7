"""jsq: join the shortest queue, the pod with the fewest requests in the system. A yardstick.

It knows what no ingress worker knows: how many requests are at each pod at this moment, those of
all workers, waiting or in service. With workers that know of each other's attempts only when these
have reached their pods, two picks within half an RTT still meet. A tie is broken by one uniform
draw among the tied; without a tie nothing is drawn. Endpoints where the request has failed are left
out, unless all have. Pods of unlike speed count alike: it is the number that is compared.

With one worker and no delays this is JSQ of queueing theory, with Poisson arrivals and exponential
work the best of all rules that see the numbers only: W. Winston, "Optimality of the Shortest Line
Discipline" (1977); two pods: J. Kingman, "Two Similar Queues in Parallel" (1961).

Original: none; theory. Units: requests in the system. Cost per pick: O(1), O(tried) where the
request has failed before; each arrival at a pod and each end there O(1), for every worker where
workers learn of changes at different times.
"""

from __future__ import annotations

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.fewest import on_busy, on_endpoints, pick_fewest, state
from lbbench.core.ranking import Ranking


def pick(
    state: Ranking,
    rng: np.ndarray,
    _now: float,
    _key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return a position with the fewest requests in the system, -1 without endpoints."""
    return pick_fewest(state, rng, tried)


JSQ = Balancer(
    name="jsq",
    level="l7",
    summary="join the shortest queue by the pods' true numbers (yardstick, no product)",
    source="theory: Winston 1977, Kingman 1961",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    sees="pods",
    scope="shared",
    cost="O(1)",
    differs=(
        (
            "least_conn",
            "knows the requests of all workers at each pod, which no ingress worker does",
        ),
    ),
)
