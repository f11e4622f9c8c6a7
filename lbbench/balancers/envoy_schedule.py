"""Envoy's schedule by weights (earliest deadline first), slow start, and the workers' random start.

Originals: envoyproxy/envoy source/extensions/load_balancing_policies/common/load_balancer_impl.cc
at 00cf9a05 and source/common/upstream/edf_scheduler.h at 01f8613d. Every worker thread has its own.

Where the usable hosts' weights are not all equal, or a host has begun within the slow start window,
hosts are picked by deadline: the earliest is taken, on a tie the one put in first, and it is put in
anew with its deadline plus 1 / w. w is the host's weight, divided by (active + 1)^bias for least
request and reduced in slow start, *as it is when the host is put in*. A schedule is made anew when
hosts come, go, or change in health, and it begins as if a number of picks had been made that a
worker draws once, so that workers do not march in step: host i has had floor(k w_i / W) of k picks,
W the sum of the weights, and the rest is picked.

Slow start: t after the host was listed, while t < ``slow_start_window``, its weight is multiplied
by max(``min_weight_percent``, (max(t, 1 ms) / window)^(1 / ``aggression``)). With a window the
schedule is used from the beginning, for all hosts are new, and until the first change after the
window; by equal weights it is a cycle for round robin, and for least request the fewest per weight
rather than two choices. That is what Envoy does.

Deviations: times are not cut to milliseconds; k is floor(u W) with one uniform u per worker, where
the original takes 32 random bits (the schedule of constant weights repeats after W picks).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.envoy_hosts import OWN, gather, host_fields, list_hosts
from lbbench.balancers.envoy_hosts import PARAMS as HOST_PARAMS
from lbbench.balancers.envoy_outlier import SWITCHES as OUTLIER_SWITCHES
from lbbench.balancers.figures import number, seconds
from lbbench.core.heap import heap_pop, heap_push
from lbbench.core.rng import uniform

WINDOW, EXPONENT, LEAST, BIAS = range(4)
SIZE, TURN, STARTED = range(3)
MILLISECOND = 0.001
DIGITS = 2.0**53

PARAMS: Mapping[str, Any] = MappingProxyType(
    {**HOST_PARAMS, "slow_start_window": "0s", "aggression": 1.0, "min_weight_percent": 10}
)
"""Envoy's defaults; a window of 0 switches slow start off."""

SWITCHES: Mapping[str, str] = MappingProxyType(
    {
        **OUTLIER_SWITCHES,
        "aggression": "slow_start_window",
        "min_weight_percent": "slow_start_window",
    }
)


class Schedule(NamedTuple):
    """One worker's hosts and the order in which they are picked; E hosts exist in the run."""

    panic: np.ndarray  # float64[1] see envoy_hosts.host_fields
    number: np.ndarray  # int64[5] the last: 1 when the schedule is used
    ids: np.ndarray  # int64[E]
    usable: np.ndarray  # int64[E]
    weight: np.ndarray  # int64[E]
    outlier: np.ndarray  # float64[7] see envoy_outlier.detector_fields
    health: np.ndarray  # int64[3, E]
    ejected_at: np.ndarray  # float64[E]
    detector: np.ndarray  # int64[2]
    way: np.ndarray  # int64[2] of least request: how many are drawn, 1: all are compared
    pace: np.ndarray  # float64[4] window (s), 1 / aggression, least factor, bias
    since: np.ndarray  # float64[E] seconds, by id: when it was listed
    latest: np.ndarray  # float64[1] seconds: when the last one was
    seed: np.ndarray  # float64[1] the worker's uniform
    cycle: np.ndarray  # int64[2] picks of the cycle of the healthy ones, of that of all in panic
    tally: np.ndarray  # int64[3] hosts in the heap, how often one was put in, 1: has drawn
    due: np.ndarray  # float64[E] heap: deadlines
    turn: np.ndarray  # int64[E] heap: what decides ties
    member: np.ndarray  # int64[E] heap: positions in the list


def schedule(
    name: str,
    params: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    *,
    bias: float = 0.0,
    choices: int = 0,
    scan: int = 0,
) -> Schedule:
    """Return a worker's schedule before it has a list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    n = len(endpoints)
    pace = [
        seconds(name, params, "slow_start_window"),
        1.0 / number(name, params, "aggression", above=True),
        number(name, params, "min_weight_percent", 0.0, 100.0) / 100.0,
        bias,
    ]
    return Schedule(
        **host_fields(name, params, endpoints),
        way=np.array([choices, scan], np.int64),
        pace=np.array(pace),
        since=np.zeros(n),
        latest=np.zeros(1),
        seed=np.zeros(1),
        cycle=np.zeros(2, np.int64),
        tally=np.zeros(3, np.int64),
        due=np.zeros(n),
        turn=np.zeros(n, np.int64),
        member=np.zeros(n, np.int64),
    )


def on_endpoints(
    state: Schedule, rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take the list ``new``; the first one costs the worker's draw."""
    if state.tally[STARTED] == 0:
        state.tally[STARTED] = 1
        state.seed[0] = uniform(rng)
        state.cycle[0] = int(state.seed[0] * DIGITS)
        state.cycle[1] = state.cycle[0]
        state.latest[0] = now
    list_hosts(state, old, new, now)
    at = 0
    for k in range(len(new)):
        while at < len(old) and old[at] < new[k]:  # lists are in order of the ids
            at += 1
        if at == len(old) or old[at] != new[k]:
            state.since[new[k]] = now
            state.latest[0] = now


def plan(state: Schedule, now: float, busy: np.ndarray) -> None:
    """Gather the hosts and, where it takes one, make their schedule."""
    n = gather(state)
    state.number[OWN] = 0
    if n <= 1 or not (_begins_slowly(state, now) or _differ(state, n)):
        return
    state.number[OWN] = 1
    total = 0.0
    for k in range(n):
        total += effective_weight(state, state.usable[k], now, busy)
    state.tally[SIZE] = 0
    state.tally[TURN] = 0
    picks = int(state.seed[0] * total)
    left = picks
    for k in range(n):
        place = state.usable[k]
        weight = effective_weight(state, place, now, busy)
        whole = int(picks * weight / total)
        left -= whole
        _put_in(state, place, (whole + 1) / weight)
    for _ in range(left):
        scheduled(state, now, busy)


def _begins_slowly(state: Schedule, now: float) -> bool:
    """Tell whether a host was listed within the window."""
    return bool(state.pace[WINDOW] > 0.0 and now - state.latest[0] <= state.pace[WINDOW])


def _differ(state: Schedule, n: int) -> bool:
    """Tell whether the weights of the first ``n`` usable hosts are not all equal."""
    first = state.weight[state.ids[state.usable[0]]]
    for k in range(1, n):  # noqa: SIM110  (compiled code has no generators)
        if state.weight[state.ids[state.usable[k]]] != first:
            return True
    return False


def effective_weight(state: Schedule, place: int, now: float, busy: np.ndarray) -> float:
    """Return by what weight the host at a position is put in at ``now``."""
    host = state.ids[place]
    weight = float(state.weight[host])
    if state.pace[BIAS] == 1.0:
        weight /= busy[place] + 1
    elif state.pace[BIAS] != 0.0:
        weight /= math.pow(busy[place] + 1, state.pace[BIAS])
    if _begins_slowly(state, now):
        age = now - state.since[host]
        if age < state.pace[WINDOW]:
            factor = max(age, MILLISECOND) / state.pace[WINDOW]
            if state.pace[EXPONENT] != 1.0:
                factor = math.pow(factor, state.pace[EXPONENT])
            weight *= max(factor, state.pace[LEAST])
    return weight


def scheduled(state: Schedule, now: float, busy: np.ndarray) -> int:
    """Take the position with the earliest deadline, and put it in anew."""
    place = state.member[0]
    due = state.due[0]
    state.tally[SIZE] = heap_pop(state.due, state.turn, state.member, state.tally[SIZE])
    _put_in(state, place, due + 1.0 / effective_weight(state, place, now, busy))
    return place


def _put_in(state: Schedule, place: int, due: float) -> None:
    state.tally[SIZE] = heap_push(
        state.due, state.turn, state.member, state.tally[SIZE], due, state.tally[TURN], place
    )
    state.tally[TURN] += 1
