"""round_robin: ingress-nginx's default balancer, lua-resty-balancer's weighted round robin.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/round_robin.lua at dbb11b92 over
openresty/lua-resty-balancer lib/resty/roundrobin.lua at 1cd4363c. One state per worker, nothing
shared. All weights are 1 in ingress-nginx; other weights follow the original too.

The first pick after a (re)start is the node *after* a randomly drawn one; a draw on the last node
begins at the head with the current weight lowered by the gcd. A change of the set draws again, a
mere reordering does nothing. A retry takes the next turn of the cycle.

Deviation: the original walks a Lua hash table, whose order is arbitrary (usually a rotation of the
endpoint list, the same in all workers of a launch). Here it is the endpoint list, or the parameter
``order``: a list of all endpoint ids. ``start: first`` begins at the head without a draw, as before
mid 2019. Cost per pick: O(1) with equal weights.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import lua_random

N, LAST, CURRENT, GCD, HEAVIEST, FIRST = range(6)


class RoundRobinState(NamedTuple):
    """One worker's cycle; E endpoints exist in the run."""

    number: np.ndarray  # int64[6]: nodes, last position in `walk` (-1: head), cw, gcd, max, start
    weight: np.ndarray  # int64[E] by endpoint id
    order: np.ndarray  # int64[E] endpoint ids in the order of the table
    walk: np.ndarray  # int64[E] positions in the endpoint list, in the order in which picks walk
    drawn: np.ndarray  # int64[E] place in `walk` of the k-th node that the start draw counts
    heavy: np.ndarray  # int64[E] weight by place in `walk`
    seat: np.ndarray  # int64[E] scratch: position by endpoint id, -1 between changes


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RoundRobinState:
    """Return a worker's state before it has a list.

    Raises
    ------
    ValueError
        When ``order`` is not a permutation of the endpoint ids.
    """
    n = len(endpoints)
    order = np.arange(n) if params["order"] == "list" else np.array(params["order"], np.int64)
    if sorted(order.tolist()) != list(range(n)):
        raise ValueError(f"round_robin: order must list the numbers 0 .. {n - 1} once each")
    number = np.zeros(6, np.int64)
    number[LAST] = -1
    number[FIRST] = 1 if params["start"] == "first" else 0
    return RoundRobinState(
        number=number,
        weight=np.array([item.weight for item in endpoints], np.int64),
        order=order.astype(np.int64),
        walk=np.zeros(n, np.int64),
        drawn=np.arange(n, dtype=np.int64),
        heavy=np.ones(n, np.int64),
        seat=np.full(n, -1, np.int64),
    )


def on_endpoints(
    state: RoundRobinState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Begin a new cycle over ``new`` unless it is the same set; draws the start."""
    seat = state.seat
    same = len(old) == len(new)
    for k in range(len(new)):
        seat[new[k]] = k
    for k in range(len(old)):
        if seat[old[k]] < 0:
            same = False
    walked = 0
    for k in range(len(state.order)):
        endpoint = state.order[k]
        if seat[endpoint] >= 0:
            state.walk[walked] = seat[endpoint]
            state.heavy[walked] = state.weight[endpoint]
            walked += 1
            seat[endpoint] = -1
    state.number[N] = walked
    if not same:
        restart(state, rng)


def restart(state: RoundRobinState, rng: np.ndarray) -> None:
    """Draw the start of a cycle over the nodes in ``walk``."""
    number = state.number
    number[GCD] = 0
    number[HEAVIEST] = 0
    for k in range(number[N]):
        number[GCD] = math.gcd(number[GCD], state.heavy[k])
        number[HEAVIEST] = max(number[HEAVIEST], state.heavy[k])
    number[CURRENT] = number[HEAVIEST]
    number[LAST] = -1
    if number[FIRST] == 0 and number[N] > 0:
        number[LAST] = state.drawn[lua_random(rng, 1, number[N]) - 1]


def pick(
    state: RoundRobinState,
    _rng: np.ndarray,
    _now: float,
    _key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position whose turn it is, -1 without endpoints."""
    number = state.number
    n = number[N]
    if n == 0:
        return -1
    if n == 1:
        return state.walk[0]
    place = number[LAST]
    current = number[CURRENT]
    while True:
        place += 1
        if place == n:
            place = -1
            current -= number[GCD]
            if current <= 0:
                current = number[HEAVIEST]
            continue
        if state.heavy[place] >= current:
            number[LAST] = place
            number[CURRENT] = current
            return state.walk[place]


ROUND_ROBIN = Balancer(
    name="round_robin",
    level="l7",
    summary="ingress-nginx default: one cycle per worker, random start",
    source="kubernetes/ingress-nginx lua/balancer/round_robin.lua@dbb11b92, "
    "openresty/lua-resty-balancer roundrobin.lua@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"start": "random", "order": "list"}),
    scope="worker",
    clock="ms",
    cost="O(1)",
)
