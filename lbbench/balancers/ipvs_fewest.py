"""ipvs_lc, ipvs_wlc, ipvs_sed, ipvs_nq: IPVS's schedulers that count connections.

Originals: torvalds/linux net/netfilter/ipvs/ip_vs_lc.c at 6e9041c6, ip_vs_wlc.c at 0b383149,
ip_vs_sed.c and ip_vs_nq.c at 1e3e238e. With a active and I inactive connections and weight w of a
destination, those of weight 0 left out, the least of

- **lc** 256 a + I;
- **wlc** (256 a + I) / w (IPVS's own default; compared by cross multiplication, in integers);
- **sed** (a + 1) / w, the shortest expected delay;
- **nq** the first destination with a = 0, whatever its weight, else sed.

A strict comparison: of equals the first in the list wins, the one that was added last (ipvs.py).
Nothing is drawn. Only the connections that go through this node count, so several nodes do worse.

Deviations: those of ipvs.py; a is exact, I is late by the gap between two picks. Units:
connections, weighted. Cost per pick: O(n); lc and wlc also O(n) per second that has begun.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from lbbench.balancers import ipvs
from lbbench.balancers.base import Balancer
from lbbench.balancers.ipvs import (
    LISTED,
    PARAMS,
    SECOND,
    UNKNOWN,
    IpvsState,
    chosen,
    ipvs_state,
    templated,
)

take_list = ipvs.on_endpoints
BY_WEIGHT = IDLE_FIRST = 0  # the one number of a scheduler's rule
ACTIVE_BITS = 8  # include/net/ip_vs.h: ip_vs_dest_conn_overhead


def pick_least_load(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the least 256 a + I, by the rule per weight; -1 without a usable one.

    Lc and wlc.
    """
    count_ended(state, busy, now)
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_load(state, busy, state.rule[BY_WEIGHT])
    if endpoint >= 0:
        state.held[endpoint] += 1
    return chosen(state, key, endpoint, now)


def pick_least_delay(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the least (a + 1) / w, by the rule of an idle one first; -1: none.

    Sed and nq.
    """
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_delay(state, busy, state.rule[IDLE_FIRST])
    return chosen(state, key, endpoint, now)


def count_ended(state: IpvsState, busy: np.ndarray, now: float) -> None:
    """Count what ended since the last pick as inactive, and forget what ended long ago."""
    second = np.int64(now)
    buckets = state.ended.shape[1]
    gone = min(second - state.number[SECOND], buckets)
    for k in range(gone):
        at = (second - k) % buckets
        for i in range(state.number[LISTED]):
            endpoint = state.row[i]
            state.inactive[endpoint] -= state.ended[endpoint, at]
            state.ended[endpoint, at] = 0
    state.number[SECOND] = second
    for i in range(state.number[LISTED]):
        endpoint = state.row[i]
        is_open = busy[state.seat[endpoint]]
        ended = state.held[endpoint] - is_open
        if state.held[endpoint] != UNKNOWN and ended > 0:
            state.ended[endpoint, second % buckets] += ended
            state.inactive[endpoint] += ended
        state.held[endpoint] = is_open


def _least_load(state: IpvsState, busy: np.ndarray, by_weight: int) -> int:
    """Return the id of the least 256 a + I, with ``by_weight`` 1 per weight; -1 without any."""
    least = -1
    lowest = 0
    weight_of_least = 1
    for k in range(state.number[LISTED]):
        endpoint = state.row[k]
        weight = state.weight[endpoint]
        if weight <= 0:
            continue
        if by_weight == 0:
            weight = np.int64(1)
        load = (busy[state.seat[endpoint]] << ACTIVE_BITS) + state.inactive[endpoint]
        if least < 0 or lowest * weight > load * weight_of_least:
            least = endpoint
            lowest = load
            weight_of_least = weight
    return int(least)


def _least_delay(state: IpvsState, busy: np.ndarray, idle_first: int) -> int:
    """Return the id of the least (a + 1) / w, with ``idle_first`` 1 the first idle id; or -1."""
    least = -1
    lowest = 0
    weight_of_least = 1
    for k in range(state.number[LISTED]):
        endpoint = state.row[k]
        weight = state.weight[endpoint]
        if weight <= 0:
            continue
        is_open = busy[state.seat[endpoint]]
        if idle_first == 1 and is_open == 0:
            return int(endpoint)
        if least < 0 or lowest * weight > (is_open + 1) * weight_of_least:
            least = endpoint
            lowest = is_open + 1
            weight_of_least = weight
    return int(least)


LC = Balancer(
    name="ipvs_lc",
    level="l4",
    summary="IPVS least connections: fewest active, then fewest lately closed",
    source=ipvs.SOURCE.format(files="ip_vs_lc.c@6e9041c6"),
    state=partial(ipvs_state, "ipvs_lc", counts=True, rule=(0,)),
    pick=pick_least_load,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    cost="O(n)",
    differs=(
        ("ipvs_rr", "takes the fewest connections of this node; those just closed count 1/256"),
    ),
)

WLC = Balancer(
    name="ipvs_wlc",
    level="l4",
    summary="IPVS weighted least connections: fewest active and lately closed per weight",
    source=ipvs.SOURCE.format(files="ip_vs_wlc.c@0b383149"),
    state=partial(ipvs_state, "ipvs_wlc", counts=True, rule=(1,)),
    pick=pick_least_load,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    cost="O(n)",
    differs=(("ipvs_lc", "divides by the weight"),),
)

SED = Balancer(
    name="ipvs_sed",
    level="l4",
    summary="IPVS shortest expected delay: least (active + 1) per weight",
    source=ipvs.SOURCE.format(files="ip_vs_sed.c@1e3e238e"),
    state=partial(ipvs_state, "ipvs_sed", rule=(0,)),
    pick=pick_least_delay,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    cost="O(n)",
    differs=(("ipvs_wlc", "counts the connection that would come, and none that are closed"),),
)

NQ = Balancer(
    name="ipvs_nq",
    level="l4",
    summary="IPVS never queue: the first idle one, else shortest expected delay",
    source=ipvs.SOURCE.format(files="ip_vs_nq.c@1e3e238e"),
    state=partial(ipvs_state, "ipvs_nq", rule=(1,)),
    pick=pick_least_delay,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    cost="O(n)",
    differs=(("ipvs_sed", "takes the first idle endpoint before it compares"),),
)
