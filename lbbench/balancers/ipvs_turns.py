"""ipvs_rr, ipvs_wrr: IPVS's round robin (kube-proxy's default scheduler) and its weighted form.

Originals: torvalds/linux net/netfilter/ipvs/ip_vs_rr.c at 02b5a603 and ip_vs_wrr.c at 08cb2d03. The
pointer to the last choice is a node's own, common to all its CPUs, and begins before the head of
the list (ipvs.py: the address that sorts last).

**rr**: the next destination after the last choice, those of weight 0 left out.

**wrr**: the next one whose weight reaches the current weight; at the end of the list this falls by
the step (the greatest common divisor of the weights), below 1 it begins again at the most (the
largest weight less step - 1). Not smooth: weights 3, 1, 1 give a, a, a b c. Any change of the list
sets the pointer back to the head; the current weight stays where it was, so the first cycle after a
change is not a whole one: when kube-proxy adds destinations one by one the first cycle is that of
weight 1 and takes all of them in turn.

A known client (persistence) costs no turn. Deviations: those of ipvs.py. Cost per pick: O(1); wrr
O(n) where weights differ.
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from lbbench.balancers import ipvs
from lbbench.balancers.base import Balancer
from lbbench.balancers.ipvs import (
    AT,
    CURRENT,
    HEAD,
    LISTED,
    MOST,
    PARAMS,
    STEP,
    IpvsState,
    chosen,
    ipvs_state,
    templated,
)

take_list = ipvs.on_endpoints


def pick_rr(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the next destination, -1 without a usable one."""
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _next(state)
    return chosen(state, key, endpoint, now)


def _next(state: IpvsState) -> int:
    """Return the next usable destination's id, -1 when there is none."""
    n = state.number[LISTED]
    at = state.number[AT]
    for _ in range(n):
        at = at + 1 if at < n - 1 else 0
        if state.weight[state.row[at]] > 0:
            state.number[AT] = at
            return int(state.row[at])
    return -1


def pick_wrr(
    state: IpvsState,
    _rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position of the next destination whose weight reaches, -1 without a usable one."""
    endpoint = templated(state, key, now)
    if endpoint < 0:
        endpoint = _next_by_weight(state)
    return chosen(state, key, endpoint, now)


def _next_by_weight(state: IpvsState) -> int:
    """Return the id of the next destination whose weight reaches, -1 when all have none."""
    number = state.number
    n = number[LISTED]
    if number[MOST] <= 0:
        return -1
    at = number[AT]
    while True:  # the largest weight reaches whatever is asked for
        at += 1
        if at == n:
            at = 0
            number[CURRENT] -= number[STEP]
            if number[CURRENT] <= 0:
                number[CURRENT] = number[MOST]
        if state.weight[state.row[at]] >= number[CURRENT]:
            number[AT] = at
            return int(state.row[at])


def on_endpoints_wrr(
    state: IpvsState, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take another list as kube-proxy changes it: additions, then deletions, one at a time."""
    number = state.number
    n = number[LISTED]
    was_in = state.place[1]
    for k in range(n):
        was_in[state.row[k]] = 1
    largest = number[MOST] + number[STEP] - 1
    step = number[STEP] if largest > 0 else 0
    for k in range(len(new)):
        if was_in[new[k]] == 0:
            weight = state.weight[new[k]]
            if weight > 0:
                step = math.gcd(weight, step)
                largest = max(largest, weight)
            _changed(state, step, largest)
        else:
            was_in[new[k]] = 2  # stays
    for k in range(len(old)):
        if was_in[old[k]] == 1:  # goes: weight 0 first, which is the change that counts
            was_in[old[k]] = 0
            step = 0
            largest = 0
            for i in range(n):
                if was_in[state.row[i]] > 0:
                    step, largest = _with(state.weight[state.row[i]], step, largest)
            for i in range(len(new)):
                if was_in[new[i]] == 0:
                    step, largest = _with(state.weight[new[i]], step, largest)
            _changed(state, step, largest)
    for k in range(n):
        was_in[state.row[k]] = 0
    take_list(state, rng, old, new, now)


def _with(weight: int, step: int, largest: int) -> tuple[int, int]:
    """Return (common divisor, largest weight) with one more destination."""
    if weight <= 0:
        return step, largest
    return math.gcd(weight, step), max(largest, weight)


def _changed(state: IpvsState, step: int, largest: int) -> None:
    """Begin at the head with a step and a largest weight; 0: there is no weight."""
    number = state.number
    number[AT] = HEAD
    number[STEP] = max(step, 1)
    number[MOST] = largest - (number[STEP] - 1)
    if number[CURRENT] > number[MOST] or number[CURRENT] == 0:
        number[CURRENT] = number[MOST]
    elif number[STEP] > 1:
        number[CURRENT] = number[CURRENT] // number[STEP] * number[STEP] + 1


def wrr_shares(state: IpvsState, n: int) -> np.ndarray:
    """Return the weights over their sum, float64[n]."""
    found = np.zeros(n)
    for k in range(n):
        found[state.seat[state.row[k]]] = state.weight[state.row[k]]
    return found / found.sum()


RR = Balancer(
    name="ipvs_rr",
    level="l4",
    summary="IPVS round robin, kube-proxy's default scheduler: one turn per connection",
    source=ipvs.SOURCE.format(files="ip_vs_rr.c@02b5a603"),
    state=partial(ipvs_state, "ipvs_rr"),
    pick=pick_rr,
    on_endpoints=take_list,
    params=PARAMS,
    scope="node",
    reads_busy=False,
    cost="O(1)",
    differs=(
        ("iptables", "deals connections out in turn at every node, instead of drawing"),
        ("iptables_nth", "is one pointer per node, kept when the list changes"),
    ),
)

WRR = Balancer(
    name="ipvs_wrr",
    level="l4",
    summary="IPVS weighted round robin: turns by falling weight, not smooth",
    source=ipvs.SOURCE.format(files="ip_vs_wrr.c@08cb2d03"),
    state=partial(ipvs_state, "ipvs_wrr"),
    pick=pick_wrr,
    on_endpoints=on_endpoints_wrr,
    shares=wrr_shares,
    params=PARAMS,
    scope="node",
    reads_busy=False,
    cost="O(1), O(n) where weights differ",
    differs=(("ipvs_rr", "honours weights, in runs of the heaviest"),),
)
