"""What a client's requests share: connections and cookie jars, and how long a session lasts.

A lane is the place where a connection can be open; for generated traffic it is the client. A
connection's *budget* is the number of requests that it carries: drawn when the connection is
opened, from a stream of its own, in the order in which connections are opened.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.core.jit import bind
from lbbench.traffic.service import Draw, ServiceTime, always
from lbbench.traffic.streams import BUDGET, LIFETIME, SESSION, Streams, pick_index


@dataclass(frozen=True)
class Budget:
    """How many requests a connection carries: a fixed number, geometric, or without end.

    Attributes
    ----------
    mean
        Requests per connection, at least 1; infinite: the connection stays open.
    is_geometric
        P(k) = (1/mean) (1 - 1/mean)^(k-1), k = 1, 2, ...; variance mean (mean - 1).
    """

    mean: float = 1.0
    is_geometric: bool = False

    def start(self, n_lanes: int, streams: Streams) -> Connections:
        """Return the connections at time 0: none is open."""
        return Connections(self, n_lanes, streams)

    def draw(self, stream: np.random.Generator, n: int) -> np.ndarray:
        """Return the budgets of the next ``n`` connections, int64[n]; the mean is finite."""
        if self.is_geometric:
            return stream.geometric(1.0 / self.mean, n)
        return np.full(n, int(self.mean), np.int64)


class Connections:
    """Tells for every request whether it is the last one of its connection."""

    def __init__(self, budget: Budget, n_lanes: int, streams: Streams) -> None:
        self.budget = budget
        self.stream = streams.open(BUDGET)
        self.drawn = np.zeros(0, np.int64)  # budgets drawn ahead, in order of openings
        self.left = np.zeros(0 if self._is_constant() else n_lanes, np.int64)
        self.always = always(np.uint8(budget.mean == 1.0))
        self.spend: Callable[..., Any] | None = None if self._is_constant() else bind(spend_budgets)

    def _is_constant(self) -> bool:
        return self.budget.mean in (1.0, np.inf)

    def last(self, lane: np.ndarray) -> np.ndarray:
        """Return uint8[n]: 1 where a request of ``lane`` (int64[n]) ends its connection."""
        if self.spend is None:
            return self.always(len(lane))
        missing = len(lane) - len(self.drawn)  # each request may open one
        if missing > 0:
            self.drawn = np.concatenate([self.drawn, self.budget.draw(self.stream, missing)])
        last = np.zeros(len(lane), np.uint8)
        opened = self.spend(lane, self.left, self.drawn, last)
        self.drawn = self.drawn[opened:]
        return last


def spend_budgets(lane: np.ndarray, left: np.ndarray, budgets: np.ndarray, last: np.ndarray) -> int:
    """Mark in ``last`` the requests that end a connection; return how many were opened.

    ``left`` holds what is left of the open connection of each lane (0: none is open) and is brought
    up to date.
    """
    opened = 0
    for i in range(lane.size):
        here = left[lane[i]]
        if here == 0:
            here = budgets[opened]
            opened += 1
        here -= 1
        left[lane[i]] = here
        last[i] = here == 0
    return opened


@dataclass(frozen=True)
class Jars:
    """Which cookie jar a request uses: session j belongs to client j mod the number of clients.

    With as many sessions as clients each client has its own; with fewer, the clients from number
    ``sessions`` on have none (-1) and keep no cookie; with more, a request uses one of its client's
    sessions, each with equal probability.
    """

    sessions: int  # 0: none
    clients: int

    def start(self, streams: Streams) -> JarSampler:
        """Return what draws sessions."""
        return JarSampler(self, streams.open(SESSION))


class JarSampler:
    """Draws the sessions of requests from those of their clients."""

    def __init__(self, jars: Jars, stream: np.random.Generator) -> None:
        self.jars = jars
        self.stream = stream
        self.none = always(-1)

    def draw(self, client: np.ndarray) -> np.ndarray:
        """Return the session of each request, int64[n]; -1: none."""
        sessions, clients = self.jars.sessions, self.jars.clients
        if sessions == 0:
            return self.none(len(client))
        if sessions == clients:
            return client
        if sessions < clients:
            return np.where(client < sessions, client, -1)
        own = (sessions - 1 - client) // clients + 1  # j = client, client + clients, ... < sessions
        drawn: np.ndarray = client + clients * pick_index(self.stream.random(len(client)), own)
        return drawn


def session_lives(lifetime: ServiceTime | None, n_sessions: int, streams: Streams) -> Draw:
    """Return what draws how long a session lasts that a request begins, seconds.

    Every row gets a draw, so that it does not depend on which requests begin one. Infinite without
    a lifetime, and where there is no session.
    """
    if lifetime is None or n_sessions == 0:
        return always(np.inf)
    return lifetime.start(streams, LIFETIME)
