"""ewma: ingress-nginx's "peak EWMA", which has neither a peak rule nor a count of what is in flight.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua at dbb11b92. State is
shared by the workers of one controller pod (shared dictionaries) and by no other.

Per endpoint: a value e and the time t0 of its last update, both absent at first. A read decays
without storing: score = e exp(-(now - t0) / 10 s); an absent value scores 0. A pick draws two
distinct endpoints of the list without those where the request has failed (all, when all have) and
takes the lower score, on a tie the first drawn. With one endpoint nothing is drawn and the score is
-1. An answer updates the *last* endpoint of the request: w = exp(-(now - t0) / 10 s),
e = e w + rtt (1 - w); the first sample is taken whole. An endpoint that is added begins with the
plain mean of the stored values of the new list (slow start); values of removed ones are deleted.

Deviations: none in the arithmetic. The lock is held for zero time, so no sample is dropped.
Cost per pick: O(1), two draws, two exponentials (the original copies the endpoint list).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import lua_random

DECAY_TIME = 10.0  # ewma.lua: DECAY_TIME, seconds
PICK_SET_SIZE = 2  # ewma.lua: PICK_SET_SIZE

UNSEEN, GONE, STAYED, CAME = range(4)


class EwmaState(NamedTuple):
    """The shared dictionaries of one controller pod; E endpoints exist in the run."""

    value: np.ndarray  # float64[E] seconds, by endpoint id
    touched: np.ndarray  # float64[E] seconds
    known: np.ndarray  # int64[E] 1: there is a value
    listed: np.ndarray  # int64[E] endpoint ids in list order
    decay: np.ndarray  # float64[1] seconds
    choices: np.ndarray  # int64[1]
    left: np.ndarray  # int64[E] scratch: candidates of a pick
    mark: np.ndarray  # int64[E] scratch: UNSEEN between changes
    last_score: np.ndarray  # float64[1] score of the last pick, -1 with one endpoint


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> EwmaState:
    """Return empty dictionaries.

    Raises
    ------
    ValueError
        When ``decay`` or ``choices`` is out of range.
    """
    decay, choices = _seconds(params["decay"]), int(params["choices"])
    if decay <= 0.0:
        raise ValueError("ewma: decay must be longer than 0")
    if choices < 1:
        raise ValueError("ewma: choices must be at least 1")
    n = len(endpoints)
    return EwmaState(
        value=np.zeros(n),
        touched=np.zeros(n),
        known=np.zeros(n, np.int64),
        listed=np.arange(n, dtype=np.int64),
        decay=np.array([decay]),
        choices=np.array([choices], np.int64),
        left=np.zeros(n, np.int64),
        mark=np.zeros(n, np.int64),
        last_score=np.full(1, -1.0),
    )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)):
        return float(value)
    from lbbench.model.units import parse_time

    return parse_time(value)


def score(state: EwmaState, endpoint: int, now: float) -> float:
    """Return the decayed value of an endpoint id, 0 when it has none; stores nothing."""
    if state.known[endpoint] == 0:
        return 0.0
    return state.value[endpoint] * math.exp(
        -max(now - state.touched[endpoint], 0.0) / state.decay[0]
    )


def pick(
    state: EwmaState,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the drawn position with the lowest score, -1 without endpoints."""
    n = len(busy)
    state.last_score[0] = -1.0
    if n <= 1:
        return n - 1
    if len(tried) == 0 and state.choices[0] == PICK_SET_SIZE:
        return _pick_two(state, rng, now, n)
    return _pick_among(state, rng, now, n, tried)


def _pick_two(state: EwmaState, rng: np.ndarray, now: float, n: int) -> int:
    """Draw two of all n positions, as the shuffle of the list's first two places does."""
    first = lua_random(rng, 1, n) - 1
    second = lua_random(rng, 2, n) - 1
    if second == first:
        second = 0  # the shuffle has put the head where the first one was
    best = score(state, state.listed[first], now)
    other = score(state, state.listed[second], now)
    if other < best:
        state.last_score[0] = other
        return second
    state.last_score[0] = best
    return first


def _pick_among(state: EwmaState, rng: np.ndarray, now: float, n: int, tried: np.ndarray) -> int:
    """Draw among the positions that have not failed this request; all when all have."""
    left = state.left
    m = 0
    for place in range(n):
        failed = False
        for k in range(len(tried)):
            if tried[k] == place:
                failed = True
        if not failed:
            left[m] = place
            m += 1
    if m == 0:
        m = n
        for place in range(n):
            left[place] = place
    if m > 1:
        for k in range(min(state.choices[0], m)):
            other = lua_random(rng, k + 1, m) - 1
            swapped = left[k]
            left[k] = left[other]
            left[other] = swapped
    chosen = left[0]
    best = score(state, state.listed[chosen], now)
    for k in range(1, min(state.choices[0], m)):
        value = score(state, state.listed[left[k]], now)
        if value < best:
            best = value
            chosen = left[k]
    state.last_score[0] = best
    return chosen


def done(state: EwmaState, endpoint: int, now: float, rtt: float, _ok: bool) -> None:  # noqa: FBT001
    """Blend a response time (seconds) into the endpoint's value; re-creates a deleted one."""
    weight = 0.0  # an absent time reads as 0, 1970: nothing of the past is left
    if state.known[endpoint]:
        weight = math.exp(-max(now - state.touched[endpoint], 0.0) / state.decay[0])
    state.value[endpoint] = state.value[endpoint] * weight + rtt * (1.0 - weight)
    state.touched[endpoint] = now
    state.known[endpoint] = 1


def on_endpoints(
    state: EwmaState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take a new list: delete what left, start what came with the mean of the new list's values."""
    mark = state.mark
    for k in range(len(old)):
        mark[old[k]] = GONE
    total = 0.0
    n = 0
    for k in range(len(new)):
        endpoint = new[k]
        state.listed[k] = endpoint
        mark[endpoint] = STAYED if mark[endpoint] == GONE else CAME
        if state.known[endpoint]:
            total += state.value[endpoint]
            n += 1
    for k in range(len(old)):
        if mark[old[k]] == GONE:
            state.known[old[k]] = 0
    for k in range(len(new)):
        endpoint = new[k]
        if mark[endpoint] == CAME and n > 0:
            state.value[endpoint] = total / n
            state.touched[endpoint] = now
            state.known[endpoint] = 1
        mark[endpoint] = UNSEEN
    for k in range(len(old)):
        mark[old[k]] = UNSEEN


EWMA = Balancer(
    name="ewma",
    level="l7",
    summary="ingress-nginx ewma: lower decayed response time of two drawn",
    source="kubernetes/ingress-nginx lua/balancer/ewma.lua@dbb11b92",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"decay": DECAY_TIME, "choices": PICK_SET_SIZE}),
    scope="replica",
    clock="ms",
    cost="O(1), two draws and two exp",
)
