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

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.balancers import ipvs
from lbbench.balancers.base import Balancer, Endpoint
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
ACTIVE_BITS = 8  # include/net/ip_vs.h: ip_vs_dest_conn_overhead


def lc_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations; so do the three below.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return ipvs_state("ipvs_lc", params, endpoints, counts=True)


def wlc_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations."""
    return ipvs_state("ipvs_wlc", params, endpoints, counts=True)


def sed_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations."""
    return ipvs_state("ipvs_sed", params, endpoints)


def nq_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IpvsState:
    """Return a virtual service without destinations."""
    return ipvs_state("ipvs_nq", params, endpoints)


def pick_lc(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the least 256 a + I, -1 without a usable destination."""
    count_ended(state, busy, now)
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_load(state, busy, 0)
    return _open(state, key, endpoint, now)


def pick_wlc(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the least (256 a + I) / w, -1 without a usable destination."""
    count_ended(state, busy, now)
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_load(state, busy, 1)
    return _open(state, key, endpoint, now)


def pick_sed(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the least (a + 1) / w, -1 without a usable destination."""
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_delay(state, busy, 0)
    return chosen(state, key, endpoint, now)


def pick_nq(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the first idle one, else of the least (a + 1) / w; -1 without any."""
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _least_delay(state, busy, 1)
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


def _open(state: IpvsState, client: int, endpoint: int, now: float) -> int:
    """Count a connection to a destination (-1: none) as open; return its position."""
    if endpoint >= 0:
        state.held[endpoint] += 1
    return chosen(state, client, endpoint, now)


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
    state=lc_state,
    pick=pick_lc,
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
    state=wlc_state,
    pick=pick_wlc,
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
    state=sed_state,
    pick=pick_sed,
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
    state=nq_state,
    pick=pick_nq,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    cost="O(n)",
    differs=(("ipvs_sed", "takes the first idle endpoint before it compares"),),
)
