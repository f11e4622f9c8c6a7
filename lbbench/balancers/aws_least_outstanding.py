"""aws_least_outstanding: an AWS Application Load Balancer's "least outstanding requests".

Original: the AWS documentation (Elastic Load Balancing, "Target groups for your Application Load
Balancers", routing algorithms); the program is not public. A request goes to the target with the
fewest requests in flight **as seen by one load balancer node**: each node counts its own and knows
nothing of the others. Here an ingress replica stands for a node, whatever its number of workers.
Slow start cannot be combined with this algorithm, so there is none; weights do not exist within a
target group.

Deviations: how ties are broken is not published; here by one uniform draw among the tied. The load
balancer retries nothing; where the scenario does, targets where the request has failed are left
out, unless all have. Units: requests. Cost per pick: O(1); each attempt that begins or ends O(1).
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
    """Return a position with the fewest outstanding at this node, -1 without targets."""
    return pick_fewest(state, rng, tried)


AWS_LEAST_OUTSTANDING = Balancer(
    name="aws_least_outstanding",
    level="l7",
    summary="AWS ALB's least outstanding requests: fewest at this node, ties at random",
    source="the AWS documentation (least outstanding requests of Application Load Balancers)",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    scope="replica",
    cost="O(1)",
    differs=(("least_conn", "counts for a whole load balancer node, not per worker"),),
)
