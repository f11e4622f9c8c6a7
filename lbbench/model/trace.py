"""Requests as columns: what traffic makes and the engines consume, block by block."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Trace(NamedTuple):
    """One block of requests in order of arrival; every column has the same length.

    A *lane* is the place where a connection can be open: the client for generated traffic, the
    recorded connection for a replayed trace. A request uses its lane's current connection and opens
    one when there is none; ``last`` ends it.
    """

    arrival: np.ndarray  # float64, seconds from the start; non-decreasing, also across blocks
    work: np.ndarray  # float64, seconds of service at speed 1
    client: np.ndarray  # int64, index into the clients
    lane: np.ndarray  # int64, index of the lane
    key: np.ndarray  # int64, index of the key (what $request_uri takes)
    session: np.ndarray  # int64, index of the cookie jar, -1: none
    last: np.ndarray  # uint8, 1: the connection's last request
    node: np.ndarray  # int64, entry node given by a trace, -1: the balancer chooses
    gap: np.ndarray  # float64, seconds from the answer before it on its connection, whose rows
    # follow each other; -1: the request comes at its `arrival`
    life: np.ndarray  # float64, seconds that a session lasts which this request begins


class Population(NamedTuple):
    """What the requests of all blocks refer to."""

    client_address: np.ndarray  # int64[clients], index into `addresses`
    addresses: tuple[str, ...]  # distinct source addresses (IPv4 or IPv6 text)
    n_lanes: int
    n_sessions: int
    keys: tuple[str, ...] | int  # texts of the keys, or their number n for "/k0" .. "/k<n-1>"
    mean_work: float  # seconds, E[work]
    rate: float  # requests per second, time average
