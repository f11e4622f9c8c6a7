"""The users of a closed loop: each thinks, sends, waits for the answer, and thinks again.

When a user sends depends on the answers, so arrivals are the engine's; what users bring does not.
Every user has streams of its own, from which it takes its rows in order: whatever is balanced and
however long answers take, the k-th request of a user is the same, and more users leave those that
were there as they are.

User u is client u mod the number of clients. The users of a client take its sessions in turn; so
user u has session u where there are as many sessions as users, and none (-1) where its client has
none (see `Jars`).

References
----------
P. Denning and J. Buzen, "The operational analysis of queueing network models" (1978): the bounds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from lbbench.model.topology import Topology, capacity
from lbbench.traffic.columns import Columns
from lbbench.traffic.crowd import Crowd
from lbbench.traffic.service import Draw, ServiceTime
from lbbench.traffic.sessions import session_lives
from lbbench.traffic.streams import BUDGET, KEY, THINK, WORK, Streams

CHUNK = 64
"""Rows that a user takes at a time."""


class UserRows(NamedTuple):
    """Requests of one user in order; of several users in `Users.table`, one line each."""

    think: np.ndarray  # float64, seconds from the answer before (first: from 0) to the send
    work: np.ndarray  # float64, seconds of service at speed 1
    key: np.ndarray  # int64, index of the key
    last: np.ndarray  # uint8, 1: the last request of the user's connection
    life: np.ndarray  # float64, seconds that a session lasts which this request begins


class Users:
    """The users of one replication.

    Attributes
    ----------
    count
        How many there are; a user is its number, 0 .. count - 1, and so is its lane.
    client, session
        int64[count], index into the clients and the cookie jars (-1: none).
    """

    def __init__(self, columns: Columns, think: ServiceTime, count: int, streams: Streams) -> None:
        """Prepare ``count`` users; a user's streams (some 10 kB) are opened at its first rows."""
        self.count = count
        self.client = np.arange(count, dtype=np.int64) % columns.clients.count
        self.session = _sessions(self.client, columns.n_sessions, columns.clients.count)
        self._columns = columns
        self._think = think
        self._streams = streams
        self._key_items = columns.keys.inverse().items
        self._draws: dict[int, tuple[Draw, ...]] = {}
        self._taken = np.zeros(count, np.int64)  # chunks that the draws have gone through

    def rows(self, user: int, chunk: int) -> UserRows:
        """Return chunk number ``chunk`` (0, 1, 2, ...) of ``user``: `CHUNK` rows in each column.

        The rows depend on the user and the number alone. To ask in order costs CHUNK draws per
        column; to go back, or to leave chunks out, costs all draws of the user from the first one.
        """
        return UserRows(*(column[0] for column in self.table([user], [chunk])))

    def table(self, users: Sequence[int], chunks: Sequence[int]) -> UserRows:
        """Return `rows` of several users at once: columns of shape [len(users), CHUNK].

        ``chunks`` has the number of the chunk for each of them.
        """
        think, work, uniforms, coins, life = drawn = np.empty((5, len(users), CHUNK))
        self._open([int(user) for user in users if int(user) not in self._draws])
        for i, (user, chunk) in enumerate(zip(users, chunks, strict=True)):
            for values, draw in zip(drawn, self._at(int(user), int(chunk)), strict=True):
                values[i] = draw(CHUNK)
        return UserRows(think, work, self._keys(uniforms), self._last(coins, chunks), life)

    def _at(self, user: int, chunk: int) -> tuple[Draw, ...]:
        """Return the draws of ``user`` where ``chunk`` begins."""
        if chunk < self._taken[user]:
            self._open([user])
        draws = self._draws[user]
        for _ in range(chunk - self._taken[user]):
            for draw in draws:
                draw(CHUNK)
        self._taken[user] = chunk + 1
        return draws

    def _open(self, users: Sequence[int]) -> None:
        """Put the draws of ``users`` at their starts."""
        columns = self._columns
        for user, streams in zip(users, Crowd(self._streams, users).members(), strict=True):
            self._draws[user] = (
                self._think.start(streams, THINK),
                columns.work.start(streams, WORK),
                streams.open(KEY).random if columns.with_keys else np.empty,
                streams.open(BUDGET).random if columns.budget.is_geometric else np.empty,
                session_lives(columns.lifetime, columns.n_sessions, streams),
            )
            self._taken[user] = 0

    def _keys(self, uniforms: np.ndarray) -> np.ndarray:
        if not self._columns.with_keys:
            return np.full(uniforms.shape, -1, np.int64)
        return self._key_items(uniforms.ravel()).reshape(uniforms.shape)

    def _last(self, coins: np.ndarray, chunks: Sequence[int]) -> np.ndarray:
        """Return where the user's connection ends.

        A geometric budget has no memory: every request is the last one with probability 1 / mean.
        """
        budget = self._columns.budget
        if budget.is_geometric:
            return (coins < 1.0 / budget.mean).astype(np.uint8)
        if math.isinf(budget.mean):
            return np.zeros(coins.shape, np.uint8)
        number = np.asarray(chunks, np.int64)[:, None] * CHUNK + np.arange(1, CHUNK + 1)
        return (number % int(budget.mean) == 0).astype(np.uint8)


def _sessions(client: np.ndarray, n_sessions: int, n_clients: int) -> np.ndarray:
    """Return the session of each user: those of client c are c, c + n_clients, ... in turn."""
    own = np.maximum((n_sessions - 1 - client) // n_clients + 1, 0)
    turn = np.arange(len(client), dtype=np.int64) // n_clients
    return np.where(own > 0, client + n_clients * (turn % np.maximum(own, 1)), -1)


def rate_bound(users: int, think: float, work: float, top: Topology) -> float:
    """Return the requests per second that ``users`` users cannot exceed on the pods of ``top``.

    A user needs its think time and the work on the fastest pod for each request (interactive law
    with no waiting), and all pods together serve no more than their capacity. ``think`` and
    ``work`` are the means, seconds.
    """
    fastest = max(pod.speed for pod in top.pods)
    return min(users / (think + work / fastest), capacity(top, work))
