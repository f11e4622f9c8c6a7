"""nginx_hash_consistent: nginx's ``hash KEY consistent``, a ketama ring.

Original: nginx/nginx src/http/modules/ngx_http_upstream_hash_module.c at 3f6f7824. Each server has
160 points per unit of weight: point k is the crc32 of host, NUL, port and the four little-endian
bytes of point k-1, beginning with 0. Of equal points one stays. A key belongs to the first point
not below its crc32, around the end to the first of all. Where the request has failed on that
point's server, or it is out of use, the next point is looked at, and so on; after 20 times, with
one server, and without a key, smooth weighted round robin decides.

Deviations: which of two equal points stays is left to the sorting in the original, here it is the
first server's; nginx allows 20 steps per request, here per try. See also
`lbbench.balancers.nginx_peers`. Units: times in whole seconds. Cost per pick: O(1); a change of
the list O(160 E).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.nginx_peers import (
    PARAMS,
    RingPeers,
    alone,
    done,
    note_failure,
    peers,
    smooth_round_robin,
    taken,
)
from lbbench.balancers.nginx_peers import on_endpoints as on_peers
from lbbench.core.rings import empty_ring, ketama_points, points_kept, ring_find, ring_guide

MOST_STEPS = 20
NO_KEY = -1


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of a text: its crc32, -1 if it is empty."""
    return _key


def _key(text: bytes) -> int:
    return zlib.crc32(text) if text else NO_KEY


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RingPeers:
    """Return a worker's peers and ring before it has a list.

    Raises
    ------
    BalancerError
        When an option is none of nginx's values.
    """
    base = peers("nginx_hash_consistent", params, endpoints)
    names = ["\0".join(item.address.rsplit(":", 1)) for item in endpoints]
    all_hash, all_owner = ketama_points(names, [item.weight for item in endpoints])
    hashes, owners, guide = empty_ring(len(all_hash))
    return RingPeers(
        *base,
        all_hash=all_hash,
        all_owner=all_owner,
        hashes=hashes,
        owners=owners,
        guide=guide,
        seat=np.full(len(endpoints), -1, np.int64),
        points=np.zeros(1, np.int64),
    )


def on_endpoints(
    state: RingPeers, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Begin anew with the servers ``new``: a stretch of all points, equal ones but once."""
    on_peers(state, rng, old, new, now)
    n = points_kept(state.all_hash, state.all_owner, new, state.seat, state.hashes, state.owners)
    kept = 0
    for point in range(n):
        if kept == 0 or state.hashes[point] != state.hashes[kept - 1]:
            state.hashes[kept] = state.hashes[point]
            state.owners[kept] = state.owners[point]
            kept += 1
    state.points[0] = kept
    ring_guide(state.hashes, state.guide, kept)


def pick(
    state: RingPeers,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the server of the key's point, -1 when none is usable."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    if key == NO_KEY:
        return smooth_round_robin(state, busy, tried, second)
    points = state.points[0]
    point = ring_find(state.hashes, state.guide, points, key)
    for _ in range(MOST_STEPS + 1):
        place = int(state.owners[point])
        if taken(state, place, busy, tried, second):
            return place
        point = point + 1 if point + 1 < points else 0
    return smooth_round_robin(state, busy, tried, second)


NGINX_HASH_CONSISTENT = Balancer(
    name="nginx_hash_consistent",
    level="l7",
    summary="nginx's hash consistent: a ketama ring that walks on from what has failed",
    source="nginx/nginx src/http/modules/ngx_http_upstream_hash_module.c@3f6f7824",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    digest=digest,
    hashes=True,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(1)",
    differs=(
        ("chash", "has the same kind of ring, but a retry goes on to another server"),
        ("haproxy_hash_consistent", "has 160 points per server, not 16, and walks one way only"),
    ),
)
