"""nginx_least_conn: nginx's ``least_conn``, the fewest connections per weight.

Original: nginx/nginx src/http/modules/ngx_http_upstream_least_conn_module.c at 3f6f7824. What is
compared is conns_i / w_i by cross products, where conns are the attempts that this worker has
outstanding at the peer; among the tied, smooth weighted round robin decides. Peers where the
request has failed, and those out of use after failures (passive health: ``max_fails``,
``fail_timeout``), are left out; when none is left the request gets an error. Nothing is drawn.

Every worker counts for itself, as nginx does without ``zone``. ``nginx_least_conn_zone`` is
nginx with it: all workers of a replica count together.

Deviations: see `lbbench.balancers.nginx_peers`. Units: attempts; times in whole seconds. Cost per
pick: two walks over the list, O(n).
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.nginx_peers import (
    NONE,
    PARAMS,
    Peers,
    alone,
    begin_trial,
    compare,
    done,
    is_usable,
    note_failure,
    on_endpoints,
    peers,
    take_turn,
)


def pick(
    state: Peers,
    _rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of a usable peer with the fewest connections per weight, -1 for none."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    first, tied = _fewest(state, busy, tried, second)
    best = first
    if tied > 1:
        total = 0
        best = NONE
        for place in range(first, n):
            ties = compare(state, busy, place, first) == 0
            if ties and is_usable(state, place, busy, tried, second):
                total += state.effective[state.ids[place]]
                best = take_turn(state, place, best)
        state.current[state.ids[best]] -= total
    if best != NONE:
        begin_trial(state, best, second)
    return best


def _fewest(state: Peers, busy: np.ndarray, tried: np.ndarray, second: int) -> tuple[int, int]:
    """Return (the first usable position with the fewest per weight, -1 for none; how many tie)."""
    first = NONE
    tied = 0
    for place in range(len(busy)):
        if is_usable(state, place, busy, tried, second):
            order = -1 if first == NONE else compare(state, busy, place, first)
            if order < 0:
                first = place
                tied = 1
            elif order == 0:
                tied += 1
    return first, tied


NGINX_LEAST_CONN = Balancer(
    name="nginx_least_conn",
    level="l7",
    summary="nginx's least_conn: fewest outstanding in this worker, ties by smooth round robin",
    source="nginx/nginx src/http/modules/ngx_http_upstream_least_conn_module.c@3f6f7824",
    state=partial(peers, "nginx_least_conn"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(n)",
    differs=(
        (
            "least_conn",
            (
                "breaks ties by smooth weighted round robin, not by a draw, and leaves out peers "
                "that failed lately"
            ),
        ),
        (
            "haproxy_leastconn",
            (
                "counts per worker, not per process, and breaks ties by turns, not by who has "
                "waited longest"
            ),
        ),
    ),
)

NGINX_LEAST_CONN_ZONE = replace(
    NGINX_LEAST_CONN,
    name="nginx_least_conn_zone",
    summary="nginx's least_conn with `zone`: fewest outstanding in this replica",
    scope="replica",
    differs=(("nginx_least_conn", "counts what all workers of the replica have outstanding"),),
)
