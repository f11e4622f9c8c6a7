"""jiq: join an idle queue: pods that have nothing to do report to one worker each. A yardstick.

Y. Lu, Q. Xie, G. Kliot, A. Geller, J. Larus and A. Greenberg, "Join-Idle-Queue: A Novel Load
Balancing Algorithm for Dynamically Scalable Web Services", Performance Evaluation 68(11) (2011).
Every dispatcher (here a worker of an ingress replica) has a list of idle pods. A pod that has just
become idle puts itself on the list of one dispatcher chosen at random (JIQ-Random). A request goes
to the pod that has been on its dispatcher's list longest, which takes it off; where the list is
empty to a uniformly drawn pod. So nothing is asked when a request comes.

A pod on a list that gets a request from another dispatcher leaves its list at that moment. At the
start every pod is idle and on some list. With one worker and no delays: an idle pod if there is
one, the longest idle first, else random. Endpoints where the request has failed are left out,
unless all have.

Deviations from the paper: it leaves open which of the listed pods is taken and whether one that
gets other work leaves its list. Which dispatcher a pod joins follows from its address and from how
often it has become idle, so nobody's stream is drawn from. A pod joins while its dispatcher does
not list it (lists of workers differ for a while): then it is on none until it is idle again; so is
one whose attempt never reached it. A worker that starts anew has counted nothing, so a pod can be
on two lists then. Original: none; theory. Units: none. Cost per pick: O(1) or one
draw, O(tried); a pod that becomes idle or busy costs O(1) for every worker.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.tried import is_tried
from lbbench.core.rng import mix64, uniform

NONE = -1
OWN, ALL = range(2)
FIRST, LAST = range(2)
BEFORE, AFTER = range(2)
ONE = np.uint64(1)


class JiqState(NamedTuple):
    """One dispatcher; E endpoints exist in the run."""

    dispatcher: np.ndarray  # int64[2] its number, how many there are (the engine fills it in)
    salt: np.ndarray  # uint64[E] by id
    seat: np.ndarray  # int64[E] position by id, NONE: not listed
    busy: np.ndarray  # int64[E] requests at the pod by id
    rests: np.ndarray  # uint64[E] how often it has become idle
    ends: np.ndarray  # int64[2] first and last id of the list of idle ones, NONE
    link: np.ndarray  # int64[2, E] neighbours in it by id, NONE
    waits: np.ndarray  # int64[E] 1: it is on the list


def state(_params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> JiqState:
    """Return a dispatcher that lists nobody, the only one there is."""
    n = len(endpoints)
    digests = [hashlib.sha256(item.address.encode()).digest() for item in endpoints]
    return JiqState(
        dispatcher=np.array([0, 1], np.int64),
        salt=np.array([int.from_bytes(digest[:8], "little") for digest in digests], np.uint64),
        seat=np.full(n, NONE, np.int64),
        busy=np.zeros(n, np.int64),
        rests=np.zeros(n, np.uint64),
        ends=np.full(2, NONE, np.int64),
        link=np.full((2, n), NONE, np.int64),
        waits=np.zeros(n, np.int64),
    )


def on_endpoints(
    state: JiqState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take another list: who left is on no list, who is new and idle reports."""
    for k in range(len(old)):
        state.seat[old[k]] = NONE - 1
    for k in range(len(new)):
        endpoint = new[k]
        is_new = state.seat[endpoint] == NONE
        state.seat[endpoint] = k
        if is_new and state.busy[endpoint] == 0 and _is_ours(state, endpoint):
            _append(state, endpoint)
    for k in range(len(old)):
        if state.seat[old[k]] < NONE:
            state.seat[old[k]] = NONE
            _remove(state, old[k])


def on_busy(state: JiqState, endpoint: int, busy: int) -> None:
    """Let a pod report when it has become idle, and leave the list when it has something to do."""
    before = state.busy[endpoint]
    state.busy[endpoint] = busy
    if busy > 0:
        _remove(state, endpoint)
    elif before > 0:
        state.rests[endpoint] += ONE
        if state.seat[endpoint] >= 0 and _is_ours(state, endpoint):
            _append(state, endpoint)


def pick(
    state: JiqState,
    rng: np.ndarray,
    _now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the pod that is idle longest on this list, else of a drawn one."""
    n = len(busy)
    if n == 0:
        return -1
    left = n
    if len(tried) > 0:  # positions, perhaps more than once
        for place in range(n):
            left -= int(is_tried(tried, place))
    endpoint = state.ends[FIRST]
    while endpoint != NONE and left > 0 and is_tried(tried, state.seat[endpoint]):
        endpoint = state.link[AFTER, endpoint]
    if endpoint != NONE:
        _remove(state, endpoint)
        return int(state.seat[endpoint])
    if left == 0:  # all have failed: start over
        left = n
    k = int(uniform(rng) * left)
    if left == n:
        return k
    for place in range(n):
        if not is_tried(tried, place):
            if k == 0:
                return place
            k -= 1
    return -1


def _is_ours(state: JiqState, endpoint: int) -> bool:
    """Tell whether a pod that is idle reports to this dispatcher."""
    drawn = mix64(state.salt[endpoint] ^ mix64(state.rests[endpoint]))
    return bool(np.int64(drawn % np.uint64(state.dispatcher[ALL])) == state.dispatcher[OWN])


def _append(state: JiqState, endpoint: int) -> None:
    """Put an endpoint at the end of the list."""
    last = state.ends[LAST]
    state.link[BEFORE, endpoint] = last
    state.link[AFTER, endpoint] = NONE
    if last == NONE:
        state.ends[FIRST] = endpoint
    else:
        state.link[AFTER, last] = endpoint
    state.ends[LAST] = endpoint
    state.waits[endpoint] = 1


def _remove(state: JiqState, endpoint: int) -> None:
    """Take an endpoint off the list, if it is on it."""
    if state.waits[endpoint] == 0:
        return
    state.waits[endpoint] = 0
    before = state.link[BEFORE, endpoint]
    after = state.link[AFTER, endpoint]
    if before == NONE:
        state.ends[FIRST] = after
    else:
        state.link[AFTER, before] = after
    if after == NONE:
        state.ends[LAST] = before
    else:
        state.link[BEFORE, after] = before


JIQ = Balancer(
    name="jiq",
    level="l7",
    summary="join idle queue: idle pods report to a worker (yardstick, no product)",
    source="theory: Lu, Xie, Kliot, Geller, Larus and Greenberg 2011",
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    sees="pods",
    scope="worker",
    cost="O(1), at most one draw",
    differs=(
        ("random", "goes to an idle pod while it knows one"),
        ("jsq", "knows of idle pods only what they told this instance"),
    ),
)
