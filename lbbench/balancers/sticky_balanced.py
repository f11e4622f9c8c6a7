"""sticky_balanced: ingress-nginx cookie affinity, the cookie's text is a key on the chash ring.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua, sticky_balanced.lua at
dbb11b92. Without a cookie a new text "<now + i>.<pid>.<random 1..999999>" is made, i = 1, 2, ... up to
20, until its place on the ring is not an endpoint where this request has failed; it becomes the
cookie. The number is printed with %.14g, so trailing zeros vanish. Any cookie text, garbage too, is
simply hashed and never replaced. A retry with a cookie goes to the same endpoint unless
``change_on_failure``; one without a cookie makes a new text each time.

Here a cookie's value is the crc32 of its text, which is all that the ring sees. ``epoch`` is added
to the clock so that texts look like real ones (seconds since 1970). Cost per pick: O(log points).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.hashes import crc32_continue
from lbbench.core.rings import arcs, ketama_points, ring_find
from lbbench.core.rng import lua_random

MAX_CHECKS = 20  # sticky_balanced.lua: MAX_UPSTREAM_CHECKS_COUNT
MAX_RANDOM = 999_999
EPOCH = 1_600_000_000
DOT, ZERO = 46, 48


class StickyBalancedState(NamedTuple):
    """A ring and the last cookie; M points of all endpoints that exist in the run, E endpoints."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] endpoint ids
    hash: np.ndarray  # uint32[M] points of the listed endpoints
    owner: np.ndarray  # int64[M] positions in the list
    number: np.ndarray  # int64[4] points in use, change_on_failure, pid, epoch
    seat: np.ndarray  # int64[E] scratch: position by endpoint id, -1 between changes
    text: np.ndarray  # uint8[64] the last text made
    set_cookie: np.ndarray  # int64[1] crc32 of the cookie that the last pick set, -1: none


SIZE, CHANGE, PID, EPOCH_AT = range(4)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> StickyBalancedState:
    """Return the ring of all endpoints, none of them listed."""
    hashes, owners = ketama_points([item.address for item in endpoints])
    number = [0, int(params["change_on_failure"]), int(params["pid"]), int(params["epoch"])]
    return StickyBalancedState(
        all_hash=hashes,
        all_owner=owners,
        hash=np.zeros(len(hashes), np.uint32),
        owner=np.zeros(len(hashes), np.int64),
        number=np.array(number, np.int64),
        seat=np.full(len(endpoints), -1, np.int64),
        text=np.zeros(64, np.uint8),
        set_cookie=np.full(1, -1, np.int64),
    )


def on_endpoints(
    state: StickyBalancedState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the listed endpoints."""
    for k in range(len(new)):
        state.seat[new[k]] = k
    size = 0
    for point in range(len(state.all_hash)):
        seat = state.seat[state.all_owner[point]]
        if seat >= 0:
            state.hash[size] = state.all_hash[point]
            state.owner[size] = seat
            size += 1
    state.number[SIZE] = size
    for k in range(len(new)):
        state.seat[new[k]] = -1


def pick(
    state: StickyBalancedState,
    rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position for the cookie ``key`` (-1: none); sets ``set_cookie`` when it made one."""
    state.set_cookie[0] = -1
    size = state.number[SIZE]
    if size == 0:
        return -1
    keep = len(tried) == 0 or state.number[CHANGE] == 0
    if key >= 0 and keep:
        return state.owner[ring_find(state.hash, size, key)]
    for i in range(1, MAX_CHECKS + 1):
        length = write_text(state, now, i, lua_random(rng, 1, MAX_RANDOM))
        made = np.int64(crc32_continue(np.uint32(0), state.text[:length]))
        place = state.owner[ring_find(state.hash, size, made)]
        failed = False
        for k in range(len(tried)):
            if tried[k] == place:
                failed = True
        if not failed:
            state.set_cookie[0] = made
            return place
    return -1


def write_text(state: StickyBalancedState, now: float, i: int, drawn: int) -> int:
    """Write "<now + i>.<pid>.<drawn>" into ``text``; return its length."""
    milliseconds = np.int64(np.rint(now * 1000.0)) + 1000 * (state.number[EPOCH_AT] + i)
    at = _write_number(state.text, 0, milliseconds // 1000)
    rest = milliseconds % 1000
    if rest > 0:
        state.text[at] = DOT
        at += 1
        for unit in (100, 10, 1):
            state.text[at] = ZERO + rest // unit
            at += 1
            rest = rest % unit
            if rest == 0:
                break
    state.text[at] = DOT
    at = _write_number(state.text, at + 1, state.number[PID])
    state.text[at] = DOT
    return _write_number(state.text, at + 1, drawn)


def _write_number(text: np.ndarray, at: int, number: int) -> int:
    unit = 1
    while number // unit >= 10:
        unit *= 10
    while unit > 0:
        text[at] = ZERO + (number // unit) % 10
        at += 1
        unit //= 10
    return at


def shares(state: StickyBalancedState, n: int) -> np.ndarray:
    """Return the share of new sessions of every listed endpoint: its arc, float64[n]."""
    size = int(state.number[SIZE])
    return arcs(state.hash[:size], state.owner[:size], n) / 2.0**32


STICKY_BALANCED = Balancer(
    name="sticky_balanced",
    level="l7",
    summary="ingress-nginx cookie affinity, balanced: the cookie is a key on the ring",
    source="kubernetes/ingress-nginx lua/balancer/sticky.lua, sticky_balanced.lua@dbb11b92",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"change_on_failure": False, "pid": 30, "epoch": EPOCH}),
    scope="shared",
    clock="ms",
    cookies=True,
    cost="O(log points)",
)
