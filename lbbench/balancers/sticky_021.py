"""sticky_0.21: the cookie affinity of ingress-nginx 0.21; an md5 of clock and worker is the key.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua at 4e986667 (the end of
2018), over openresty/lua-resty-balancer's chash. A request without a cookie gets the text
md5("<now>.<pid>"), 32 hexadecimal digits, and the ring leads from it to an endpoint; with one, the
ring leads from its text. The clock is printed with %.14g, so trailing zeros vanish. **Two requests
in the same millisecond at the same worker get the same cookie** and with it the same endpoint, for
as long as they carry it. Workers differ by their pid.

Failures are not looked at: a retry with a cookie goes to the same endpoint again; a retry without
one makes a text anew, which is another one if the clock has gone on. As on any ring a session moves
only when its place changes hands; a text once set is never replaced.

A cookie's value here is the crc32 of the 32 digits, all that the ring sees. ``epoch`` is added to
the simulated clock so that the texts are like real ones (0 simulates 1970). The engine puts each
worker's pid into the field ``pid``.

Deviations: md5 only (the annotation could ask for sha1 instead); equal point hashes as in chash;
every location counts as listed for the cookie; an empty list means no endpoint (until 0.23 workers
kept the old one). Nothing is drawn. Units: ``now`` in seconds. Cost per pick: O(1), with a
new cookie an md5 of one block and a crc32 of 32 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.digits import DOT, write_number, write_seconds
from lbbench.core.hashes import crc32_continue
from lbbench.core.md5 import hex_into, md5_into
from lbbench.core.rings import arcs, empty_ring, ketama_points, ring_find, ring_keep
from lbbench.errors import BalancerError

FIRST_PID = 30
EPOCH = 1_540_000_000  # seconds, October 2018


class Sticky021State(NamedTuple):
    """A ring and the last text; M points of all endpoints that exist in the run, E endpoints."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] endpoint ids
    hash: np.ndarray  # uint32[M + NEAR] points of the listed endpoints
    owner: np.ndarray  # int32[M] positions in the list
    guide: np.ndarray  # int32[M / 2] see rings.empty_ring
    size: np.ndarray  # int64[1] points in use
    seat: np.ndarray  # int64[E] scratch of ring_keep
    epoch: np.ndarray  # int64[1] seconds
    pid: np.ndarray  # int64[1] the worker's, set by the engine
    text: np.ndarray  # uint8[64] scratch: what is hashed
    words: np.ndarray  # uint64[4] scratch: its md5
    digits: np.ndarray  # uint8[32] the last cookie made
    set_cookie: np.ndarray  # int64[1] crc32 of the cookie that the last pick set, -1: none


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Sticky021State:
    """Return the ring of all endpoints, none of them listed.

    Raises
    ------
    BalancerError
        When ``epoch`` is no whole number that can be printed.
    """
    epoch = params["epoch"]
    if not isinstance(epoch, int) or not 0 <= epoch < 10**10:
        raise BalancerError(
            f"sticky_0.21: epoch = {epoch}: must be a whole number of seconds, 0 <= epoch < 10^10"
        )
    hashes, owners = ketama_points([item.address for item in endpoints])
    hash_, owner, guide = empty_ring(len(hashes))
    return Sticky021State(
        all_hash=hashes,
        all_owner=owners,
        hash=hash_,
        owner=owner,
        guide=guide,
        size=np.zeros(1, np.int64),
        seat=np.full(len(endpoints), -1, np.int64),
        epoch=np.array([epoch], np.int64),
        pid=np.full(1, FIRST_PID, np.int64),
        text=np.zeros(64, np.uint8),
        words=np.zeros(4, np.uint64),
        digits=np.zeros(32, np.uint8),
        set_cookie=np.full(1, -1, np.int64),
    )


def on_endpoints(
    state: Sticky021State, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the listed endpoints."""
    state.size[0] = ring_keep(
        state.all_hash, state.all_owner, new, state.seat, state.hash, state.owner, state.guide
    )


def pick(
    state: Sticky021State,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position for the cookie ``key`` (-1: none), or for a new one in ``set_cookie``."""
    state.set_cookie[0] = -1
    size = state.size[0]
    if size == 0:
        return -1
    if key < 0:
        key = new_cookie(state, now)
        state.set_cookie[0] = key
    return int(state.owner[ring_find(state.hash, state.guide, size, key)])


def new_cookie(state: Sticky021State, now: float) -> int:
    """Write the cookie that the worker makes at ``now`` into ``digits``; return its crc32."""
    text = state.text
    milliseconds = np.int64(np.rint(now * 1000.0)) + 1000 * state.epoch[0]
    at = write_seconds(text, 0, milliseconds)
    text[at] = DOT
    at = write_number(text, at + 1, state.pid[0])
    md5_into(state.words, text[:at])
    hex_into(state.digits, state.words)
    return int(np.int64(crc32_continue(np.uint32(0), state.digits)))


def shares(state: Sticky021State, n: int) -> np.ndarray:
    """Return the share of new sessions of every listed endpoint: its arc, float64[n]."""
    size = int(state.size[0])
    return arcs(state.hash[:size], state.owner[:size], n) / 2.0**32


STICKY_021 = Balancer(
    name="sticky_0.21",
    level="l7",
    summary="ingress-nginx 0.21 cookie affinity: md5 of clock and pid as key on the ring",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua@4e986667, "
    "openresty/lua-resty-balancer lib/resty/chash.lua, chash.c@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"epoch": EPOCH}),
    scope="worker",
    clock="ms",
    cookies=True,
    cost="O(1), with a new cookie an md5",
    differs=(
        (
            "sticky_balanced",
            (
                "makes the cookie of clock and worker alone, so requests of one millisecond share "
                "it, and never leaves an endpoint that fails"
            ),
        ),
    ),
)
