"""Who comes first: priority queues of endpoints that can be moved and taken out of the middle.

Plain Python that numba can compile; nothing is allocated. Several queues share one pool of E
endpoints, each of which stands in one queue at most. An endpoint stands in order of (key, turn),
where the turn counts how often anybody was put in: among equal keys the one that has stood there
longest comes first, as in a tree that keeps duplicates in order of insertion.

A queue is a binary heap whose entries know their places. Cost: `put_in`, `take_out` O(log n), the
first and the second O(1).
"""

from __future__ import annotations

from typing import Protocol

import numpy as np

NOWHERE = -1


class Queues(Protocol):
    """Q queues of E endpoints, as fields of a balancer's state."""

    @property
    def size(self) -> np.ndarray:
        """Return how many stand in each queue, int64[Q]."""

    @property
    def heap(self) -> np.ndarray:
        """Return endpoint ids, the first of each queue at 0, int64[Q, E]."""

    @property
    def queue(self) -> np.ndarray:
        """Return the queue in which each endpoint stands, NOWHERE for none, int64[E] by id."""

    @property
    def seat(self) -> np.ndarray:
        """Return where in its heap each endpoint stands, int64[E] by id."""

    @property
    def key(self) -> np.ndarray:
        """Return what each endpoint is ordered by, int64[E] by id."""

    @property
    def turn(self) -> np.ndarray:
        """Return when each endpoint was put in, int64[E] by id."""

    @property
    def turns(self) -> np.ndarray:
        """Return how many turns were given so far, int64[1]."""


def empty_queues(queues: int, endpoints: int) -> dict[str, np.ndarray]:
    """Return the fields of empty queues."""
    zeros = [np.zeros(endpoints, np.int64) for _ in range(3)]
    return {
        "size": np.zeros(queues, np.int64),
        "heap": np.zeros((queues, endpoints), np.int64),
        "queue": np.full(endpoints, NOWHERE, np.int64),
        "seat": zeros[0],
        "key": zeros[1],
        "turn": zeros[2],
        "turns": np.zeros(1, np.int64),
    }


def put_in(q: Queues, queue: int, endpoint: int, key: int) -> None:
    """Put an endpoint into a queue behind its equals; it leaves the one where it stands."""
    take_out(q, endpoint)
    q.turns[0] += 1
    q.key[endpoint] = key
    q.turn[endpoint] = q.turns[0]
    q.queue[endpoint] = queue
    at = q.size[queue]
    q.size[queue] = at + 1
    _raise(q, queue, at, endpoint)


def take_out(q: Queues, endpoint: int) -> None:
    """Take an endpoint out of its queue, if it stands in one."""
    queue = q.queue[endpoint]
    if queue == NOWHERE:
        return
    q.queue[endpoint] = NOWHERE
    last = q.size[queue] - 1
    q.size[queue] = last
    at = q.seat[endpoint]
    if at == last:
        return
    moved = q.heap[queue, last]
    _raise(q, queue, at, moved)
    _sink(q, queue, q.seat[moved], moved)


def first_of(q: Queues, queue: int) -> int:
    """Return who comes first in a queue, NOWHERE when it is empty."""
    if q.size[queue] == 0:
        return NOWHERE
    return int(q.heap[queue, 0])


def second_of(q: Queues, queue: int) -> int:
    """Return who comes second in a queue, NOWHERE when there is nobody."""
    n = q.size[queue]
    if n < 2:
        return NOWHERE
    one = q.heap[queue, 1]
    if n > 2 and is_before(q, q.heap[queue, 2], one):
        return int(q.heap[queue, 2])
    return int(one)


def is_before(q: Queues, one: int, other: int) -> bool:
    """Tell whether one endpoint comes before another by (key, turn)."""
    if q.key[one] != q.key[other]:
        return bool(q.key[one] < q.key[other])
    return bool(q.turn[one] < q.turn[other])


def _raise(q: Queues, queue: int, at: int, endpoint: int) -> None:
    """Put an endpoint into the hole ``at``, or higher up where it belongs."""
    while at > 0:
        above = (at - 1) >> 1
        other = q.heap[queue, above]
        if is_before(q, other, endpoint):
            break
        q.heap[queue, at] = other
        q.seat[other] = at
        at = above
    q.heap[queue, at] = endpoint
    q.seat[endpoint] = at


def _sink(q: Queues, queue: int, at: int, endpoint: int) -> None:
    """Let an endpoint at ``at`` go down to where it belongs."""
    n = q.size[queue]
    child = 2 * at + 1
    while child < n:
        if child + 1 < n and is_before(q, q.heap[queue, child + 1], q.heap[queue, child]):
            child += 1
        other = q.heap[queue, child]
        if is_before(q, endpoint, other):
            break
        q.heap[queue, at] = other
        q.seat[other] = at
        at = child
        child = 2 * at + 1
    q.heap[queue, at] = endpoint
    q.seat[endpoint] = at
