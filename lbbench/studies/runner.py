"""Runs the waiting replications of a schedule on any `concurrent.futures.Executor`."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Executor, Future, wait
from typing import NamedTuple, TypeVar

from lbbench.errors import RunError
from lbbench.model.study import Row
from lbbench.studies.executors import NoWorkers, OverTime, died, slots
from lbbench.studies.point import Task, WrongWorkerError, answer, missing
from lbbench.studies.schedule import Item, Schedule

Made = TypeVar("Made")

AHEAD = 2
"""Tasks given away per free place: one in work, one that is there when it ends."""

MOST_DEATHS = 3
"""Workers that one replication may take with it before it counts as failed."""

PATIENCE = 0.2
"""Seconds between two looks at what has ended, so that Ctrl-C is answered soon."""

LOOK_AGAIN = 5.0
"""Seconds after which the places of an executor are counted again."""

Keep = Callable[[Sequence[Row]], None]
"""Called with the rows that have just ended."""


class _Sent(NamedTuple):
    task: Task
    deaths: int


def run_waiting(
    schedule: Schedule,
    executor: Executor,
    task_of: Callable[[Item], Task],
    keep: Keep,
    *,
    idle: Callable[[], None] | None = None,
) -> None:
    """Run until nothing waits any more; every replication ends in a row.

    Parameters
    ----------
    schedule
        What is to run; it is told what has ended and may add to it.
    executor
        Where. Its tasks are `answer`, which returns what goes wrong in a point as a row.
    task_of
        Makes the task of a replication.
    keep
        Puts rows into the ledger, before the schedule hears of them.
    idle
        Called now and then, at least every `PATIENCE` seconds.

    Raises
    ------
    RunError
        When no worker can be started, or one is of no use, the cluster is lost, or a row cannot be
        kept.
    """
    most, looked = 0, -LOOK_AGAIN
    sent: dict[Future[Row], _Sent] = {}

    def send(task: Task, deaths: int = 0) -> None:
        sent[executor.submit(answer, task)] = _Sent(task, deaths)

    while schedule.waiting or sent:
        if time.monotonic() - looked >= LOOK_AGAIN:  # workers of a cluster come and go
            most, looked = AHEAD * slots(executor), time.monotonic()
        while schedule.waiting and len(sent) < most:
            send(task_of(schedule.waiting.popleft()))
        ended, _ = wait(sent, timeout=PATIENCE, return_when=FIRST_COMPLETED)
        rows, again = [], []
        for future in ended:
            task, deaths = sent.pop(future)
            row = row_of(future, task, deaths)
            if row is None:
                again.append((task, deaths + 1))
            else:
                rows.append(row)
        if rows:
            keep(rows)
        for row in rows:
            schedule.landed(row.content, row.replication, row.status)
        for task, deaths in again:
            send(task, deaths)
        if idle is not None:
            idle()


def row_of(future: Future[Made], task: Task, deaths: int) -> Made | Row | None:
    """Return how a task ended; None when its worker died and it is to be run again."""
    error = CancelledError() if future.cancelled() else future.exception()
    if error is None:
        return future.result()
    if isinstance(error, CancelledError):
        raise RunError(
            "the connection to the workers is lost; give the same command again to go on"
        )
    if isinstance(error, (NoWorkers, WrongWorkerError, ImportError)):  # no point is to blame
        raise RunError(f"a worker cannot run the study: {error}") from error
    if isinstance(error, OverTime):
        text = f"its worker did not answer and was ended, time limit {task.time_limit:g} s: {error}"
        return missing(task, "timeout", text, task.time_limit or 0.0)
    if not died(error):
        return missing(task, "failed", f"{type(error).__name__}: {error}", 0.0)
    if deaths + 1 < MOST_DEATHS:
        return None
    text = f"{MOST_DEATHS} workers died of it, the last one thus: {error}"
    return missing(task, "failed", text, 0.0)
