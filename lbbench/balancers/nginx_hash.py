"""nginx_hash: nginx's ``hash KEY``, a peer by the remainder of the key's crc32.

Original: nginx/nginx src/http/modules/ngx_http_upstream_hash_module.c at 3f6f7824. The number is
(crc32(key) >> 16) & 0x7fff; its remainder by the sum of the weights chooses the peer whose range
of weights holds it. Where the request has failed on that peer, or it is out of use, the crc32 of
"1" and the key is added to the number in the same way, then that of "2" and the key, and so on;
after 20 times, with one peer, and without a key, smooth weighted round robin decides. When the
list changes most keys move: `lbbench.balancers.nginx_hash_consistent` is the other form.

Deviations: a request's next try begins again with the first number, and comes to the same one
unless a peer has come back in between; nginx allows 20 rounds per request, here per try. See also
`lbbench.balancers.nginx_peers`. Units: times in whole seconds. Cost per pick: O(1) with equal
weights, else O(n); a round more 32 steps of the crc32.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

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
    place_of,
    smooth_round_robin,
    taken,
)
from lbbench.balancers.weights import weight_shares
from lbbench.core.hashes import crc32_behind

MOST_ROUNDS = 20
PREFIX_CRCS = np.array([zlib.crc32(b"%d" % k) for k in range(MOST_ROUNDS + 1)], np.int64)
LENGTH_AT = 32  # bits of the key below the text's length
CRC = 2**32 - 1
NO_KEY = -1


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of a text: its crc32 and, above that, its length; -1 if empty."""
    return _key


def _key(text: bytes) -> int:
    return zlib.crc32(text) | len(text) << LENGTH_AT if text else NO_KEY


def pick(
    state: Peers,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the key's peer, -1 when none is usable."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    if key == NO_KEY:
        return smooth_round_robin(state, busy, tried, second)
    number = 0
    for rehash in range(MOST_ROUNDS + 1):
        crc = key & CRC
        if rehash > 0:
            crc = crc32_behind(PREFIX_CRCS[rehash], crc, key >> LENGTH_AT)
        number += (crc >> 16) & 0x7FFF
        place = place_of(state, number, n)
        if taken(state, place, busy, tried, second):
            return place
    return smooth_round_robin(state, busy, tried, second)


NGINX_HASH = Balancer(
    name="nginx_hash",
    level="l7",
    summary="nginx's hash: a peer by the remainder of the key's crc32",
    source="nginx/nginx src/http/modules/ngx_http_upstream_hash_module.c@3f6f7824",
    state=partial(peers, "nginx_hash"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    shares=weight_shares,
    digest=digest,
    hashes=True,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(1) with equal weights",
    differs=(
        ("nginx_hash_consistent", "takes a remainder, so most keys move when the list changes"),
        ("chash", "takes a remainder instead of a ring, and a retry goes to another peer"),
    ),
)
