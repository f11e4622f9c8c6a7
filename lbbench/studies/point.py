"""One replication of one point: what a worker is given, and the row that it gives back.

The only thing that crosses to a worker is plain data (the scenario with the names of its
balancers), the only thing that comes back is a row of the ledger. So it does not matter whether the
worker is a process on this machine or one of a cluster.
"""

from __future__ import annotations

import datetime as dt
import json
import re
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from lbbench import __version__
from lbbench.errors import LbbenchError
from lbbench.model.check import build
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.model.study import Row, Status
from lbbench.studies.content import content_of, files_of
from lbbench.studies.machine import machine
from lbbench.studies.run import Engine, replication, sum_up

Made = TypeVar("Made")

LONGEST = 200
"""Signs of an error that are kept: it is a line of a table."""

NOISE = ("Failed in", "File ", "During:", "- ")
"""Beginnings of the lines in which numba says where it was, not what is wrong."""

LEFT_OUT = ("scenario",)
"""Fields of a result that the ledger keeps elsewhere."""


class Task(NamedTuple):
    """One replication to run."""

    content: str  # of the point, see studies/content.py
    scenario: str  # resolved, as JSON
    folder: str  # that its relative paths start from
    seed: int
    replication: int
    engine: Engine
    version: str  # of the package that plans the study
    whole: bool  # keep the histogram of every segment
    time_limit: float | None  # seconds, compilation left out


class OverTimeError(LbbenchError):
    """A replication that took longer than the study allows."""


class WrongWorkerError(LbbenchError):
    """A worker that would give other numbers than the one that planned the study."""


def answer(task: Task) -> Row:
    """Run one replication and return its row, with the error if it has no result.

    Whatever goes wrong in the point is in the row; only the worker's own death is not.

    Raises
    ------
    WrongWorkerError
        When the worker has another version of lbbench, or sees other files than the planner did.
    """
    return guarded(task, _row)


def guarded(task: Task, make: Callable[[Task, float], Made]) -> Made | Row:
    """Return ``make(task, when it started)``, or a row with the error of what went wrong.

    Raises
    ------
    WrongWorkerError
        As `answer` does.
    """
    started = time.perf_counter()
    if task.version != __version__:
        raise WrongWorkerError(
            f"the worker has lbbench {__version__}, the study {task.version}; install the same "
            "version on both"
        )
    data, folder = json.loads(task.scenario), Path(task.folder)
    if content_of(data, folder) != task.content:
        names = ", ".join(sorted(files_of(data, folder)))
        raise WrongWorkerError(
            f"{names}: the worker in {folder} does not find what was there when the sweep began; "
            "put the same files there, or, when they were edited, give the command again"
        )
    try:
        return make(task, started)
    except OverTimeError as error:
        return missing(task, "timeout", str(error), time.perf_counter() - started)
    except LbbenchError as error:
        return missing(task, "failed", str(error), time.perf_counter() - started)
    except MemoryError:
        text = "not enough memory on the worker; ask for fewer requests or fewer workers"
        return missing(task, "failed", text, time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001  (a balancer of somebody's own may raise anything)
        return missing(task, "failed", sentence(error), time.perf_counter() - started)


def ready() -> None:
    """Import what a replication needs: a worker does so before its first one, untimed."""
    from lbbench.engines import fast, reference  # noqa: F401
    from lbbench.stats import evidence, summary  # noqa: F401
    from lbbench.stats.intervals import student

    student(1)


def missing(task: Task, status: Status, error: str, wall_s: float) -> Row:
    """Return the row of a replication that has no result."""
    return Row(
        content=task.content,
        seed=task.seed,
        replication=task.replication,
        version=task.version,
        status=status,
        error=error,
        wall_s=wall_s,
        compile_s=0.0,
        created=_now(),
        machine=_machine(),
        result=None,
        segments=None,
        histograms=None,
    )


def result_of(row: Row, scenario: Mapping[str, Any] | None = None) -> Result:
    """Return the result that a finished row holds; ``scenario`` is that of its point."""
    document = json.loads(row.result or "{}")
    return Result.from_dict({**document, "scenario": scenario or {}}).timed(
        created=row.created,
        machine=json.loads(row.machine),
        compile_s=row.compile_s,
        wall_s=row.wall_s,
    )


def _row(task: Task, started: float) -> Row:
    from lbbench.stats.evidence import evidence_of, pack

    scenario = scenario_of(task)
    done = replication(
        scenario, task.replication, engine=task.engine, progress=_Limit(task.time_limit)
    )
    result = sum_up(scenario, done)
    outcome = done.outcomes[0]
    segments, histograms = pack(evidence_of(outcome.tally, outcome.shape, whole=task.whole))
    document = result.to_dict(clock=False)
    for name in LEFT_OUT:
        del document[name]
    document["engine"] = result.engine
    return Row(
        content=task.content,
        seed=task.seed,
        replication=task.replication,
        version=__version__,
        status="done",
        error=None,
        wall_s=time.perf_counter() - started - done.compile_s,
        compile_s=done.compile_s,
        created=_now(),
        machine=_machine(),
        result=json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":")),
        segments=segments,
        histograms=histograms,
    )


class _Limit:
    """A progress callback that ends a run at its time limit, wherever it runs.

    It is asked between two blocks of requests. What does not come back from one (a loop without
    end in a balancer) is ended by the executor, which can end a process.
    """

    def __init__(self, seconds: float | None) -> None:
        self.seconds = seconds
        self.started: float | None = time.monotonic()

    def __call__(self, what: str, done: int, total: int | None) -> None:
        if what.startswith("compiling"):
            self.started = None  # compiling does not count
            return
        if self.started is None:
            self.started = time.monotonic()
        if self.seconds is None or time.monotonic() - self.started <= self.seconds:
            return
        of = f" of {total:,}" if total else ""
        raise OverTimeError(
            f"stopped at its time limit of {self.seconds:g} s after {done:,}{of} requests; give "
            "a longer --time-limit with --retry, or ask for fewer requests"
        )


def scenario_of(task: Task) -> Scenario:
    """Return the checked scenario of a task."""
    return _scenario(task.scenario, task.folder)


@lru_cache(maxsize=4)
def _scenario(text: str, folder: str) -> Scenario:
    """Return the checked scenario; the replications of a point come one after the other."""
    return build(json.loads(text), folder=Path(folder))


@lru_cache(maxsize=1)
def _machine() -> str:
    return json.dumps(machine(), sort_keys=True)


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")


def sentence(error: BaseException) -> str:
    """Return an error of somebody's code on one line: what, and in which file and line.

    What a compiler has to say fills a screen; of that its reason is taken, and the line in the file
    that it names last.
    """
    while error.__cause__ is not None and type(error.__cause__) is type(error):
        error = error.__cause__  # SimPy raises a copy of what a process raised
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    reasons = [line for line in lines if not line.startswith(NOISE)]
    reason = " ".join((reasons or lines or [""])[0].split())
    if len(reason) > LONGEST:
        reason = reason[: LONGEST - 3] + "..."
    named = re.findall(r'File "([^"]+)", line ([0-9]+)', str(error))
    place = f"{Path(named[-1][0]).name}:{named[-1][1]}" if named else _place(error)
    return f"{type(error).__name__}: {reason} (in {place})"


def _place(error: BaseException) -> str:
    """Return file and line of where an error came from."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "an unknown place"
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
