"""How many pods, nodes or requests per second, for objectives, with the real balancers."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from lbbench.errors import RunError
from lbbench.inputs.load_profile import Profile, read_profile
from lbbench.model.scenario import Scenario
from lbbench.studies.executors import Processes
from lbbench.studies.interrupt import interruptible
from lbbench.studies.machine import usable_cores
from lbbench.studies.planning import reasons, words
from lbbench.studies.planning.case import cluster_of
from lbbench.studies.planning.document import Plan, block
from lbbench.studies.planning.driver import Asking, Here, Need, Runs, drive
from lbbench.studies.planning.headroom import minus_one
from lbbench.studies.planning.hours import Answers, Bounds, at_peak, at_rate, by_hour
from lbbench.studies.planning.judging import LOOKS, Objective, objectives_of
from lbbench.studies.planning.loss import Unit, check_loss
from lbbench.studies.planning.planner import Planner
from lbbench.studies.planning.subject import Kind, Subject, subject_of
from lbbench.studies.planning.watching import Watcher
from lbbench.studies.point import ready
from lbbench.studies.run import Engine
from lbbench.studies.variants import with_balancer


def plan(
    scenario: Scenario,
    *,
    objective: Mapping[str, object] | None = None,
    for_: Kind = "pods",
    survive: Unit | None = None,
    balancers: Sequence[str] | None = None,
    profile: str | Path | None = None,
    workers: int | None = None,
    engine: Engine = "fast",
    watcher: Watcher | None = None,
) -> Plan:
    """Return the least (of a rate: the greatest) value that meets every objective with confidence.

    Parameters
    ----------
    scenario
        A `utilisation` in it is resolved to a rate once, at its own pods. How many replications are
        run follows from the evidence; `run.replications` and `run.precision` do not count.
    objective
        Limit by metric, ``{"latency.p99": "250ms"}``; the scenario's ``slo`` when not given.
    for_
        What is looked for: pods, nodes, rate, or concurrency (places per pod).
    survive
        The objectives must hold without the largest pod, or any one node or zone, as well.
    profile
        A file of hourly rates, or an access log: the answer is that of the highest rate, and every
        hour has its own beside it.
    balancers
        One search for each, under the same requests; the scenario's own when not given.
    workers
        Processes; as many as this process may use cores when not given. With 1 all is run in this
        process.
    engine
        ``fast`` or ``reference``.
    watcher
        Hears how it goes.

    Raises
    ------
    RunError
        When nothing is asked for, or it cannot be asked of this scenario.
    LbbenchError
        When a scenario cannot be run.
    Interrupted
        At Ctrl-C.
    """
    started = time.perf_counter()
    watcher = watcher or Watcher()
    objectives = _objectives(scenario, objective)
    hours: Profile | None = None
    if profile is not None:
        if for_ == "rate":
            raise RunError("--profile gives the rates, so --for rate asks for what is given")
        hours = read_profile(profile)
        scenario = at_peak(scenario, hours)
    subjects = {
        name: subject_of(each, for_) for name, each in _variants(scenario, balancers).items()
    }
    for subject in subjects.values():
        check_loss(subject.base, survive)
    first = next(iter(subjects.values()))
    with interruptible(lambda: "interrupted; nothing was written"), _executor(workers) as executor:
        runs = Runs(
            executor,
            folder=str(scenario.folder),
            seed=first.base.run.seed,
            engine=engine,
        )
        searches: dict[str, Asking[_Answer]] = {
            name: _search(_Question(name, subject, objectives, survive), runs, watcher, hours)
            for name, subject in subjects.items()
        }
        warm = {}
        if engine == "fast":
            warm = {name: cluster_of(subject.base).scenario for name, subject in subjects.items()}
            for name in warm:
                watcher.tries(name, "loading its kernel (compiled once)")
        found = drive(
            searches,
            runs,
            warm=warm,
            idle=lambda: watcher.stand(len(runs.samples), len(runs.asked)),
        )
    return Plan(
        subject=first,
        objectives=objectives,
        survive=survive,
        answers={name: found[name].block for name in subjects},
        profile=None if hours is None else _by_hour(hours, found),
        notes=(
            *(_slow(subject.base for subject in subjects.values()) if engine == "fast" else ()),
            *_remarks(first.base),
            *_unused(scenario),
            *(() if hours is None else hours.notes),
        ),
        wall_s=time.perf_counter() - started,
        replications=len(runs.samples),
        profile_file=None if profile is None else str(profile),
        engine=engine,
    )


class _Question(NamedTuple):
    """What is asked for one balancer."""

    balancer: str
    subject: Subject
    objectives: tuple[Objective, ...]
    survive: Unit | None


class _Answer(NamedTuple):
    """What one balancer needs: its part of the document, and the number by rate."""

    block: dict[str, Any]
    by_rate: Answers


def _search(
    question: _Question, runs: Runs, watcher: Watcher, hours: Profile | None
) -> Generator[Need, None, _Answer]:
    """Search one balancer's answer, what stands beside it, and the answers of other hours."""
    name, subject, objectives, survive = question

    def tell(text: str) -> None:
        watcher.tries(name, text)

    planner = Planner(subject, objectives, survive, runs, tell)
    found = yield from planner.find()
    minus = None
    if found.number is None:
        loaded = _last_loaded(planner)
    else:
        cluster, judged = found.decided[found.number].parts[0]
        loaded = reasons.most_loaded(runs.of(cluster, judged.replications))
        minus = yield from minus_one(planner, found.number)
    made = block(planner, name, found, minus, loaded)
    watcher.answered(name, made["sentence"])
    by_rate: Answers = {}
    if hours is not None:

        def planner_at(rate: float, bounds: Bounds) -> Planner:
            def tell_hour(text: str) -> None:
                tell(f"{words.number(rate)}/s, {text}")

            asked = at_rate(subject, rate)
            return Planner(asked, objectives, survive, runs, tell_hour, bounds)

        rates = [hour.rate for hour in hours.hours]
        by_rate = yield from by_hour(planner_at, rates, found.number)
    return _Answer(made, by_rate)


def _by_hour(hours: Profile, found: Mapping[str, _Answer]) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "hour": hour.name,
            "rate_per_s": hour.rate,
            "answers": {name: answer.by_rate[hour.rate] for name, answer in found.items()},
        }
        for hour in hours.hours
    )


def _remarks(scenario: Scenario) -> list[str]:
    """Return what the user should know about the traffic and the timeline."""
    from lbbench.engines.plan import make_plan
    from lbbench.studies.run import notes_of

    return notes_of(make_plan(scenario))


def _slow(scenarios: Iterable[Scenario]) -> list[str]:
    """Return a sentence on each balancer that is not compiled."""
    from lbbench.engines.choice import why_readable
    from lbbench.engines.plan import make_plan

    told = (why_readable(make_plan(scenario)) for scenario in scenarios)
    return [sentence for sentence in told if sentence is not None]


def _unused(scenario: Scenario) -> list[str]:
    """Return what the file says about replications, which a plan does not go by."""
    run = scenario.run
    given = {"run.replications": run.replications > 1, "run.precision": run.precision is not None}
    names = [name for name, is_given in given.items() if is_given]
    if not names:
        return []
    said = (
        f"{' and '.join(names)} {'do' if len(names) > 1 else 'does'} not count here: a plan runs "
        f"as many replications as its verdicts take, {LOOKS[0]} to {LOOKS[-1]} of a value"
    )
    return [said]


def _last_loaded(planner: Planner) -> dict[str, Any] | None:
    """Return the busiest pod of the largest value that was run."""
    ran = [decided for decided in planner.decided.values() if decided.parts]
    if not ran:
        return None
    cluster, judged = max(ran, key=lambda decided: decided.number).parts[0]
    return reasons.most_loaded(planner.runs.of(cluster, judged.replications))


def _objectives(
    scenario: Scenario, objective: Mapping[str, object] | None
) -> tuple[Objective, ...]:
    given = scenario.slo if objective is None else objective
    if not given:
        raise RunError(
            f"{scenario.name}: there is no objective; give for instance --slo latency.p99=250ms, "
            "or slo in the scenario"
        )
    try:
        return objectives_of(given)
    except ValueError as error:
        raise RunError(f"--slo {error}") from None


def _variants(scenario: Scenario, balancers: Sequence[str] | None) -> dict[str, Scenario]:
    """Return the scenario of every balancer, by its name."""
    if scenario.path == "service":
        if balancers is not None:
            raise RunError(
                f"{scenario.name}: path = service has no ingress balancer; plan without --balancers"
            )
        return {scenario.stages.kube_proxy.mode: scenario}
    if balancers is None:
        return {scenario.stages.ingress.balancer: scenario}
    names = [name.strip() for name in balancers if name.strip()]
    if not names or len(set(names)) < len(names):
        raise RunError(
            f"--balancers {','.join(balancers)}: name each balancer once, for instance "
            "round_robin,ewma"
        )
    from lbbench.engines.stages import ingress_stage

    made = {name: with_balancer(scenario, name).scenario for name in names}
    for each in made.values():
        ingress_stage(each)
    return made


@contextmanager
def _executor(workers: int | None) -> Iterator[Any]:
    """Yield where replications run; whatever happens, nothing of it runs on afterwards."""
    count = usable_cores() if workers is None else workers
    if count < 1:
        raise RunError(f"workers = {count}: must be at least 1")
    if count == 1:
        yield Here()
        return
    processes = Processes(count, initializer=ready)
    try:
        yield processes
    except BaseException:
        processes.kill()
        raise
    processes.shutdown()
