"""Where the points of a study are run: processes of this machine, or a Dask cluster.

Both are a ``concurrent.futures.Executor``, which is all that the runner knows.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Executor
from contextlib import contextmanager
from typing import Any

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.studies.processes import NoWorkers, OverTime, Processes, WorkerDied

__all__ = ["NoWorkers", "OverTime", "Processes", "WorkerDied", "dask_executor", "died", "slots"]

REACH_S = 10.0
"""A Dask scheduler must answer, and have a worker, within this time."""

CHATTY = ("distributed", "distributed.client", "tornado.application")
"""Loggers of Dask that repeat in many lines what a raised error says, or tell of reconnects."""


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor whose tasks are run by the workers of a Dask cluster.

    The scheduler runs the tasks of dead workers again by itself, and gives up after several
    deaths (``died`` tells). When the scheduler is lost all futures are cancelled. On leaving,
    what is not finished is cancelled.

    Parameters
    ----------
    address
        Of the scheduler, as it prints it: ``tcp://host:port``.

    Raises
    ------
    RunError
        When distributed is not installed, the scheduler cannot be reached, it has no workers, or
        a worker has another version of lbbench.
    """
    try:
        from distributed import Client
    except ImportError as error:
        raise RunError(
            f"--dask {address}: distributed is not installed; pip install lbbench[dask]"
        ) from error
    if not address.strip():
        raise RunError("--dask: the address of the scheduler is empty; give tcp://HOST:PORT")
    with _hushed():
        try:
            client = Client(address, timeout=REACH_S, set_as_default=False)
        except Exception as error:
            raise RunError(
                f"--dask {address}: no Dask scheduler answers within {REACH_S:g} s "
                f"({_first_line(error)}); start one with: dask scheduler"
            ) from error
        try:
            _check_workers(client, address)
            executor = client.get_executor(pure=False)
            try:
                yield executor
            finally:
                executor.shutdown(wait=False)
        finally:
            client.close(timeout=2)


def died(error: BaseException) -> bool:
    """Tell whether a task failed because its process did, so that it may be run again."""
    kinds: tuple[type[BaseException], ...] = (WorkerDied, BrokenExecutor)
    distributed = sys.modules.get("distributed")  # not loaded: the error cannot be one of it
    if distributed is not None:
        kinds = (*kinds, distributed.KilledWorker)
    return isinstance(error, kinds)


def slots(executor: Executor) -> int:
    """Return how many tasks can run at once in ``executor``, as things are now."""
    if isinstance(executor, Processes):
        return executor.workers
    client = getattr(executor, "_client", None)  # Dask's executor does not tell its size
    if client is not None:
        return max(sum(client.nthreads().values()), 1)
    return getattr(executor, "_max_workers", None) or os.cpu_count() or 1


def _check_workers(client: Any, address: str) -> None:
    """Refuse a cluster without workers, or with one that would give other numbers."""

    def version() -> str | None:  # inside, so that it is sent as code: a worker may lack lbbench
        try:
            from lbbench import __version__
        except ImportError:
            return None
        return __version__

    try:
        client.wait_for_workers(1, timeout=REACH_S)
    except TimeoutError as error:
        raise RunError(
            f"--dask {address}: the scheduler has no worker after {REACH_S:g} s; "
            f"start one with: dask worker {address}"
        ) from error
    for worker, found in sorted(client.run(version, on_error="return").items()):
        if found == __version__:
            continue
        what = f"cannot tell its version of lbbench ({_first_line(found)})"
        if not isinstance(found, BaseException):
            what = f"has {f'lbbench {found}' if found else 'no lbbench'}"
        raise RunError(
            f"--dask {address}: worker {worker} {what} where {__version__} is needed; "
            f"install it there: pip install lbbench=={__version__}"
        )


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).partition("\n")[0]


@contextmanager
def _hushed() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in CHATTY]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
