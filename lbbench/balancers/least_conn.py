"""least_conn: the endpoint with the fewest attempts outstanding at this instance. A yardstick.

No product: a tie is broken by one uniform draw among the tied, so that no position is favoured
(nginx's own least_conn breaks ties by smooth weighted round robin, HAProxy's by round robin).
Without a tie nothing is drawn. An ingress worker sees only its own attempts. Endpoints where the
request has failed are left out, unless all have.

Original: none; theory ("least outstanding requests with random ties"). Units: attempts. Cost per
pick: O(1), O(tried) where the request has failed before; each attempt that begins or ends O(1).
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
    """Return a position with the fewest outstanding attempts, -1 without endpoints."""
    return pick_fewest(state, rng, tried)


LEAST_CONN = Balancer(
    name="least_conn",
    level="l7",
    summary="fewest outstanding at this instance, ties at random (yardstick, no product)",
    source="theory: least outstanding requests with random ties",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    scope="worker",
    cost="O(1)",
    differs=(
        ("jsq", "counts this worker's own attempts only, not what others have sent"),
        ("p2c", "looks at all endpoints, not at two drawn ones"),
        ("round_robin", "counts what is outstanding"),
    ),
)
