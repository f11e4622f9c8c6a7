"""What nginx's own balancers share: peers with weights, passive health and smooth round robin.

Originals: nginx/nginx src/http/ngx_http_upstream_round_robin.c at 3f6f7824. A peer is out of use
for ``fail_timeout`` after ``max_fails`` failures within that time, where a request has failed on it
before, while it has ``max_conns`` requests (0: no limit), and nowhere else; a single peer is used
unless it is full. nginx counts in whole seconds. Requests count as ``max_conns`` sees them: of this
worker, with ``zone`` of the replica.

A try without an answer counts as a failure; one with a status that is tried again counts too, while
any other answer, also of 5xx, is one that came.

Deviations: a failure is counted when the request is tried again, at that moment. A change of the
list is a reload: weights and failures begin anew, while attempts that are outstanding still count
(old workers of a real reload count theirs apart). ``max_fails``, ``fail_timeout`` and ``max_conns``
are the same for all peers. ``down`` and ``backup`` are not modelled; ``slow_start`` and ``queue``
are of the commercial nginx.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.figures import whole
from lbbench.balancers.tried import is_tried
from lbbench.errors import BalancerError
from lbbench.model.units import parse_time

NONE = -1
PARAMS: Mapping[str, Any] = MappingProxyType(
    {"max_fails": 1, "fail_timeout": "10s", "max_conns": 0}
)
"""nginx's defaults of ``server``; ``max_fails: 0`` switches passive health off."""


class Peers(NamedTuple):
    """One worker's peers; E endpoints exist in the run, n are listed."""

    rule: np.ndarray  # int64[3] max_fails, fail_timeout in seconds, max_conns
    total: np.ndarray  # int64[1] sum of the listed weights
    ids: np.ndarray  # int64[E] endpoint ids by position; n are in use
    weight: np.ndarray  # int64[E] by id, as are those below
    effective: np.ndarray  # int64[E] weight after failures
    current: np.ndarray  # int64[E] smooth round robin's running weight
    fails: np.ndarray  # int64[E]
    accessed: np.ndarray  # int64[E] second of the last failure
    checked: np.ndarray  # int64[E] second from which fail_timeout runs


class RingPeers(NamedTuple):
    """One worker's peers, and their ring of M points."""

    rule: np.ndarray
    total: np.ndarray
    ids: np.ndarray
    weight: np.ndarray
    effective: np.ndarray
    current: np.ndarray
    fails: np.ndarray
    accessed: np.ndarray
    checked: np.ndarray
    all_hash: np.ndarray  # uint32[M] ascending, of all that ever exist
    all_owner: np.ndarray  # int64[M] endpoint ids
    hashes: np.ndarray  # uint32[M + 4] ascending, of the listed ones
    owners: np.ndarray  # int32[M] positions
    guide: np.ndarray  # int32[M / 2] of the listed ones
    seat: np.ndarray  # int64[E] scratch, -1 between changes
    points: np.ndarray  # int64[1] points in use


AnyPeers = Peers | RingPeers


def peers(name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Peers:
    """Return a worker's peers before it has a list.

    Raises
    ------
    BalancerError
        When ``max_fails`` or ``max_conns`` is no whole number from 0, or ``fail_timeout`` no time
        of whole seconds.
    """
    most = whole(name, params, "max_fails", 0)
    try:
        seconds = parse_time(params["fail_timeout"])
    except ValueError as error:
        raise BalancerError(f"{name}: fail_timeout = {params['fail_timeout']}: {error}") from error
    if seconds < 1 or seconds != int(seconds):
        raise BalancerError(
            f"{name}: fail_timeout = {params['fail_timeout']}: nginx takes whole seconds, from 1s"
        )
    weight = np.array([item.weight for item in endpoints], np.int64)
    zeros = [np.zeros(len(endpoints), np.int64) for _ in range(5)]
    return Peers(
        rule=np.array([most, int(seconds), whole(name, params, "max_conns", 0)], np.int64),
        total=np.zeros(1, np.int64),
        ids=zeros[0],
        weight=weight,
        effective=weight.copy(),
        current=zeros[1],
        fails=zeros[2],
        accessed=zeros[3],
        checked=zeros[4],
    )


def on_endpoints(
    state: AnyPeers, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Begin anew with the peers ``new``; the same list as ``old`` changes nothing."""
    same = len(old) == len(new)
    for k in range(len(new)):
        same = same and old[k] == new[k]
    if same:
        return
    state.total[0] = 0
    for k in range(len(new)):
        peer = new[k]
        state.ids[k] = peer
        state.total[0] += state.weight[peer]
        state.effective[peer] = state.weight[peer]
        state.current[peer] = 0
        state.fails[peer] = 0
        state.accessed[peer] = 0
        state.checked[peer] = 0


def done(state: AnyPeers, endpoint: int, now: float, _rtt: float, ok: bool) -> None:  # noqa: FBT001
    """Count a last try without an answer; forget failures once a trial has been answered."""
    if not ok:
        _fail(state, endpoint, int(now))
    elif state.accessed[endpoint] < state.checked[endpoint]:
        state.fails[endpoint] = 0


def note_failure(state: AnyPeers, tried: np.ndarray, second: int) -> None:
    """Count the failure that made the request come back, if it has failed before."""
    if len(tried) == 0:
        return
    _fail(state, state.ids[tried[len(tried) - 1]], second)


def _fail(state: AnyPeers, peer: int, second: int) -> None:
    """Count a failure of a peer; it costs effective weight."""
    state.fails[peer] += 1
    state.accessed[peer] = second
    state.checked[peer] = second
    if state.rule[0] > 0:
        lost = state.weight[peer] // state.rule[0]
        state.effective[peer] = max(state.effective[peer] - lost, 0)


def place_of(state: AnyPeers, number: int, n: int) -> int:
    """Return the position among ``n`` of the peer whose range of weights holds a number.

    The ranges lie side by side in list order; a number from their sum on begins again.
    """
    left = number % state.total[0]
    if state.total[0] == n:  # all weigh 1
        return int(left)
    place = 0
    while left >= state.weight[state.ids[place]]:
        left -= state.weight[state.ids[place]]
        place += 1
    return place


def alone(state: AnyPeers, busy: np.ndarray) -> int:
    """Return the position of the only peer, failed or not; -1 when it is full or there is none."""
    n = len(busy)
    return NONE if n == 0 or _is_full(state, busy[0]) else 0


def _is_full(state: AnyPeers, busy: int) -> bool:
    """Tell whether a peer with so many requests may have no more."""
    return bool(0 < state.rule[2] <= busy)


def is_usable(
    state: AnyPeers, place: int, busy: np.ndarray, tried: np.ndarray, second: int
) -> bool:
    """Tell whether the peer at a position may be picked for this request."""
    if is_tried(tried, place) or _is_full(state, busy[place]):
        return False
    peer = state.ids[place]
    most = state.rule[0]
    is_out = (
        most > 0 and state.fails[peer] >= most and second - state.checked[peer] <= state.rule[1]
    )
    return not is_out


def compare(state: AnyPeers, busy: np.ndarray, place: int, other: int) -> int:
    """Return conns_i w_j - conns_j w_i of the peers at two positions."""
    weight = state.weight[state.ids[place]]
    other_weight = state.weight[state.ids[other]]
    return busy[place] * other_weight - busy[other] * weight


def taken(state: AnyPeers, place: int, busy: np.ndarray, tried: np.ndarray, second: int) -> bool:
    """Take the peer at a position if it may be picked for this request; tell whether it may."""
    if not is_usable(state, place, busy, tried, second):
        return False
    begin_trial(state, place, second)
    return True


def begin_trial(state: AnyPeers, place: int, second: int) -> None:
    """Let ``fail_timeout`` of a picked peer run anew when it has run out."""
    peer = state.ids[place]
    if second - state.checked[peer] > state.rule[1]:
        state.checked[peer] = second


def take_turn(state: AnyPeers, place: int, best: int) -> int:
    """Give one peer its turn of smooth round robin; return the better of it and ``best``.

    Its running weight rises by the effective one, which recovers by 1; the first highest wins.
    """
    peer = state.ids[place]
    state.current[peer] += state.effective[peer]
    if state.effective[peer] < state.weight[peer]:
        state.effective[peer] += 1
    if best == NONE or state.current[peer] > state.current[state.ids[best]]:
        return place
    return best


def smooth_round_robin(state: AnyPeers, busy: np.ndarray, tried: np.ndarray, second: int) -> int:
    """Return the position of the next peer of nginx's default balancer, -1 when none is usable."""
    best = NONE
    total = 0
    for place in range(len(busy)):
        if is_usable(state, place, busy, tried, second):
            total += state.effective[state.ids[place]]
            best = take_turn(state, place, best)
    if best != NONE:
        state.current[state.ids[best]] -= total
        begin_trial(state, best, second)
    return best
