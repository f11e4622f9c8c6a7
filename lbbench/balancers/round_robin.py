"""round_robin: ingress-nginx's default balancer, lua-resty-balancer's weighted round robin.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/round_robin.lua at dbb11b92 over
openresty/lua-resty-balancer lib/resty/roundrobin.lua at 1cd4363c. One state per worker, nothing is
shared. All weights are 1 in ingress-nginx; other weights follow the library.

A pick walks on from the last node to the next one whose weight is at least the current weight; at
the end of the table the current weight falls by the gcd of the weights, from 0 back to the
highest. With equal weights that is a plain cycle. A new set of endpoints starts anew: one draw
chooses the *last* node, so the first pick is the node after it, and a draw of the table's last
node begins at the head with the current weight already lowered. One node alone costs the draw too.
The same set in another order changes nothing and draws nothing. A retry takes the next turn of the
cycle.

``start: first`` begins at the head without a draw, as before mid 2019.

``order``: the library walks a Lua hash table, so the order is LuaJIT's and not the list's: the
order in which the strings were first created, usually a rotation of the endpoint list, and the
same in all workers of one nginx. The default ``list`` is the list itself, which by the random
start is any of its rotations. ``shuffled`` is an arbitrary order that depends on nothing but the
addresses, ``{shuffled: SEED}`` another one; a list of all endpoint numbers (0 is the lowest
address as text) is that order. What was measured where both tables differ (start draw and walk)
can be put into the state.

Deviations: the order. Units: none. Cost per pick: O(1) with equal weights, else up to n steps per
unit of weight; a change of the list O(n), with unlike orders O(E).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.table_order import table_order
from lbbench.core.rng import lua_random
from lbbench.errors import BalancerError

N, LAST, CURRENT, GCD, HIGHEST, FROM_HEAD = range(6)
HEAD = -1


class RoundRobinState(NamedTuple):
    """One worker's cycle; E endpoints exist in the run."""

    # int64[6]: listed nodes; place of the last pick (HEAD: before the first); current weight;
    # gcd and highest of the weights; 1 for `start: first`
    number: np.ndarray
    weight: np.ndarray  # int64[E] by endpoint id
    order_for_start_draw: np.ndarray  # int64[E] endpoint ids as the start draw counts them
    order_for_find: np.ndarray  # int64[E] endpoint ids as picks walk them
    walk: np.ndarray  # int64[E] positions in the list, by place in the walk
    walk_weight: np.ndarray  # int64[E] weights, by place in the walk
    seat: np.ndarray  # int64[E] scratch: position in the list by endpoint id, -1 between changes


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> RoundRobinState:
    """Return a worker's state before it has a list.

    Raises
    ------
    BalancerError
        When an option is neither of its words nor a permutation.
    """
    n = len(endpoints)
    if params["start"] not in {"random", "first"}:
        raise BalancerError(
            f"round_robin: start = {params['start']}: must be random or first (before mid 2019)"
        )
    order = table_order("round_robin", params["order"], endpoints)
    number = np.zeros(6, np.int64)
    number[LAST] = HEAD
    number[FROM_HEAD] = int(params["start"] == "first")
    return RoundRobinState(
        number=number,
        weight=np.array([item.weight for item in endpoints], np.int64),
        order_for_start_draw=np.array(order, np.int64),
        order_for_find=np.array(order, np.int64),
        walk=np.zeros(n, np.int64),
        walk_weight=np.zeros(n, np.int64),
        seat=np.full(n, -1, np.int64),
    )


def on_endpoints(
    state: RoundRobinState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Begin a new cycle over ``new``, with one draw; the same set as ``old`` just goes on."""
    number, seat = state.number, state.seat
    for k in range(len(new)):
        seat[new[k]] = k
    kept = 0
    for k in range(len(old)):
        if seat[old[k]] >= 0:
            kept += 1
    _lay_out(state)
    if kept != len(old) or kept != len(new):
        _measure(state)
        number[CURRENT] = number[HIGHEST]
        number[LAST] = HEAD
        if number[FROM_HEAD] == 0 and number[N] > 0:
            number[LAST] = _drawn_place(state, lua_random(rng, 1, number[N]))
    for k in range(len(new)):
        seat[new[k]] = -1


def _lay_out(state: RoundRobinState) -> None:
    """Put the listed endpoints into the walk, in the order of the table."""
    n = 0
    for k in range(len(state.order_for_find)):
        endpoint = state.order_for_find[k]
        if state.seat[endpoint] >= 0:
            state.walk[n] = state.seat[endpoint]
            state.walk_weight[n] = state.weight[endpoint]
            n += 1
    state.number[N] = n


def _measure(state: RoundRobinState) -> None:
    """Set gcd and highest of the weights in the walk."""
    number = state.number
    number[GCD] = 0
    number[HIGHEST] = 0
    for k in range(number[N]):
        number[GCD] = math.gcd(number[GCD], state.walk_weight[k])
        number[HIGHEST] = max(number[HIGHEST], state.walk_weight[k])


def _drawn_place(state: RoundRobinState, drawn: int) -> int:
    """Return the place in the walk of the ``drawn``-th node (from 1) that the start draw counts."""
    position = HEAD
    for k in range(len(state.order_for_start_draw)):
        seat = state.seat[state.order_for_start_draw[k]]
        if seat >= 0:
            drawn -= 1
            if drawn == 0:
                position = seat
                break
    for place in range(state.number[N]):
        if state.walk[place] == position:
            return place
    return HEAD


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
    place = number[LAST]
    current = number[CURRENT]
    while True:
        place += 1
        if place == n:
            place = HEAD
            current -= number[GCD]
            if current <= 0:
                current = number[HIGHEST]
        elif state.walk_weight[place] >= current:
            break
    number[LAST] = place
    number[CURRENT] = current
    return int(state.walk[place])


ROUND_ROBIN = Balancer(
    name="round_robin",
    level="l7",
    summary="ingress-nginx default: one cycle per worker, random start",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/round_robin.lua@dbb11b92, "
    "openresty/lua-resty-balancer lib/resty/roundrobin.lua@1cd4363c",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"start": "random", "order": "list"}),
    scope="worker",
    clock="ms",
    cost="O(1)",
    differs=(
        (
            "random",
            (
                "takes the endpoints in turn instead of drawing them, so gaps between requests to "
                "one pod are even"
            ),
        ),
    ),
)
