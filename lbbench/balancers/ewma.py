"""ewma: ingress-nginx's "peak EWMA", which has neither a peak rule nor a count of requests.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua at dbb11b92. The values
lie in shared dictionaries: common to the workers of one controller pod, unknown to every other
one.

Per endpoint: a value e and the time t0 of its last update, both absent at first. A read decays
without storing: score = e exp(-(now - t0) / 10 s), so an idle endpoint becomes attractive; an
absent value scores 0, so an endpoint wins until its first answer is logged. A pick draws two
distinct endpoints, leaving out those where this request has failed unless that is all of them, and
takes the lower score, on a tie the first drawn. Two candidates cost two draws as well, one
candidate none; where the list has one endpoint the score is -1.

An answer updates the *last* endpoint of the request: w = exp(-(now - t0) / 10 s), e = e w + rtt
(1-w); a first sample is taken whole, one in the same millisecond is ignored. An endpoint that only
fails and is retried elsewhere is never updated and stays the favourite; a failed last attempt
counts as a fast one. When the list changes, values of removed endpoints are deleted and added ones
begin with the plain mean of the stored, undecayed values of the new list (slow start), their own
included; a late sample re-creates a deleted value. A mere reordering is ignored, the draws go on
over the old order. An empty list drops the balancer but not the values, and the list after it
begins without slow start.

``value``, ``touched`` and ``known`` are the shared dictionaries (``common``), the other fields a
worker's own: workers learn of a change at different times. Each one deletes and starts slowly by
its own list when it takes it, so the second one to do so overwrites what was learnt of a new
endpoint in between, and deletes again what a late sample has re-created. A worker that still lists
a deleted endpoint reads 0 for it.

Deviations: none in the arithmetic. ``choices`` other than 2 draw at most as many as there are
candidates. A sample holds its endpoint's lock for ``lock_hold``, 0 unless given, and another
worker's sample of that endpoint within that time is dropped: the engine sees to it, as it knows the
workers and the exact time; `done` always stores. Units: seconds, from nginx's clock of 1 ms. Cost
per pick: two draws and two exp, O(1); of a retry, or with other ``choices``, O(n).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import lua_random
from lbbench.errors import BalancerError
from lbbench.model.units import parse_time

DECAY_TIME = 10.0  # ewma.lua: DECAY_TIME, seconds
PICK_SET_SIZE = 2  # ewma.lua: PICK_SET_SIZE
NOT_SCORED = -1.0  # ewma.lua: the score of an only endpoint

GONE, STAYED, CAME = range(1, 4)


class EwmaState(NamedTuple):
    """The shared dictionaries and one worker's list; E endpoints exist in the run."""

    value: np.ndarray  # float64[E] seconds, by endpoint id, 0 where there is none
    touched: np.ndarray  # float64[E] seconds, the last update, 0 where there is none
    known: np.ndarray  # int64[E] 1: there is a value
    listed: np.ndarray  # int64[E] endpoint ids in the order in which they are drawn
    position: np.ndarray  # int64[E] their positions in the endpoint list: 0, 1, .. if not reordered
    last_score: np.ndarray  # float64[1] of the endpoint picked last, NOT_SCORED for an only one
    decay: np.ndarray  # float64[1] seconds
    choices: np.ndarray  # int64[1]
    lock_hold: np.ndarray  # float64[1] seconds that a sample keeps its endpoint's lock
    left: np.ndarray  # int64[E] scratch: candidates of a pick, as places in `listed`
    mark: np.ndarray  # int64[E] scratch by endpoint id, 0 between changes


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> EwmaState:
    """Return empty dictionaries and an empty list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    decay, hold = _seconds("decay", params["decay"]), _seconds("lock_hold", params["lock_hold"])
    choices = params["choices"]
    if decay <= 0.0:
        raise BalancerError(f"ewma: decay = {params['decay']}: must be longer than 0")
    if not isinstance(choices, int) or choices < 1:
        raise BalancerError(f"ewma: choices = {choices}: must be a whole number from 1")
    n = len(endpoints)
    return EwmaState(
        value=np.zeros(n),
        touched=np.zeros(n),
        known=np.zeros(n, np.int64),
        listed=np.arange(n, dtype=np.int64),
        position=np.arange(n, dtype=np.int64),
        last_score=np.full(1, NOT_SCORED),
        decay=np.array([decay]),
        choices=np.array([choices], np.int64),
        lock_hold=np.array([hold]),
        left=np.zeros(n, np.int64),
        mark=np.zeros(n, np.int64),
    )


def _seconds(name: str, value: object) -> float:
    """Return an option that is a time: a text with a unit, or seconds."""
    if isinstance(value, (int, float)) and math.isfinite(value) and value >= 0.0:
        return float(value)
    try:
        return parse_time(value)
    except ValueError as error:
        raise BalancerError(f"ewma: {name} = {value}: {error}") from error


def weight_of_past(state: EwmaState, endpoint: int, now: float) -> float:
    """Return what a stored value still counts, at most 1 (the clock may have run backwards)."""
    return math.exp(-max(now - state.touched[endpoint], 0.0) / state.decay[0])


def score(state: EwmaState, endpoint: int, now: float) -> float:
    """Return the decayed value of an endpoint id in seconds, 0 when it has none; stores nothing."""
    return float(state.value[endpoint] * weight_of_past(state, endpoint, now))


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
    state.last_score[0] = NOT_SCORED
    if n <= 1:
        return n - 1
    if len(tried) == 0 and state.choices[0] == PICK_SET_SIZE:
        return _pick_of_two(state, rng, now, n)
    m = _candidates(state, n, tried)
    return _pick_among(state, rng, now, m)


def _pick_of_two(state: EwmaState, rng: np.ndarray, now: float, n: int) -> int:
    """Draw two of all ``n``, by where the first two steps of a shuffle would find them."""
    first = lua_random(rng, 1, n) - 1
    second = lua_random(rng, 2, n) - 1
    if second == first:
        second = 0  # the first step has put the head there
    best = score(state, state.listed[first], now)
    other = score(state, state.listed[second], now)
    if other < best:
        state.last_score[0] = other
        return int(state.position[second])
    state.last_score[0] = best
    return int(state.position[first])


def _candidates(state: EwmaState, n: int, tried: np.ndarray) -> int:
    """Put into ``left`` what has not failed this request, all if all have; return how many."""
    m = 0
    for place in range(n):
        failed = False
        for k in range(len(tried)):
            if tried[k] == state.position[place]:
                failed = True
        if not failed:
            state.left[m] = place
            m += 1
    if m > 0:
        return m
    for place in range(n):
        state.left[place] = place
    return n


def _pick_among(state: EwmaState, rng: np.ndarray, now: float, m: int) -> int:
    """Shuffle the first places of the ``m`` candidates and take the lowest score of these."""
    left = state.left
    k = min(state.choices[0], m)
    if m > 1:
        for i in range(k):
            j = lua_random(rng, i + 1, m) - 1
            swapped = left[i]
            left[i] = left[j]
            left[j] = swapped
    chosen = left[0]
    best = score(state, state.listed[chosen], now)
    for i in range(1, k):
        other = score(state, state.listed[left[i]], now)
        if other < best:
            best = other
            chosen = left[i]
    state.last_score[0] = best
    return int(state.position[chosen])


def done(state: EwmaState, endpoint: int, now: float, rtt: float, _ok: bool) -> None:  # noqa: FBT001
    """Blend a response time (seconds) into an endpoint id's value; re-creates a deleted one."""
    past = 0.0  # an absent time reads as 0 there, 1970: nothing of the past is left
    if state.known[endpoint] == 1:
        past = weight_of_past(state, endpoint, now)
    state.value[endpoint] = state.value[endpoint] * past + rtt * (1.0 - past)
    state.touched[endpoint] = now
    state.known[endpoint] = 1


def on_endpoints(
    state: EwmaState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take a new list: delete what left, start what came with the mean of the new list's values."""
    mark = state.mark
    for k in range(len(old)):
        mark[old[k]] = GONE
    stayed = 0
    for k in range(len(new)):
        if mark[new[k]] == GONE:
            mark[new[k]] = STAYED
            stayed += 1
        else:
            mark[new[k]] = CAME
    if stayed == len(old) and stayed == len(new):
        _reorder(state, new)
    else:
        for k in range(len(new)):
            state.listed[k] = new[k]
            state.position[k] = k
        # a list from or to nothing is another balancer object over the same dictionaries
        if len(old) > 0 and len(new) > 0:
            _start_slowly(state, old, new, now)
    for k in range(len(old)):
        mark[old[k]] = 0
    for k in range(len(new)):
        mark[new[k]] = 0


def _reorder(state: EwmaState, new: np.ndarray) -> None:
    """Keep the order of the draws; only the positions of the endpoints are others."""
    for k in range(len(new)):
        state.mark[new[k]] = k
    for k in range(len(new)):
        state.position[k] = state.mark[state.listed[k]]


def _start_slowly(state: EwmaState, old: np.ndarray, new: np.ndarray, now: float) -> None:
    """Delete the values of what is marked GONE, give what CAME the mean of all in the list."""
    for k in range(len(old)):
        if state.mark[old[k]] == GONE:
            state.known[old[k]] = 0
            state.value[old[k]] = 0.0
            state.touched[old[k]] = 0.0
    total = 0.0
    n = 0
    for k in range(len(new)):
        if state.known[new[k]] == 1:
            total += state.value[new[k]]
            n += 1
    for k in range(len(new)):
        if n > 0 and state.mark[new[k]] == CAME:
            state.value[new[k]] = total / n
            state.touched[new[k]] = now
            state.known[new[k]] = 1


EWMA = Balancer(
    name="ewma",
    level="l7",
    summary="ingress-nginx ewma: lower decayed response time of two drawn",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua@dbb11b92",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"decay": DECAY_TIME, "choices": PICK_SET_SIZE, "lock_hold": 0.0}),
    scope="replica",
    common=("value", "touched", "known"),
    clock="ms",
    cost="O(1), two draws and two exp",
    differs=(
        ("p2c", "compares past response times of the two drawn, not what they have outstanding"),
        (
            "ewma_0.21",
            (
                "shares its values between the workers of a replica, keeps them when the list "
                "changes, and starts new endpoints at the mean"
            ),
        ),
    ),
)
