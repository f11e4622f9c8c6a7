"""Where the points of a study are run: processes of this machine, or a Dask cluster.

Both are a ``concurrent.futures.Executor``, which is all that the runner knows.
"""

from __future__ import annotations

import logging
import os
import re
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, TypeVar

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.studies.processes import NoWorkers, OverTime, Processes, WorkerDied

__all__ = ["NoWorkers", "OverTime", "Processes", "WorkerDied", "dask_executor", "died", "slots"]

T = TypeVar("T")

REACH_S = 10.0
"""A Dask scheduler must answer, and have a worker, within this time."""

LEAVE_S = 0.8
"""A scheduler that hangs delays the end of a study by twice this time at most."""

ADDRESS = re.compile(r"((tcp|tls|ws|wss|ucx)://)?[^/\s]+:\d+/?")

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
    if not ADDRESS.fullmatch(address):  # an empty one would start a cluster on this machine
        raise RunError(
            f"--dask {address!r}: this is no address of a scheduler; give tcp://HOST:PORT, as "
            "dask scheduler prints it"
        )
    with _hushed():
        reach = partial(Client, address, timeout=REACH_S, set_as_default=False)
        try:
            client = _within(REACH_S + 1, reach)
        except (OSError, ImportError, ValueError) as error:
            raise RunError(
                f"--dask {address}: no Dask scheduler answers there ({_first_line(error)}); "
                "start one with: dask scheduler"
            ) from error
        try:
            _check_workers(client, address)
            executor = client.get_executor(pure=False)
            try:
                yield executor
            finally:
                with suppress(OSError):
                    _within(LEAVE_S, partial(executor.shutdown, wait=False))
        finally:
            with suppress(OSError):
                client.close(timeout=LEAVE_S)


def died(error: BaseException) -> bool:
    """Tell whether a task failed because its process did, so that it may be run again."""
    kinds: tuple[type[BaseException], ...] = (WorkerDied, BrokenExecutor)
    distributed = sys.modules.get("distributed")  # not loaded: the error cannot be one of it
    if distributed is not None:
        kinds = (*kinds, distributed.KilledWorker)
    return isinstance(error, kinds)


def slots(executor: Executor) -> int:
    """Return how many tasks can run at once in ``executor``, as things are now.

    Raises
    ------
    RunError
        When a Dask scheduler has been lost.
    """
    if isinstance(executor, Processes):
        return executor.workers
    client = getattr(executor, "_client", None)  # Dask's executor does not tell its size
    if client is not None:
        try:
            return max(sum(client.nthreads().values()), 1)
        except (OSError, RuntimeError, AttributeError) as error:  # by the moment of the loss
            raise RunError(
                "the connection to the Dask scheduler is lost; start it again and go on with the "
                "same command"
            ) from error
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
    try:
        versions = _within(REACH_S, partial(client.run, version, on_error="return"))
    except OSError as error:
        raise RunError(
            f"--dask {address}: a worker does not tell its version of lbbench "
            f"({_first_line(error)}); look at dask worker, start it again"
        ) from error
    for worker, found in sorted(versions.items()):
        if found == __version__:
            continue
        what = f"cannot tell its version of lbbench ({_first_line(found)})"
        if not isinstance(found, BaseException):
            what = f"has {f'lbbench {found}' if found else 'no lbbench'}"
        raise RunError(
            f"--dask {address}: worker {worker} {what} where {__version__} is needed; "
            f"install it there: pip install lbbench=={__version__}"
        )


def _within(seconds: float, function: Callable[[], T]) -> T:
    """Return ``function()``; a scheduler or worker that is there and silent makes Dask wait on."""
    answer: Future[T] = Future()

    def call() -> None:
        try:
            answer.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised in the caller's thread
            answer.set_exception(error)

    threading.Thread(target=call, name="dask", daemon=True).start()
    try:
        return answer.result(seconds)
    except TimeoutError as error:
        raise TimeoutError(str(error) or f"silent for {seconds:g} s") from error


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
