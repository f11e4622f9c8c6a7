"""nginx_random: nginx's ``random``, a peer drawn by weight.

Original: nginx/nginx src/http/modules/ngx_http_upstream_random_module.c at 3f6f7824. A draw of a
peer where the request has failed, or of one out of use (passive health: ``max_fails``,
``fail_timeout``), is thrown away. After more than 20 draws thrown away, and with one peer only,
smooth weighted round robin decides.

Deviations: those of `lbbench.balancers.nginx_random_two`. Without failures nothing is kept, so
``zone`` would change no pick. Units: times in whole seconds. Cost per pick: O(tried), with unlike
weights O(n + tried), for each draw.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.nginx_peers import (
    PARAMS,
    Peers,
    alone,
    done,
    note_failure,
    on_endpoints,
    peers,
    smooth_round_robin,
    taken,
)
from lbbench.balancers.nginx_random_two import MOST_THROWN_AWAY, drawn
from lbbench.balancers.weights import weight_shares


def pick(
    state: Peers,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of a usable peer drawn by weight, -1 for none."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    for _ in range(MOST_THROWN_AWAY + 1):
        place = drawn(state, rng, n)
        if taken(state, place, busy, tried, second):
            return place
    return smooth_round_robin(state, busy, tried, second)


NGINX_RANDOM = Balancer(
    name="nginx_random",
    level="l7",
    summary="nginx's random: a peer drawn by weight",
    source="nginx/nginx src/http/modules/ngx_http_upstream_random_module.c@3f6f7824",
    state=partial(peers, "nginx_random"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    independent=True,
    shares=weight_shares,
    cost="O(1) with equal weights, one draw",
    differs=(("random", "draws by weight, and leaves out peers that failed lately"),),
)
