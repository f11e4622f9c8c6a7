"""nginx_random_two: nginx's ``random two least_conn``, the better of two draws.

Original: nginx/nginx src/http/modules/ngx_http_upstream_random_module.c at 3f6f7824. Peers are
drawn by weight; a draw of the first peer again, of one where the request has failed, or of one that
is out of use (passive health: ``max_fails``, ``fail_timeout``) is thrown away. The first of the two
is kept only if conns_2 w_1 > conns_1 w_2, so a tie goes to the second. Conns are the attempts that
this worker has outstanding at the peer. After more than 20 draws thrown away, and with one peer
only, smooth weighted round robin decides, among two usable peers as among many.

Every worker counts for itself, as nginx does without ``zone``. ``nginx_random_two_zone`` is
nginx with it: all workers of a replica count together.

Deviations: nginx allows 20 thrown away per request, here per try; a draw is floor(u W) instead of a
31-bit number modulo W, the sum of the weights; see also `lbbench.balancers.nginx_peers`. Units:
attempts; times in whole seconds. Cost per pick: O(n + tried) with unlike weights, else O(tried),
for each of two draws and those thrown away.
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
    place_of,
    smooth_round_robin,
)
from lbbench.core.rng import uniform

MOST_THROWN_AWAY = 20  # ngx_http_upstream_random_module.c


def pick(
    state: Peers,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position with fewer connections per weight of two usable ones, -1 for none."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    first = NONE
    thrown_away = 0
    while thrown_away <= MOST_THROWN_AWAY:
        place = drawn(state, rng, n)
        if place == first or not is_usable(state, place, busy, tried, second):
            thrown_away += 1
        elif first == NONE:
            first = place
        else:
            best = first if compare(state, busy, place, first) > 0 else place
            begin_trial(state, best, second)
            return best
    return smooth_round_robin(state, busy, tried, second)


def drawn(state: Peers, rng: np.ndarray, n: int) -> int:
    """Return the position among n of a peer drawn by weight: whose range holds floor(u W)."""
    return place_of(state, int(uniform(rng) * state.total[0]), n)


NGINX_RANDOM_TWO = Balancer(
    name="nginx_random_two",
    level="l7",
    summary="nginx's random two: fewer outstanding in this worker of two drawn, ties to the second",
    source="nginx/nginx src/http/modules/ngx_http_upstream_random_module.c@3f6f7824",
    state=partial(peers, "nginx_random_two"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(1) with equal weights, two draws",
    differs=(
        ("p2c", "gives a tie to the second draw, and draws by weight"),
        ("haproxy_random", "draws two distinct peers by weight, and counts per worker"),
    ),
)

NGINX_RANDOM_TWO_ZONE = replace(
    NGINX_RANDOM_TWO,
    name="nginx_random_two_zone",
    summary="nginx's random two with `zone`: fewer outstanding in the replica of two drawn",
    scope="replica",
    differs=(("nginx_random_two", "counts what all workers of the replica have outstanding"),),
)
