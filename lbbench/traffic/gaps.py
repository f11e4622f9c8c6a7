"""Connections with gaps: the process says when connections begin, answers when requests follow.

Rows come connection by connection: the first row of a connection has its start as the arrival and
the gap -1, the rows that follow have the same arrival, client and session, and the gap from the
answer before them. ``last`` is 1 in the connection's last row and 0 in all others, so a row with
``last`` 0 is always followed by the next one of its connection in the same block.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from lbbench.model.trace import Trace
from lbbench.traffic.arrivals import Clock
from lbbench.traffic.columns import Columns
from lbbench.traffic.service import ServiceTime
from lbbench.traffic.sessions import Budget, Jars, session_lives
from lbbench.traffic.streams import ANSWER_GAP, BUDGET, CLIENT, Streams


def connection_blocks(
    columns: Columns,
    gap: ServiceTime,
    clock: Clock,
    streams: Streams,
    *,
    block: int,
    n_requests: int | None,
    duration: float | None,
) -> Iterator[Trace]:
    """Yield connections that start when ``clock`` says, each with all its requests.

    Parameters
    ----------
    block
        Rows per block; a block ends with a whole connection, so it has fewer, or more where one
        connection has more.
    n_requests
        Rows in all: the last connection ends with this number, even if its budget has more.
    duration
        Seconds; connections that start before it have all their rows.
    """
    gaps = gap.start(streams, ANSWER_GAP)
    work = columns.work.start(streams)
    clients = columns.clients.sampler(streams.open(CLIENT))
    keys = columns.key_draw(streams)
    jars = Jars(columns.n_sessions, columns.clients.count).start(streams)
    lives = session_lives(columns.lifetime, columns.n_sessions, streams)
    ahead = _Budgets(columns.budget, streams)
    made = 0
    ended = False
    while not ended:
        budgets = ahead.take(block)
        start = clock.take(len(budgets))
        if duration is not None:
            start = start[: np.searchsorted(start, duration)]
        ended = len(start) < len(budgets)
        budgets = budgets[: len(start)]
        if n_requests is not None:
            budgets = _cut(budgets, n_requests - made)
            start = start[: len(budgets)]
        n = int(budgets.sum())
        made += n
        ended = ended or made == n_requests
        if n == 0:
            return
        client = clients.draw(len(start))
        is_first, last = _ends(budgets)
        pause = np.full(n, -1.0)
        pause[~is_first] = gaps(n - len(start))
        by_row = np.repeat(client, budgets)
        yield Trace(
            arrival=np.repeat(start, budgets),
            work=work(n),
            client=by_row,
            lane=by_row,
            key=keys(n),
            session=np.repeat(jars.draw(client), budgets),
            last=last,
            node=np.full(n, -1, np.int64),
            gap=pause,
            life=lives(n),
        )


class _Budgets:
    """Budgets of connections in the order of their starts."""

    def __init__(self, budget: Budget, streams: Streams) -> None:
        self.budget = budget
        self.stream = streams.open(BUDGET)
        self.drawn = np.zeros(0, np.int64)  # ahead of those taken

    def take(self, rows: int) -> np.ndarray:
        """Return the budgets of the next connections, as many as fit in ``rows``, at least one."""
        while (missing := rows + 1 - int(self.drawn.sum())) > 0:
            wanted = int(missing / self.budget.mean) + 1
            self.drawn = np.concatenate([self.drawn, self.budget.draw(self.stream, wanted)])
        fit = int(np.searchsorted(np.cumsum(self.drawn), rows, side="right"))
        taken, self.drawn = np.split(self.drawn, [max(fit, 1)])
        return taken


def _cut(budgets: np.ndarray, rows: int) -> np.ndarray:
    """Return the budgets up to ``rows`` rows in all, the last one shortened to it."""
    ends = np.minimum(np.cumsum(budgets), rows)
    kept = ends[: np.searchsorted(ends, rows) + 1]
    return np.diff(kept, prepend=0)


def _ends(budgets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return (is it its connection's first row, bool[n]; is it the last one, uint8[n])."""
    ends = np.cumsum(budgets)
    is_first = np.zeros(ends[-1], np.bool_)
    is_first[ends - budgets] = True
    last = np.zeros(ends[-1], np.uint8)
    last[ends - 1] = 1
    return is_first, last
