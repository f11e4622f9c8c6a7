"""nginx_ip_hash: nginx's ``ip_hash``, a peer by the client's network.

Original: nginx/nginx src/http/modules/ngx_http_upstream_ip_hash_module.c at 3f6f7824. From 89 on,
h becomes (113 h + b) mod 6271 for each byte b of the first three of an IPv4 address, or of all 16
of an IPv6 address; h mod the sum of the weights chooses the peer whose range of weights holds it.
So all clients of a /24 go together, and there are no more than 6271 values. Where the request has
failed on that peer, or it is out of use, the same bytes are fed into h again; after 20 times, and
with one peer only, smooth weighted round robin decides.

The client's address is what the ingress sees ($remote_addr), whatever ``hash_by`` says: under
``externalTrafficPolicy: Cluster`` that is a node's.

Deviations: a request's next try begins again with 89, and comes to the same h unless a peer has
come back in between; nginx allows 20 rounds per request, here per try. See also
`lbbench.balancers.nginx_peers`. Units: times in whole seconds. Cost per pick: O(1) with equal
weights, else O(n).
"""

from __future__ import annotations

import ipaddress
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

FIRST, FACTOR, MODULUS = 89, 113, 6271
MOST_ROUNDS = 20
NETWORK = 3  # bytes of an IPv4 address that count
FACTOR_4 = pow(FACTOR, NETWORK, MODULUS)
FACTOR_6 = pow(FACTOR, 16, MODULUS)
SIX = 1 << 16  # flag in the key


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of an address: what its bytes add to h, and its family.

    Feeding the bytes is h -> (f h + a) mod 6271, where f is 113 to the power of their number.
    """
    return _key


def _key(text: bytes) -> int:
    packed = ipaddress.ip_address(text.decode()).packed
    is_six = len(packed) == 16
    added = 0
    for byte in packed if is_six else packed[:NETWORK]:
        added = (added * FACTOR + byte) % MODULUS
    return added | (SIX if is_six else 0)


def pick(
    state: Peers,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the peer of the client's network, -1 when none is usable."""
    n = len(busy)
    if n <= 1:
        return alone(state, busy)
    second = int(now)
    note_failure(state, tried, second)
    factor = FACTOR_6 if key & SIX else FACTOR_4
    added = key & (SIX - 1)
    h = FIRST
    for _ in range(MOST_ROUNDS + 1):
        h = (h * factor + added) % MODULUS
        place = place_of(state, h, n)
        if taken(state, place, busy, tried, second):
            return place
    return smooth_round_robin(state, busy, tried, second)


NGINX_IP_HASH = Balancer(
    name="nginx_ip_hash",
    level="l7",
    summary="nginx's ip_hash: a peer by the client's /24 (IPv6: the whole address)",
    source="nginx/nginx src/http/modules/ngx_http_upstream_ip_hash_module.c@3f6f7824",
    state=partial(peers, "nginx_ip_hash"),
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    shares=weight_shares,
    digest=digest,
    hash_by="$remote_addr",
    hashes=True,
    params=PARAMS,
    scope="worker",
    clock="ms",
    any_answer=True,
    cost="O(1) with equal weights",
    differs=(
        ("nginx_hash", "hashes the client's /24, whatever hash_by says, to 6271 values at most"),
    ),
)
