"""sticky_persistent: ingress-nginx cookie affinity, the cookie names an endpoint.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua, sticky_persistent.lua at
dbb11b92. The cookie is md5(salt .. "ip:port") with the backend's name as salt; a map leads from it to
the endpoint. A missing or unknown cookie draws uniformly among the endpoints where this request has
not failed and sets that one's cookie. Sessions never move while their endpoint lives.

Here a cookie's value is the first 32 bits of that md5 (made distinct within a run). Deviation: the
draw counts candidates in list order, the original in the order of its hash table. Cost per pick:
O(n) for the look-up.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.hashes import md5_text
from lbbench.core.rng import lua_random


class StickyPersistentState(NamedTuple):
    """The map from cookies to endpoints; E endpoints exist in the run."""

    code: np.ndarray  # int64[E] cookie value by endpoint id
    owner: np.ndarray  # int64[E] endpoint ids sorted by code
    sorted_code: np.ndarray  # int64[E]
    seat: np.ndarray  # int64[E] position in the list by endpoint id, -1: not listed
    listed: np.ndarray  # int64[E] endpoint ids in list order
    number: np.ndarray  # int64[2] listed endpoints, change_on_failure
    set_cookie: np.ndarray  # int64[1] cookie that the last pick set, -1: none


def cookie_text(address: str, salt: str) -> str:
    """Return the cookie of an endpoint as the original writes it: md5(salt .. address)."""
    return md5_text(salt + address)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> StickyPersistentState:
    """Return the map of all endpoints, none of them listed."""
    n = len(endpoints)
    used: set[int] = set()
    codes = []
    for item in endpoints:
        code = int(cookie_text(item.address, params["salt"])[:8], 16)
        while code in used:  # two md5s with the same 32 bits: the next free number
            code = (code + 1) % 2**32
        used.add(code)
        codes.append(code)
    code = np.array(codes, np.int64)
    owner = np.argsort(code, kind="stable").astype(np.int64)
    return StickyPersistentState(
        code=code,
        owner=owner,
        sorted_code=code[owner],
        seat=np.full(n, -1, np.int64),
        listed=np.zeros(n, np.int64),
        number=np.array([0, int(params["change_on_failure"])], np.int64),
        set_cookie=np.full(1, -1, np.int64),
    )


def on_endpoints(
    state: StickyPersistentState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take the new list into the map."""
    for endpoint in range(len(state.seat)):
        state.seat[endpoint] = -1
    for k in range(len(new)):
        state.seat[new[k]] = k
        state.listed[k] = new[k]
    state.number[0] = len(new)


def pick(
    state: StickyPersistentState,
    rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position that the cookie ``key`` names, or a drawn one and its cookie."""
    state.set_cookie[0] = -1
    n = state.number[0]
    named = -1
    if key >= 0:
        named = _named(state, key)
    if named >= 0 and (len(tried) == 0 or state.number[1] == 0):
        return named
    candidates = 0
    for place in range(n):
        if not _is_in(tried, place):
            candidates += 1
    if candidates == 0:
        return -1
    drawn = lua_random(rng, 1, candidates)
    for place in range(n):
        if _is_in(tried, place):
            continue
        drawn -= 1
        if drawn == 0:
            state.set_cookie[0] = state.code[state.listed[place]]
            return place
    return -1


def _named(state: StickyPersistentState, key: int) -> int:
    """Return the position of the endpoint whose cookie is ``key``, -1 for none. O(log E)."""
    low = 0
    high = len(state.sorted_code)
    while low < high:
        middle = (low + high) >> 1
        if state.sorted_code[middle] < key:
            low = middle + 1
        else:
            high = middle
    if low == len(state.sorted_code) or state.sorted_code[low] != key:
        return -1
    return state.seat[state.owner[low]]


def _is_in(tried: np.ndarray, place: int) -> bool:
    for k in range(len(tried)):  # noqa: SIM110  (compiled code has no generators)
        if tried[k] == place:
            return True
    return False


STICKY_PERSISTENT = Balancer(
    name="sticky_persistent",
    level="l7",
    summary="ingress-nginx cookie affinity, persistent: the cookie names an endpoint",
    source="kubernetes/ingress-nginx lua/balancer/sticky.lua, sticky_persistent.lua@dbb11b92",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"change_on_failure": False, "salt": "default-web-80"}),
    scope="shared",
    clock="ms",
    cookies=True,
    cost="O(log n)",
)
