"""prequal: probes of requests in flight and latency, kept in a pool; Google's Prequal.

Original: B. Wydrowski, R. Kleinberg, S. Rumble and A. Archer, "Load is not what you should balance:
Introducing Prequal", NSDI 2024. With every query ``probes`` (3) replicas, distinct and uniformly
drawn, are asked how many requests they have in flight (RIF) and how long queries take that finish
at about this RIF. The replies enter a pool of ``pool`` (16), the oldest leaving. A query takes, of
the replies that are not hot (see `lbbench.balancers.prequal_pool`), the one with the lowest
latency, and if all are hot the one with the lowest RIF; that reply's RIF is one more from then on.
With fewer than two replies the replica is drawn uniformly. A reply leaves when it is older than
``age`` (1 s), when it has been used b = max(1, (1 + delta) / ((1 - pool / n) probes - remove))
times (a broken b is rounded up or down by a draw per reply, so that b is the mean), and after each
query ``remove`` (1) replies leave, the oldest and the worst by turns: the worst is the hot one with
the highest RIF, else the one with the highest latency.

Deviations, for the paper's probes are messages and its replicas keep the latencies:

- A probe costs nothing and takes no time, but its reply is in the pool from the *next* query on;
  the RIF is the pod's true number when the query is picked for, without that query itself.
- Latencies are those that this client, an ingress replica, has seen: answers of its own requests
  with the network in them, failed ones not counted, tagged with the RIF when the request was picked
  for; which request an answer belongs to is not known here, so answers of a replica count as coming
  in the order of the picks. The estimate is the (lower) median of the samples within the least
  distance in RIF that holds ``similar`` (5) of them. Samples are the last ``samples`` (16). Those
  older than ``sample_age`` (2 s) do not count: a replica that looked slow and is asked no more is
  unknown after a while. Nor do those that met more than 1.25 RIF (RIF + 1 below 8): how slow a full
  replica was says nothing of the same one when it has become empty. An unknown one is taken for the
  fastest, 0. These numbers are not the paper's.
- The paper has more replicas than ``pool``. Where there are not, (1 - pool / n) probes - remove may
  be 0 or less, and b is 1: more replies come than the pool holds, so none has to be used again.
- Whole numbers of probes and removals only. A retry is a query like any other.

Order within a query: old replies leave, one is taken, ``remove`` leave, replies of new probes come.
Units: seconds, requests. Cost per pick: O(pool + probes samples), whatever the number of replicas.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.figures import number, seconds, whole
from lbbench.balancers.prequal_pool import (
    MOST_RIF,
    NOBODY,
    REMEMBERED,
    ROOM,
    SAMPLE_AGE,
    SIZE,
    THETA,
    Pool,
    add,
    best,
    drop_old,
    drop_unlisted,
    remove_one,
    use,
)
from lbbench.core.rng import uniform

FEW = 2  # replies below which the replica is drawn
PROBES, REMOVE, SIMILAR = range(3)
LATENCY, AT_RIF, WHEN = range(3)
OVER, EVER = range(2)
MOST_SENT = 64  # picks of a replica whose RIF is kept until they are answered
MOST_AWAY = 63  # RIFs further apart than that are equally unlike
FULLER = 4  # a quarter more in flight is still about as full
DELTA, REUSE = range(2)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Pool:
    """Return a client's empty pool.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    name, n = "prequal", len(endpoints)
    room = whole(name, params, "pool", 1)
    probes = whole(name, params, "probes", 0)
    samples = whole(name, params, "samples", 1)
    rule = [
        seconds(name, params, "age"),
        number(name, params, "q_rif", 0.0, 1.0),
        seconds(name, params, "sample_age"),
    ]
    plan = [probes, whole(name, params, "remove", 0), whole(name, params, "similar", 1)]
    counters = np.zeros(6, np.int64)
    counters[ROOM] = room
    counters[THETA] = NOBODY
    return Pool(
        number=counters,
        rule=np.array(rule),
        order=np.arange(room, dtype=np.int64),
        replica=np.zeros(room, np.int64),
        rif=np.zeros(room, np.int64),
        latency=np.zeros(room),
        came=np.zeros(room),
        left=np.zeros(room, np.int64),
        remembered=np.zeros(REMEMBERED, np.int64),
        tally=np.zeros(MOST_RIF + 1, np.int64),
        plan=np.array(plan, np.int64),
        reuse=np.array([number(name, params, "delta", above=True), 1.0]),
        ids=np.zeros(n, np.int64),
        seat=np.full(n, NOBODY, np.int64),
        inside=np.zeros(n, np.int64),
        sample=np.zeros((n, 3, samples)),
        known=np.zeros(n, np.int64),
        sent=np.zeros((n, MOST_SENT), np.int64),
        span=np.zeros((2, n), np.int64),
        drawn=np.zeros(probes, np.int64),
        away=np.zeros(samples, np.int64),
        far=np.zeros(MOST_AWAY + 1, np.int64),
    )


def on_endpoints(
    state: Pool, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take the list ``new``: replies of what left go, what comes has answered nothing."""
    for k in range(len(old)):
        state.seat[old[k]] = NOBODY
    at = 0
    for k in range(len(new)):
        replica = new[k]
        state.ids[k] = replica
        state.seat[replica] = k
        while at < len(old) and old[at] < replica:  # lists are in order of the ids
            at += 1
        if at == len(old) or old[at] != replica:
            state.known[replica] = 0
            state.span[OVER, replica] = state.span[EVER, replica]
    drop_unlisted(state)
    state.reuse[REUSE] = 1.0
    if len(new) > 0:
        free = 1.0 - len(state.replica) / len(new)
        gained = free * state.plan[PROBES] - state.plan[REMOVE]
        if gained > 0.0:
            state.reuse[REUSE] = max((1.0 + state.reuse[DELTA]) / gained, 1.0)


def on_busy(state: Pool, endpoint: int, busy: int) -> None:
    """Let a replica id have so many requests in flight."""
    state.inside[endpoint] = busy


def done(state: Pool, endpoint: int, now: float, rtt: float, ok: bool) -> None:  # noqa: FBT001
    """Keep the latency (seconds) of an answer, with the RIF that it met, instead of the oldest."""
    rif = _answered(state, endpoint)
    if not ok:
        return
    sample, most = state.sample, state.sample.shape[2]
    n = state.known[endpoint]
    if n == most:
        n -= 1
        oldest = 0
        for k in range(1, most):
            if sample[endpoint, WHEN, k] < sample[endpoint, WHEN, oldest]:
                oldest = k
        for k in range(oldest, n):
            _copy(state, endpoint, k + 1, k)
    state.known[endpoint] = n + 1
    while n > 0 and sample[endpoint, LATENCY, n - 1] > rtt:
        _copy(state, endpoint, n - 1, n)
        n -= 1
    sample[endpoint, LATENCY, n] = rtt
    sample[endpoint, AT_RIF, n] = rif
    sample[endpoint, WHEN, n] = now


def _answered(state: Pool, replica: int) -> int:
    """End the oldest pick that is not answered; return the RIF then, the present one for none."""
    span = state.span
    if span[OVER, replica] == span[EVER, replica]:
        return state.inside[replica]
    rif = state.sent[replica, span[OVER, replica] % MOST_SENT]
    span[OVER, replica] += 1
    return rif


def _send(state: Pool, replica: int, rif: int) -> None:
    """Begin a pick; of too many that are not answered the oldest is forgotten."""
    span = state.span
    state.sent[replica, span[EVER, replica] % MOST_SENT] = rif
    span[EVER, replica] += 1
    if span[EVER, replica] - span[OVER, replica] > MOST_SENT:
        span[OVER, replica] += 1


def _copy(state: Pool, replica: int, k: int, to: int) -> None:
    """Copy a sample to another place."""
    for row in range(3):
        state.sample[replica, row, to] = state.sample[replica, row, k]


def pick(
    state: Pool,
    rng: np.ndarray,
    now: float,
    _key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position that the pool gives, and probe; -1 without replicas."""
    n = len(busy)
    if n <= 1:
        return n - 1
    if len(tried) > 0:
        _answered(state, state.ids[tried[len(tried) - 1]])
    drop_old(state, now)
    if state.number[SIZE] < FEW:
        place = int(uniform(rng) * n)
    else:
        place = state.seat[use(state, best(state))]
    _send(state, state.ids[place], busy[place])
    for _ in range(state.plan[REMOVE]):
        remove_one(state)
    probed = _draw(state, rng, n)
    for k in range(probed):
        _probe(state, rng, state.drawn[k], busy[state.drawn[k]], now)
    return place


def _draw(state: Pool, rng: np.ndarray, n: int) -> int:
    """Put distinct positions into ``drawn``, ascending; return how many, all if there are few."""
    drawn = state.drawn
    count = min(len(drawn), n)
    if count == n:
        for k in range(n):
            drawn[k] = k
        return n
    for k in range(count):
        place = int(uniform(rng) * (n - k))  # among those that are left, in the order of the list
        at = 0
        while at < k and drawn[at] <= place:
            place += 1
            at += 1
        for other in range(k, at, -1):
            drawn[other] = drawn[other - 1]
        drawn[at] = place
    return count


def _probe(state: Pool, rng: np.ndarray, place: int, rif: int, now: float) -> None:
    """Put the reply of the replica at a position into the pool."""
    uses = int(state.reuse[REUSE])
    broken = state.reuse[REUSE] - uses
    if broken > 0.0 and uniform(rng) < broken:
        uses += 1
    replica = state.ids[place]
    add(state, replica, rif, estimate(state, replica, rif, now), now, uses)


def estimate(state: Pool, replica: int, rif: int, now: float) -> float:
    """Return the median latency (seconds) of answers that came at about this RIF, 0 for none."""
    away, far = state.away, state.far
    known = state.known[replica]
    young = 0
    for k in range(known):
        away[k] = NOBODY
        if now - state.sample[replica, WHEN, k] <= state.rule[SAMPLE_AGE]:
            above = int(state.sample[replica, AT_RIF, k]) - rif
            if above <= max(rif // FULLER, 1):
                away[k] = min(abs(above), MOST_AWAY)
                far[away[k]] += 1
                young += 1
    if young == 0:
        return 0.0
    enough = min(state.plan[SIMILAR], young)
    reach = 0  # the least distance within which there are enough
    within = far[0]
    while within < enough:
        reach += 1
        within += far[reach]
    left = (within + 1) // 2
    median = 0.0
    for k in range(known):  # the fastest first
        if away[k] == NOBODY:
            continue
        far[away[k]] = 0
        if away[k] <= reach:
            left -= 1
            if left == 0:
                median = state.sample[replica, LATENCY, k]
    return median


PREQUAL = Balancer(
    name="prequal",
    level="l7",
    summary="Prequal: lowest latency of probed replicas that are not hot, else fewest in flight",
    source="Prequal (Wydrowski, Kleinberg, Rumble and Archer, NSDI 2024)",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    params=MappingProxyType(
        {
            "pool": 16,
            "probes": 3,
            "age": "1s",
            "delta": 1.0,
            "remove": 1,
            "q_rif": 0.84,
            "samples": 16,
            "similar": 5,
            "sample_age": "2s",
        }
    ),
    sees="pods",
    scope="replica",
    cost="O(pool), three draws",
    differs=(
        (
            "p2c",
            "compares replies of probes: what replicas have in flight, and how fast they are",
        ),
        ("peak_ewma", "takes latency only from replicas that are not busier than most"),
    ),
)
