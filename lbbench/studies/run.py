"""One scenario, one result: plan, engine, statistics, for one or several replications."""

from __future__ import annotations

import datetime
import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple

import lbbench
from lbbench.engines import fast, reference
from lbbench.engines.outcome import Outcome
from lbbench.engines.plan import make_plan
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.stats.summary import summarise

Engine = Literal["fast", "reference"]
Progress = Callable[[str, int, int | None], None]


class Replications(NamedTuple):
    """What the replications of one scenario gave, before it is summed up."""

    outcomes: list[Outcome]
    resolved: Mapping[str, Any]
    wall_s: float
    compile_s: float
    notes: tuple[str, ...]


def run(
    scenario: Scenario,
    *,
    engine: Engine = "fast",
    progress: Progress | None = None,
    record: bool = False,
    startup_s: float | None = None,
) -> Result:
    """Return the result of ``scenario`` under its seed.

    Parameters
    ----------
    engine
        ``fast`` or ``reference``; both give the same numbers.
    progress
        Called as ``progress(what, done, total)`` now and then.
    record
        Keep one row per request (see `run_recorded`).

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    done = replicate(scenario, engine=engine, progress=progress, record=record)
    return sum_up(scenario, done, engine=engine, startup_s=startup_s)


def run_recorded(
    scenario: Scenario, *, engine: Engine = "fast", progress: Progress | None = None,
    startup_s: float | None = None,
) -> tuple[Result, list[Mapping[str, Any]]]:  # fmt: skip
    """Return the result and, per replication, one row per request as columns."""
    done = replicate(scenario, engine=engine, progress=progress, record=True)
    records = [outcome.records or {} for outcome in done.outcomes]
    return sum_up(scenario, done, engine=engine, startup_s=startup_s), records


def replicate(
    scenario: Scenario,
    *,
    engine: Engine = "fast",
    progress: Progress | None = None,
    record: bool = False,
) -> Replications:
    """Run every replication of ``scenario``; the wall time leaves compilation out."""
    engine_run = fast.run if engine == "fast" else reference.run
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    notes: dict[str, None] = {}
    n = scenario.run.replications
    for number in range(n):
        plan = make_plan(scenario, replication=number)
        notes |= dict.fromkeys(plan.traffic.notes)
        outcomes.append(engine_run(plan, progress=_numbered(progress, number, n), record=record))
    compile_s = sum(outcome.compile_s for outcome in outcomes)
    wall_s = time.perf_counter() - started - compile_s
    return Replications(outcomes, scenario.resolved(), wall_s, compile_s, tuple(notes))


def sum_up(
    scenario: Scenario,
    done: Replications,
    *,
    engine: Engine = "fast",
    startup_s: float | None = None,
    warmup_segments: int | None = None,
) -> Result:
    """Return the result of finished replications."""
    started = time.perf_counter()
    observed = done.resolved.get("observed")
    result = summarise(
        [(outcome.tally, outcome.shape) for outcome in done.outcomes],
        scenario=done.resolved,
        seed=scenario.run.seed,
        version=lbbench.__version__,
        engine=engine,
        slo=scenario.objectives() or None,
        warmup_segments=warmup_segments,
        observed=observed,
    )
    wall_s = done.wall_s + time.perf_counter() - started
    return result.timed(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        machine=machine(),
        startup_s=startup_s,
        compile_s=done.compile_s,
        wall_s=wall_s,
    )


def machine() -> dict[str, Any]:
    """Return what a timing depends on: processor, cores, system, versions."""
    import numba
    import numpy as np

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "numba": numba.__version__,
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:  # noqa: PTH123
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or "unknown"


def _numbered(progress: Progress | None, number: int, n: int) -> Progress | None:
    if progress is None or n == 1:
        return progress

    def numbered(what: str, done: int, total: int | None) -> None:
        progress(f"{what} ({number + 1} of {n})", done, total)

    return numbered
