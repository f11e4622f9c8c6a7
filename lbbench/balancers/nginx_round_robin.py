"""nginx_round_robin: nginx's default, smooth weighted round robin.

Original: nginx/nginx src/http/ngx_http_upstream_round_robin.c at 3f6f7824. Every usable peer's
running weight rises by its effective weight; the first highest is picked and loses the sum of the
effective weights. Weights 5, 1, 1 give a a b a c a a, equal weights the order of the list. A
failure costs effective weight, which comes back by 1 a turn. Peers where the request has failed,
and those out of use (passive health: ``max_fails``, ``fail_timeout``), are left out; when none is
left the request gets an error. Nothing is drawn.

``nginx_round_robin`` is nginx without ``zone``: every worker takes turns for itself, and all begin
with the same peer. ``nginx_round_robin_zone`` is nginx with it: the workers of a replica take
turns together.

Deviations: see `lbbench.balancers.nginx_peers`. Units: times in whole seconds. Cost per pick: a
walk over the list, O(n).
"""

from __future__ import annotations

from dataclasses import replace
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
)
from lbbench.balancers.weights import weight_shares


def pick(
    state: Peers,
    _rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the peer whose turn it is, -1 when none is usable."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    return smooth_round_robin(state, busy, tried, second)


NGINX_ROUND_ROBIN = Balancer(
    name="nginx_round_robin",
    level="l7",
    summary="nginx's default: smooth weighted round robin, every worker for itself",
    source="nginx/nginx src/http/ngx_http_upstream_round_robin.c@3f6f7824",
    state=partial(peers, "nginx_round_robin"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    shares=weight_shares,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(n)",
    differs=(
        ("round_robin", "begins with the first peer, honours weights, and leaves out failed peers"),
        ("haproxy_roundrobin", "each worker takes turns for itself; unequal weights interleave"),
    ),
)

NGINX_ROUND_ROBIN_ZONE = replace(
    NGINX_ROUND_ROBIN,
    name="nginx_round_robin_zone",
    summary="nginx's default with `zone`: smooth weighted round robin of all workers together",
    scope="replica",
    differs=(("nginx_round_robin", "all workers of a replica take turns together"),),
)
