"""sticky_balanced: ingress-nginx cookie affinity; the cookie's text is a key on the chash ring.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua and sticky_balanced.lua
at dbb11b92, over openresty/lua-resty-balancer at 1cd4363c. Without a cookie a pick makes a text
"<now + i>.<pid>.<random 1..999999>", i = 1, 2, ... up to 20, until the ring leads from it to an
endpoint where this request has not failed; that text becomes the cookie. The number is printed with
%.14g, so trailing zeros vanish. Any cookie text, garbage too, is simply hashed and never replaced:
a session moves when its place on the ring changes hands. A retry with a cookie goes to the same
endpoint again unless ``change_on_failure``; a retry without one makes a new text.

A cookie's value here is the crc32 of its text, all that the ring sees. ``epoch`` is added to the
simulated clock so that texts have the length of real ones (0 simulates 1970). ``pid`` is that of
every worker: their draws differ already.

Deviations: one pid; the clock is rounded to milliseconds, which is what nginx's clock gives;
equal point hashes as in chash; every location counts as listed for the cookie. Units: ``now`` in
seconds. Cost per pick: O(1), with a new cookie one draw and a crc32 of 25 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.digits import DOT, write_number, write_seconds
from lbbench.balancers.tried import is_tried
from lbbench.core.hashes import crc32_continue
from lbbench.core.rings import arcs, empty_ring, ketama_points, ring_find, ring_keep
from lbbench.core.rng import lua_random
from lbbench.errors import BalancerError

MAX_CHECKS = 20  # sticky_balanced.lua: MAX_UPSTREAM_CHECKS_COUNT
MAX_RANDOM = 999_999
PID = 30
EPOCH = 1_600_000_000  # seconds: any time in 2001-2286 has as many digits

SIZE, CHANGE, PID_AT, EPOCH_AT = range(4)


class StickyBalancedState(NamedTuple):
    """A ring and the last text; M points of all endpoints that exist in the run, E endpoints."""

    all_hash: np.ndarray  # uint32[M] in ring order
    all_owner: np.ndarray  # int64[M] endpoint ids
    hash: np.ndarray  # uint32[M + NEAR] points of the listed endpoints
    owner: np.ndarray  # int32[M] positions in the list
    guide: np.ndarray  # int32[M / 2] see rings.empty_ring
    seat: np.ndarray  # int64[E] scratch of ring_keep
    number: np.ndarray  # int64[4] points in use, change_on_failure, pid, epoch in seconds
    text: np.ndarray  # uint8[64] the last text made
    length: np.ndarray  # int64[1] its bytes
    set_cookie: np.ndarray  # int64[1] crc32 of the cookie that the last pick set, -1: none


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> StickyBalancedState:
    """Return the ring of all endpoints, none of them listed.

    Raises
    ------
    BalancerError
        When ``pid`` or ``epoch`` is no whole number that can be printed.
    """
    for name in ("pid", "epoch"):
        value = params[name]
        if not isinstance(value, int) or not 0 <= value < 10**12:
            raise BalancerError(
                f"sticky_balanced: {name} = {value}: must be a whole number, 0 <= {name} < 10^12"
            )
    hashes, owners = ketama_points([item.address for item in endpoints])
    number = [0, int(bool(params["change_on_failure"])), params["pid"], params["epoch"]]
    hash_, owner, guide = empty_ring(len(hashes))
    return StickyBalancedState(
        all_hash=hashes,
        all_owner=owners,
        hash=hash_,
        owner=owner,
        guide=guide,
        seat=np.full(len(endpoints), -1, np.int64),
        number=np.array(number, np.int64),
        text=np.zeros(64, np.uint8),
        length=np.zeros(1, np.int64),
        set_cookie=np.full(1, -1, np.int64),
    )


def on_endpoints(
    state: StickyBalancedState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Keep the points of the listed endpoints."""
    state.number[SIZE] = ring_keep(
        state.all_hash, state.all_owner, new, state.seat, state.hash, state.owner, state.guide
    )


def pick(
    state: StickyBalancedState,
    rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position for the cookie ``key`` (-1: none), or for a new one in ``set_cookie``."""
    state.set_cookie[0] = -1
    size = state.number[SIZE]
    if size == 0:
        return -1
    if key >= 0 and (len(tried) == 0 or state.number[CHANGE] == 0):
        return int(state.owner[ring_find(state.hash, state.guide, size, key)])
    for check in range(1, MAX_CHECKS + 1):
        write_text(state, now, check, lua_random(rng, 1, MAX_RANDOM))
        made = int(np.int64(crc32_continue(np.uint32(0), state.text[: state.length[0]])))
        place = int(state.owner[ring_find(state.hash, state.guide, size, made)])
        if not is_tried(tried, place):
            state.set_cookie[0] = made
            return place
    return -1


def write_text(state: StickyBalancedState, now: float, check: int, drawn: int) -> None:
    """Write "<now + check>.<pid>.<drawn>" into ``text``."""
    text = state.text
    milliseconds = np.int64(np.rint(now * 1000.0)) + 1000 * (state.number[EPOCH_AT] + check)
    at = write_seconds(text, 0, milliseconds)
    text[at] = DOT
    at = write_number(text, at + 1, state.number[PID_AT])
    text[at] = DOT
    state.length[0] = write_number(text, at + 1, drawn)


def shares(state: StickyBalancedState, n: int) -> np.ndarray:
    """Return the share of new sessions of every listed endpoint: its arc, float64[n]."""
    size = int(state.number[SIZE])
    return arcs(state.hash[:size], state.owner[:size], n) / 2.0**32


STICKY_BALANCED = Balancer(
    name="sticky_balanced",
    level="l7",
    summary="ingress-nginx cookie affinity, balanced: the cookie is a key on the ring",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua, "
    "sticky_balanced.lua@dbb11b92, openresty/lua-resty-balancer chash.lua, chash.c@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=MappingProxyType({"change_on_failure": False, "pid": PID, "epoch": EPOCH}),
    scope="shared",
    common=("all_hash", "all_owner"),
    clock="ms",
    cookies=True,
    cost="O(1), with a new cookie one draw",
    differs=(
        (
            "sticky_persistent",
            "puts the cookie on a ring, so new endpoints take over sessions that are there",
        ),
        ("chash", "hashes a cookie of its own making, not a part of the request"),
    ),
)
