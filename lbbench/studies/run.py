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
        ``fast`` or ``reference``; both give the same numbers.
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
    return sum_up(scenario, done, engine=engine, startup_s=startup_s)


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
    from lbbench.engines.plan import make_plan

    engine_run = _engine(engine)
    precision = scenario.run.precision
    wanted = scenario.run.replications
    if precision is not None:
        _check_precision(precision)
        wanted = min(max(wanted, FIRST_REPLICATIONS), precision.max_replications)
    started = time.perf_counter()
    outcomes: list[Outcome] = []
    populations: list[Population] = []
    notes: dict[str, None] = {}
    by_key = 0
    while len(outcomes) < wanted:
        number = len(outcomes)
        plan = make_plan(scenario, replication=number, keys=record)
        notes |= dict.fromkeys(notes_of(plan))
        by_key = plan.facts.by_key
        outcomes.append(
            engine_run(plan, progress=_numbered(progress, number, wanted), record=record)
        )
        populations.append(plan.traffic.population)
        if precision is not None and len(outcomes) == wanted < precision.max_replications:
            wanted += int(not _is_precise(outcomes, precision))
    if precision is not None and not _is_precise(outcomes, precision):
        notes[
            f"{precision.metric} is not within {precision.relative:.3g} of its value after "
            f"{len(outcomes)} replications; raise run.precision.max_replications or run longer"
        ] = None
    compile_s = sum(outcome.compile_s for outcome in outcomes)
    wall_s = time.perf_counter() - started - compile_s
    unit: Literal["session", "key"] = "key" if by_key else "session"
    return Replications(outcomes, populations, wall_s, compile_s, tuple(notes), unit)


def sum_up(
    scenario: Scenario,
    done: Replications,
    *,
    engine: Engine = "fast",
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
        engine=engine,
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


def _engine(name: Engine) -> Callable[..., Outcome]:
    if name == "fast":
        from lbbench.engines import fast

        return fast.run
    from lbbench.engines import reference

    return reference.run


def notes_of(plan: Plan) -> list[str]:
    """Return what the user should know about the traffic and the plan."""
    from lbbench.engines.keys import unknown_variables

    notes = list(plan.traffic.notes)
    if plan.scenario.path == "ingress":
        unknown = unknown_variables(plan.scenario.stages.ingress.hash_by)
        if unknown:
            notes.append(
                f"stages.ingress.hash_by: {', '.join(unknown)} is not simulated and counts as "
                "empty text"
            )
    return [*notes, *_too_late(plan)]


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


def _check_precision(precision: Precision) -> None:
    from lbbench.stats.latency import QUANTILES

    known = [f"latency.{name}" for name in ("mean", *QUANTILES)] + ["error_rate"]
    if precision.metric not in known:
        raise RunError(
            f"run.precision.metric = {precision.metric}: there is no interval for it; those with "
            f"one are {', '.join(known)}"
        )


def _is_precise(outcomes: Sequence[Outcome], precision: Precision) -> bool:
    """Tell whether half the interval of the metric is within the asked share of its value."""
    from lbbench.stats.intervals import estimate, interval, units_of

    units = units_of(tallies(outcomes), warmup_segments(outcomes))
    name = precision.metric.removeprefix("latency.")
    found, value = interval(units, name), estimate(units, name)
    if found is None or value is None:
        return False
    return (found[1] - found[0]) / 2.0 <= precision.relative * value


def _numbered(progress: Progress | None, number: int, n: int) -> Progress | None:
    if progress is None or n == 1:
        return progress

    def numbered(what: str, done: int, total: int | None) -> None:
        is_step = not what.startswith("compiling")
        progress(f"{what} ({number + 1} of {n})" if is_step else what, done, total)

    return numbered
