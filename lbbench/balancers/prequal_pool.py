"""Prequal's pool of probe replies: what stays in it, what is hot, and which reply is taken.

B. Wydrowski, R. Kleinberg, S. Rumble and A. Archer, "Load is not what you should balance:
Introducing Prequal", NSDI 2024. Replies lie in the order in which they came. RIF means requests in
flight at a replica. The threshold theta is the smallest RIF such that a share ``q_rif`` of the last
128 replies have no more; a reply is hot when its RIF is above it. ``q_rif: 0`` makes all hot, so
that RIF alone decides, 1 makes none hot, so that latency does.

Plain Python that compiles, on the fields of `Pool`. Cost: O(pool) for each function, `see` O(1)
where RIFs change little.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

NOBODY = -1
SIZE, ROOM, TURN, SEEN, THETA, UP_TO = range(6)
AGE, QUANTILE, SAMPLE_AGE = range(3)
REMEMBERED = 128  # replies whose RIF theta goes by
MOST_RIF = 4095  # RIFs above it count as it for theta
OLDEST, WORST = range(2)


class Pool(NamedTuple):
    """One client's replies and what it knows of its replicas; E exist in the run."""

    # int64[6]: replies; room for replies; what is removed next, OLDEST or WORST; replies ever seen;
    # theta; how many of the remembered RIFs are not above theta
    number: np.ndarray
    rule: np.ndarray  # float64[3] seconds that a reply is kept, q_rif, seconds of an answer
    order: (
        np.ndarray
    )  # int64[P] slots of the replies, the oldest first, then the slots that are free
    replica: np.ndarray  # int64[P] ids, by slot as are those below
    rif: np.ndarray  # int64[P]
    latency: np.ndarray  # float64[P] seconds
    came: np.ndarray  # float64[P] seconds
    left: np.ndarray  # int64[P] how often it may still be used
    remembered: np.ndarray  # int64[128] RIFs of the last replies, in a circle
    tally: np.ndarray  # int64[4096] how many of these there are of each RIF
    plan: np.ndarray  # int64[3] probes, removals per query; samples that are enough
    reuse: np.ndarray  # float64[2] delta, b_reuse
    ids: np.ndarray  # int64[E] replica ids by position; n are in use
    seat: np.ndarray  # int64[E] positions by id, -1 for what is not listed
    inside: np.ndarray  # int64[E] true RIF, by id
    # float64[E, 3, S] by id: seconds, the fastest first; RIF when picked for; when they came (s)
    sample: np.ndarray
    known: np.ndarray  # int64[E] how many there are
    sent: np.ndarray  # int64[E, 64] by id: RIF at the picks that are not answered, in a circle
    span: np.ndarray  # int64[2, E] by id: how many of these are over, how many there were
    drawn: np.ndarray  # int64[] scratch: positions that are probed, ascending
    away: np.ndarray  # int64[S] scratch: distances in RIF
    far: np.ndarray  # int64[64] scratch: how many are that far away, 0 between estimates


def add(s: Pool, replica: int, rif: int, latency: float, now: float, uses: int) -> None:
    """Put a reply in that may be used ``uses`` times; the oldest leaves when there is no room."""
    see(s, rif)
    if s.number[SIZE] == s.number[ROOM]:
        drop(s, 0)
    slot = s.order[s.number[SIZE]]
    s.replica[slot] = replica
    s.rif[slot] = rif
    s.latency[slot] = latency
    s.came[slot] = now
    s.left[slot] = uses
    s.number[SIZE] += 1


def drop(s: Pool, k: int) -> None:
    """Take the ``k``-th reply out."""
    slot = s.order[k]
    s.number[SIZE] -= 1
    last = s.number[SIZE]
    for at in range(k, last):
        s.order[at] = s.order[at + 1]
    s.order[last] = slot


def drop_old(s: Pool, now: float) -> None:
    """Take out what is older than a reply may be."""
    while s.number[SIZE] > 0 and now - s.came[s.order[0]] > s.rule[AGE]:
        drop(s, 0)


def drop_unlisted(s: Pool) -> None:
    """Take out the replies of replicas that are not listed."""
    for k in range(s.number[SIZE] - 1, -1, -1):
        if s.seat[s.replica[s.order[k]]] == NOBODY:
            drop(s, k)


def is_hot(s: Pool, slot: int) -> bool:
    """Tell whether the RIF of the reply in a slot is above theta."""
    if s.rule[QUANTILE] == 0.0:
        return True
    return bool(s.rule[QUANTILE] < 1.0 and s.rif[slot] > s.number[THETA])


def best(s: Pool) -> int:
    """Return which is the cold reply with the lowest latency, else the hot one with the lowest RIF.

    Ties: of cold ones the lower RIF, then, and of hot ones, the oldest. -1 when there is no reply.
    """
    cold = hot = NOBODY
    fastest = lowest = s.order[0]
    for k in range(s.number[SIZE]):
        slot = s.order[k]
        if is_hot(s, slot):
            if hot == NOBODY or s.rif[slot] < s.rif[lowest]:
                hot, lowest = k, slot
        elif (
            cold == NOBODY
            or s.latency[slot] < s.latency[fastest]
            or (s.latency[slot] == s.latency[fastest] and s.rif[slot] < s.rif[fastest])
        ):
            cold, fastest = k, slot
    return hot if cold == NOBODY else cold


def worst(s: Pool) -> int:
    """Return which is the hot reply with the highest RIF, else that with the highest latency.

    Ties: the oldest. -1 when there is no reply.
    """
    cold = hot = NOBODY
    slowest = highest = s.order[0]
    for k in range(s.number[SIZE]):
        slot = s.order[k]
        if is_hot(s, slot):
            if hot == NOBODY or s.rif[slot] > s.rif[highest]:
                hot, highest = k, slot
        elif cold == NOBODY or s.latency[slot] > s.latency[slowest]:
            cold, slowest = k, slot
    return cold if hot == NOBODY else hot


def use(s: Pool, k: int) -> int:
    """Take the ``k``-th reply for a query, perhaps for the last time, its RIF one more.

    Return whose it is.
    """
    slot = s.order[k]
    s.rif[slot] += 1
    s.left[slot] -= 1
    if s.left[slot] == 0:
        drop(s, k)
    return s.replica[slot]


def remove_one(s: Pool) -> None:
    """Take out the oldest reply and the worst one by turns."""
    if s.number[SIZE] == 0:
        return
    if s.number[TURN] == OLDEST:
        drop(s, 0)
        s.number[TURN] = WORST
    else:
        drop(s, worst(s))
        s.number[TURN] = OLDEST


def see(s: Pool, rif: int) -> None:
    """Remember the RIF of a reply, and let theta follow."""
    number, tally = s.number, s.tally
    rif = min(rif, MOST_RIF)
    at = number[SEEN] % REMEMBERED
    if number[SEEN] >= REMEMBERED:
        tally[s.remembered[at]] -= 1
        if s.remembered[at] <= number[THETA]:
            number[UP_TO] -= 1
    s.remembered[at] = rif
    tally[rif] += 1
    if rif <= number[THETA]:
        number[UP_TO] += 1
    number[SEEN] += 1
    rank = max(math.ceil(s.rule[QUANTILE] * min(number[SEEN], REMEMBERED)), 1)
    while number[UP_TO] < rank:
        number[THETA] += 1
        number[UP_TO] += tally[number[THETA]]
    while number[UP_TO] - tally[number[THETA]] >= rank:
        number[UP_TO] -= tally[number[THETA]]
        number[THETA] -= 1
