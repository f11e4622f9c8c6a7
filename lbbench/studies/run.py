"""One scenario, one result: plan, engine, statistics, for one or several replications."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, NamedTuple

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.model.trace import Population
from lbbench.studies.machine import machine

if TYPE_CHECKING:
    from lbbench.engines.outcome import Outcome
    from lbbench.engines.plan import Plan
    from lbbench.model.objectives import Precision
    from lbbench.model.tally import Tally

Engine = Literal["fast", "reference"]
Progress = Callable[[str, int, int | None], None]
"""Called as progress(what, done, total): what is "compiling NAME (once)" or "simulating"."""

FIRST_REPLICATIONS = 5
"""Replications before `run.precision` is asked for: an interval of fewer is mostly luck."""


class Replications(NamedTuple):
    """What the replications of one scenario gave, before it is summed up."""

    outcomes: list[Outcome]
    populations: list[Population]
    wall_s: float  # planning, traffic and simulation, compilation left out
    compile_s: float
    notes: tuple[str, ...]  # what the traffic or the plan had to put right
    unit: Literal["session", "key"]  # whose pods are remembered
    engine: Engine  # that ran them: not the one asked for where a balancer cannot be compiled


def run(
    scenario: Scenario,
    *,
    engine: Engine = "fast",
    progress: Progress | None = None,
    startup_s: float | None = None,
) -> Result:
    """Return the result of ``scenario`` under its seed.

    Parameters
    ----------
    engine
        ``fast`` or ``reference``; both give the same numbers. What cannot be compiled of somebody's
        own balancer is run by ``reference`` all the same; the result says so.
    progress
        Called now and then.
    startup_s
        Seconds from the start of the process to the parsed scenario, to stand in the result.

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    done = replicate(scenario, engine=engine, progress=progress)
    return sum_up(scenario, done, startup_s=startup_s)


def replicate(
    scenario: Scenario,
    *,
    engine: Engine = "fast",
    progress: Progress | None = None,
    record: bool = False,
) -> Replications:
    """Run the replications of ``scenario``: as many as it says, or until they are precise enough.

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    precision, wanted = scenario.run.precision, first_of(scenario)
    if precision is not None:
        check_precision(precision)
    parts: list[Replications] = []
    while len(parts) < wanted:
        number = len(parts)
        parts.append(
            replication(
                scenario,
                number,
                engine=engine,
                progress=_numbered(progress, number, wanted),
                record=record,
            )
        )
        if precision is not None and len(parts) == wanted < precision.max_replications:
            wanted += int(not _is_precise(together(parts).outcomes, precision))
    done = together(parts)
    if precision is not None and not _is_precise(done.outcomes, precision):
        done = done._replace(notes=(*done.notes, imprecise(precision, wanted)))
    return done


def first_of(scenario: Scenario) -> int:
    """Return how many replications there are before `run.precision` is asked for."""
    precision, asked = scenario.run.precision, scenario.run.replications
    if precision is None:
        return asked
    return min(max(asked, FIRST_REPLICATIONS), precision.max_replications)


def together(parts: Sequence[Replications]) -> Replications:
    """Return the replications of several parts as one."""
    return Replications(
        outcomes=[outcome for part in parts for outcome in part.outcomes],
        populations=[population for part in parts for population in part.populations],
        wall_s=sum(part.wall_s for part in parts),
        compile_s=sum(part.compile_s for part in parts),
        notes=tuple(dict.fromkeys(note for part in parts for note in part.notes)),
        unit=parts[-1].unit,
        engine=parts[-1].engine,
    )


def imprecise(precision: Precision, n: int) -> str:
    """Return the sentence on an interval that ``n`` replications leave too wide."""
    return (
        f"{precision.metric} is not within {precision.relative:.3g} of its value after "
        f"{n} replications; raise run.precision.max_replications or run longer"
    )


def replication(
    scenario: Scenario,
    number: int,
    *,
    engine: Engine = "fast",
    progress: Progress | None = None,
    record: bool = False,
) -> Replications:
    """Run replication ``number`` of ``scenario`` alone.

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    from lbbench.engines.choice import run_plan
    from lbbench.engines.plan import make_plan

    started = time.perf_counter()
    plan = make_plan(scenario, replication=number, keys=record)
    outcome, used, note = run_plan(plan, engine, progress=progress, record=record)
    return Replications(
        outcomes=[outcome],
        populations=[plan.traffic.population],
        wall_s=time.perf_counter() - started - outcome.compile_s,
        compile_s=outcome.compile_s,
        notes=(*([note] if note else []), *notes_of(plan)),
        unit="key" if plan.facts.by_key else "session",
        engine=used,
    )


def sum_up(
    scenario: Scenario,
    done: Replications,
    *,
    startup_s: float | None = None,
    warmup_segments: int | None = None,
) -> Result:
    """Return the result of finished replications.

    ``warmup_segments`` overrides the scenario's, where a comparison wants the same for all.
    """
    from lbbench.stats.summary import summarise

    started = time.perf_counter()
    resolved = scenario.resolved()
    result = summarise(
        [(outcome.tally, outcome.shape) for outcome in done.outcomes],
        scenario=resolved,
        seed=scenario.run.seed,
        version=__version__,
        engine=done.engine,
        slo=scenario.objectives() or None,
        warmup_segments=warmup_segments,
        observed=resolved.get("observed"),
        unit=done.unit,
    )
    result = replace(result, warnings=(*result.warnings, *done.notes))
    return result.timed(
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        machine=machine(),
        startup_s=startup_s,
        compile_s=done.compile_s,
        wall_s=done.wall_s + time.perf_counter() - started,
    )


def warmup_segments(outcomes: Sequence[Outcome]) -> int:
    """Return the segments that are warm-up: as the scenario says, or where the run has settled."""
    from lbbench.stats.intervals import warmup_of

    return warmup_of(tallies(outcomes), outcomes[0].shape)


def tallies(outcomes: Sequence[Outcome]) -> list[Tally]:
    """Return the counts of the replications."""
    return [outcome.tally for outcome in outcomes]


def notes_of(plan: Plan) -> list[str]:
    """Return what the user should know about the traffic and the plan."""
    from lbbench.engines.keys import unknown_variables
    from lbbench.engines.stages import hash_template
    from lbbench.studies.no_effect import without_effect

    notes = list(plan.traffic.notes)
    if plan.scenario.path == "ingress":
        unknown = unknown_variables(hash_template(plan.scenario, plan.pod))
        if unknown:
            notes.append(
                f"stages.ingress.hash_by: {', '.join(unknown)} is not simulated and counts as "
                "empty text"
            )
        checks = plan.scenario.stages.ingress.health_check
        if checks != "none" and "ingress-nginx" in plan.pod.source:
            notes.append(
                f"stages.ingress.health_check: ingress-nginx, which {plan.pod.name} is part of, "
                "has no checks of its own; cluster.pod.readiness takes failing pods out there"
            )
    return [*notes, *without_effect(plan), *_too_late(plan)]


def _too_late(plan: Plan) -> list[str]:
    """Say which changes of the timeline come when no request does any more."""
    traffic, timeline = plan.traffic, plan.scenario.timeline
    end = traffic.duration or (traffic.n_requests or 1) / max(traffic.population.rate, 1e-9)
    late = sorted(change.at for change in timeline if change.at >= end)
    if not late:
        return []
    about = "" if traffic.duration else "about "
    said = (
        f"timeline: {len(late)} of {len(timeline)} changes come after the last request at "
        f"{about}{end:.4g} s, the first at {late[0]:g} s; run longer, or let them come earlier"
    )
    return [said]


def check_precision(precision: Precision) -> None:
    """Refuse a `run.precision` of a metric that has no interval.

    Raises
    ------
    RunError
        With the metrics that have one.
    """
    from lbbench.stats.latency import QUANTILES

    known = [f"latency.{name}" for name in ("mean", *QUANTILES)] + ["error_rate"]
    if precision.metric not in known:
        raise RunError(
            f"run.precision.metric = {precision.metric}: there is no interval for it; those with "
            f"one are {', '.join(known)}"
        )


def _is_precise(outcomes: Sequence[Outcome], precision: Precision) -> bool:
    from lbbench.stats.intervals import is_precise

    first = warmup_segments(outcomes)
    return is_precise(tallies(outcomes), first, precision.metric, precision.relative)


def _numbered(progress: Progress | None, number: int, n: int) -> Progress | None:
    if progress is None or n == 1:
        return progress

    def numbered(what: str, done: int, total: int | None) -> None:
        is_step = not what.startswith("compiling")
        progress(f"{what} ({number + 1} of {n})" if is_step else what, done, total)

    return numbered
