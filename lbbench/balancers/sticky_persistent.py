"""sticky_persistent: ingress-nginx cookie affinity; the cookie names an endpoint.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua and
sticky_persistent.lua at dbb11b92. The cookie is md5(salt .. "ip:port") with the backend's name as
salt; a map leads from it to the endpoint. A request without a cookie, or with one that the map does
not hold, draws uniformly among the endpoints where it has not failed and gets that one's cookie. So
sessions never move while their endpoint lives, and new endpoints get new sessions only. A retry
with a cookie goes to the same endpoint again unless ``change_on_failure``; one draw per new choice,
none when every endpoint has failed (-1).

A cookie's value here is the first 32 bits of that md5; if two endpoints of a run share them, the
second takes the next free number.

Deviations: the draw counts candidates in list order, the original in the order of its hash table;
every location counts as listed for the cookie. Units: none. Cost per pick: O(log E) with a known
cookie, O(n x tried) and one draw else; per change of the list O(E) for E endpoints of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.cookies import persistent_key
from lbbench.balancers.tried import is_tried
from lbbench.core.rng import lua_random

SALT = "default-web-80"  # a backend's name: namespace, service, port

LISTED, CHANGE = range(2)


class StickyPersistentState(NamedTuple):
    """The map from cookies to endpoints; E endpoints exist in the run."""

    code: np.ndarray  # int64[E] cookie value by endpoint id
    sorted_code: np.ndarray  # int64[E] cookie values ascending
    sorted_owner: np.ndarray  # int64[E] their endpoint ids
    seat: np.ndarray  # int64[E] position in the list by endpoint id, -1: not listed
    member: np.ndarray  # int64[E] endpoint ids in list order
    number: np.ndarray  # int64[2] listed endpoints, change_on_failure
    set_cookie: np.ndarray  # int64[1] cookie that the last pick set, -1: none


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> StickyPersistentState:
    """Return the map of all endpoints, none of them listed."""
    n = len(endpoints)
    keys = [persistent_key(item.address, str(params["salt"])) for item in endpoints]
    code = distinct([int(key[:8], 16) for key in keys])
    order = np.argsort(code, kind="stable").astype(np.int64)
    return StickyPersistentState(
        code=code,
        sorted_code=code[order],
        sorted_owner=order,
        seat=np.full(n, -1, np.int64),
        member=np.zeros(n, np.int64),
        number=np.array([0, int(bool(params["change_on_failure"]))], np.int64),
        set_cookie=np.full(1, -1, np.int64),
    )


def distinct(numbers: Sequence[int]) -> np.ndarray:
    """Return uint32 numbers made distinct, int64[n]: a taken one moves up to the next free one."""
    made: dict[int, None] = {}
    for number in numbers:
        free = number
        while free in made:
            free = (free + 1) % 2**32
        made[free] = None
    return np.array(list(made), np.int64)


def on_endpoints(
    state: StickyPersistentState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take the new list into the map."""
    for endpoint in range(len(state.seat)):
        state.seat[endpoint] = -1
    for k in range(len(new)):
        state.seat[new[k]] = k
        state.member[k] = new[k]
    state.number[LISTED] = len(new)


def pick(
    state: StickyPersistentState,
    rng: np.ndarray,
    _now: float,
    key: int,
    _busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position that the cookie ``key`` names, or a drawn one and its ``set_cookie``."""
    state.set_cookie[0] = -1
    named = _named(state, key)
    if named >= 0 and (len(tried) == 0 or state.number[CHANGE] == 0):
        return named
    n = int(state.number[LISTED])
    candidates = 0
    for place in range(n):
        if not is_tried(tried, place):
            candidates += 1
    if candidates == 0:
        return -1
    drawn = lua_random(rng, 1, candidates)
    for place in range(n):
        if not is_tried(tried, place):
            drawn -= 1
            if drawn == 0:
                state.set_cookie[0] = state.code[state.member[place]]
                return place
    return -1


def _named(state: StickyPersistentState, key: int) -> int:
    """Return the position of the listed endpoint whose cookie is ``key``, -1 for none."""
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
    return int(state.seat[state.sorted_owner[low]])


STICKY_PERSISTENT = Balancer(
    name="sticky_persistent",
    level="l7",
    summary="ingress-nginx cookie affinity, persistent: the cookie names an endpoint",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/sticky.lua, "
    "sticky_persistent.lua@dbb11b92",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"change_on_failure": False, "salt": SALT}),
    scope="shared",
    common=("code", "sorted_code", "sorted_owner"),
    clock="ms",
    cookies=True,
    cost="O(log n), with a new cookie O(n) and one draw",
    differs=(
        (
            "sticky_balanced",
            (
                "names the endpoint in the cookie, so no session moves while its endpoint lives, "
                "and new endpoints get new sessions only"
            ),
        ),
    ),
)
