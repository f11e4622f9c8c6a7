"""Recorded requests played back: from the columns of a trace to the requests of a run.

What a trace leaves out comes from the scenario, drawn as for generated traffic.
"""

from __future__ import annotations

import numpy as np

from lbbench.model.trace import Population, Trace
from lbbench.traffic.columns import Columns
from lbbench.traffic.recorded import Recorded
from lbbench.traffic.service import always
from lbbench.traffic.sessions import Jars, session_lives
from lbbench.traffic.streams import CLIENT, Streams


def replayed(recorded: Recorded, columns: Columns, streams: Streams) -> tuple[Trace, Population]:
    """Return all requests of a trace as one block, and whom they refer to.

    The lane is the recorded connection, which ends with the last request that names it. A request
    without a connection opens one of its own. Other columns that the trace leaves out are drawn as
    ``columns`` says, the client once per connection.
    """
    n = len(recorded.arrival)
    client, n_clients = _clients(recorded, columns, streams)
    lane, n_lanes = _lanes(recorded, client, n_clients)
    keys: tuple[str, ...] | int = recorded.keys
    key = recorded.key
    if key is None:
        key, keys = columns.key_draw(streams)(n), columns.keys.count
    session, n_sessions = recorded.session, recorded.n_sessions
    if session is None:
        n_sessions = columns.n_sessions
        session = Jars(n_sessions, n_clients).start(streams).draw(client)
    work = columns.work.start(streams)(n) if recorded.work is None else recorded.work
    nowhere = np.full(n, -1, np.int64)
    trace = Trace(
        arrival=recorded.arrival,
        work=work,
        client=client,
        lane=lane,
        key=key,
        session=session,
        last=_is_last(lane, n_lanes, recorded.connection),
        node=nowhere if recorded.node is None else recorded.node,
        gap=always(-1.0)(n),
        life=session_lives(columns.lifetime, n_sessions, streams)(n),
    )
    is_known = recorded.client is not None
    end = float(recorded.arrival[-1])
    return trace, Population(
        client_address=recorded.client_address if is_known else columns.client_address,
        addresses=recorded.addresses if is_known else columns.addresses,
        n_lanes=n_lanes,
        n_sessions=n_sessions,
        keys=keys,
        mean_work=columns.work.mean if recorded.work is None else float(work.mean()),
        rate=n / end if end > 0.0 else float(n),
    )


def _clients(recorded: Recorded, columns: Columns, streams: Streams) -> tuple[np.ndarray, int]:
    if recorded.client is not None:
        return recorded.client, len(recorded.client_address)
    sampler = columns.clients.sampler(streams.open(CLIENT))
    n = len(recorded.arrival)
    if recorded.connection is None:
        return sampler.draw(n), columns.clients.count
    by_connection = sampler.draw(recorded.n_connections)
    singly = sampler.draw(n)
    named = recorded.connection >= 0
    singly[named] = by_connection[recorded.connection[named]]
    return singly, columns.clients.count


def _lanes(recorded: Recorded, client: np.ndarray, n_clients: int) -> tuple[np.ndarray, int]:
    """Return the lanes; requests without a connection take one of their client, after the rest."""
    connection = recorded.connection
    if connection is None:
        return client, n_clients
    unnamed = connection < 0
    if not unnamed.any():
        return connection, recorded.n_connections
    lanes = np.where(unnamed, recorded.n_connections + client, connection)
    return lanes, recorded.n_connections + n_clients


def _is_last(lane: np.ndarray, n_lanes: int, connection: np.ndarray | None) -> np.ndarray:
    if connection is None:
        return np.ones(len(lane), np.uint8)
    final = np.zeros(n_lanes, np.int64)
    np.maximum.at(final, lane, np.arange(len(lane)))
    is_last: np.ndarray = (final[lane] == np.arange(len(lane))) | (connection < 0)
    return is_last.astype(np.uint8)
