"""p2c: the less busy of two endpoints drawn at random, "the power of two choices". A yardstick.

Two distinct endpoints are drawn uniformly; the one with fewer attempts outstanding at this instance
wins, the one drawn first on a tie. ``choices`` draws another number of them, all where there are
not as many; 1 is random splitting. Endpoints where the request has failed are not drawn, unless all
have. The k-th draw is floor(u m) among the m that are left, in the order of the list; where one is
left nothing is drawn.

With one worker and no delays this is SQ(d) of queueing theory: M. Mitzenmacher, "The Power of Two
Choices in Randomized Load Balancing", IEEE TPDS 12(10) (2001); N. Vvedenskaya, R. Dobrushin and
F. Karpelevich (1996). Every worker sees its own attempts only, so several workers do worse.

No product: nginx's ``random two least_conn``, HAProxy's ``random(2)`` and Envoy's LEAST_REQUEST
differ in what they count, in weights and in ties; ingress-nginx's ``ewma`` compares response times.

Original: none; theory. Units: attempts. Cost per pick: d draws, O(d (d + tried)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import uniform
from lbbench.errors import BalancerError

PAIR = 2


class P2cState(NamedTuple):
    """What a pick is told and where it keeps what it may not draw; E endpoints."""

    choices: np.ndarray  # int64[1] how many are drawn
    out: np.ndarray  # int64[E] scratch: positions that cannot be drawn any more, ascending


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> P2cState:
    """Return an instance's state.

    Raises
    ------
    BalancerError
        When ``choices`` is no whole number from 1.
    """
    return p2c_state("p2c", params, endpoints)


def p2c_state(name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> P2cState:
    """Return the state of the balancer ``name``, which draws as p2c does.

    Raises
    ------
    BalancerError
        When ``choices`` is no whole number from 1.
    """
    choices = params["choices"]
    if isinstance(choices, bool) or not isinstance(choices, int) or choices < 1:
        raise BalancerError(f"{name}: choices = {choices}: must be a whole number, 1 or more")
    return P2cState(np.array([choices], np.int64), np.zeros(len(endpoints), np.int64))


def pick(
    state: P2cState,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the least busy of those drawn, -1 without endpoints."""
    n = len(busy)
    if n <= 1:
        return n - 1
    if len(tried) == 0 and state.choices[0] == PAIR:
        return _pick_of_two(state, rng, now, busy)
    n_out = 0
    for k in range(len(tried)):
        n_out = _put_out(state.out, n_out, tried[k])
    if n_out == n:  # all have failed: start over
        n_out = 0
    best = -1
    for _ in range(min(state.choices[0], n - n_out)):
        left = n - n_out
        place = int(uniform(rng) * left) if left > 1 else 0
        for k in range(n_out):
            if state.out[k] > place:
                break
            place += 1
        if best < 0 or outstanding(state, busy, place, now) < outstanding(state, busy, best, now):
            best = place
        n_out = _put_out(state.out, n_out, place)
    return best


def _pick_of_two(state: P2cState, rng: np.ndarray, now: float, busy: np.ndarray) -> int:
    """Draw two of all, the second among the others."""
    n = len(busy)
    first = int(uniform(rng) * n)
    second = int(uniform(rng) * (n - 1)) if n > PAIR else 0  # where one is left nothing is drawn
    if second >= first:
        second += 1
    best = outstanding(state, busy, first, now)
    if outstanding(state, busy, second, now) < best:
        return second
    return first


def outstanding(_state: P2cState, busy: np.ndarray, place: int, _now: float) -> int:
    """Return how many attempts are outstanding at a position."""
    return int(busy[place])


def _put_out(out: np.ndarray, n_out: int, place: int) -> int:
    """Insert a position into the first ``n_out`` of ``out``, once; return how many there are."""
    k = n_out
    while k > 0 and out[k - 1] >= place:
        k -= 1
    if k < n_out and out[k] == place:
        return n_out
    for j in range(n_out, k, -1):
        out[j] = out[j - 1]
    out[k] = place
    return n_out + 1


P2C = Balancer(
    name="p2c",
    level="l7",
    summary="fewer outstanding at this instance of two drawn (yardstick, no product)",
    source="theory: Mitzenmacher 2001, Vvedenskaya, Dobrushin and Karpelevich 1996",
    state=state,
    pick=pick,
    params=MappingProxyType({"choices": 2}),
    scope="worker",
    cost="O(1), two draws",
    differs=(
        (
            "least_conn",
            "looks at two drawn endpoints only, so it costs the same for any number of them",
        ),
        ("random", "takes the less busy of two draws"),
    ),
)
