"""Runs a study: every point of a scenario's axes, each replication once, whatever happens.

The parent plans, hands out tasks and writes the ledger; nobody else does. Every replication is
committed as it ends, so a crash costs those in work and no more, and the same call goes on.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.model.objectives import Precision
from lbbench.model.scenario import Scenario
from lbbench.model.study import Member, Row
from lbbench.store.ledger import Ledger
from lbbench.studies.beginning import (
    Begun,
    OtherVersion,
    begin,
    loose_options,
    members_of,
    wanted_of,
)
from lbbench.studies.content import as_text
from lbbench.studies.executors import NoWorkers, Processes, dask_executor
from lbbench.studies.gathered import gathered
from lbbench.studies.interrupt import interruptible
from lbbench.studies.machine import usable_cores
from lbbench.studies.point import Task, ready, result_of
from lbbench.studies.run import Engine, check_precision, imprecise
from lbbench.studies.runner import run_waiting
from lbbench.studies.schedule import Item, Schedule
from lbbench.studies.study import Study, preferred
from lbbench.studies.warm import kernels_of, prepare
from lbbench.studies.watching import Best, Standing, Watcher, headline, is_better

GRACE = 120.0
"""Seconds beyond the time limit after which a worker that does not answer is ended: time enough to
compile what a point needs, which does not count."""


def sweep(
    scenario: Scenario,
    *,
    out: str | Path,
    workers: int | None = None,
    dask: str | None = None,
    engine: Engine = "fast",
    time_limit: float | None = None,
    other_version: OtherVersion = "ask",
    retry: bool = False,
    yes: bool = False,
    watcher: Watcher | None = None,
) -> Study:
    """Run what is missing of the study of ``scenario`` in the ledger ``out``.

    Parameters
    ----------
    scenario
        With ``sweep``; each point gets ``run.replications``, or as many as `run.precision` asks
        for.
    out
        The ledger (SQLite); made when it is not there.
    workers
        Processes; as many as this process may use cores when not given.
    dask
        Address of a Dask scheduler, ``tcp://...``: its workers run the points instead.
    time_limit
        Seconds that one replication may take, compilation left out.
    other_version
        What to do with results of another version of the package.
    retry
        Run again what failed or ran out of time.
    yes
        Take a grid of more than a million points.
    watcher
        Hears how it goes.

    Raises
    ------
    ScenarioError
        When an axis cannot be swept, before anything is run or written.
    RunError
        When the ledger is in use, cannot be written, or holds results of another version.
    Interrupted
        At Ctrl-C; what was finished is kept.
    """
    watcher = watcher or Watcher()
    if workers is not None and dask is not None:
        raise RunError("workers and dask both say where the points run; give one of them")
    if scenario.run.precision is not None:
        check_precision(scenario.run.precision)
    members = members_of(scenario, yes=yes, progress=watcher.step)
    path = Path(out)
    is_new = not path.exists()
    with Ledger.open(path, write=True) as ledger:
        begun = begin(ledger, scenario, members, other_version)
        watcher.say(begun.sentence(path.name))
        running = _Running(scenario, ledger, members, begun, watcher, retry=retry)
        limit = None if time_limit is None else time_limit + GRACE
        with interruptible(running.interrupted):
            if not running.schedule.waiting:
                running.note()
            else:
                try:
                    with _executor(workers, dask, limit) as executor:
                        running.note()
                        is_new = False
                        running.run(executor, engine, time_limit)
                except BaseException:
                    if is_new:  # nothing was begun, so no file stays
                        ledger.discard()
                    raise
            running.tell()
    return Study.open(path)


class _Running:
    """A sweep at work: its schedule, its ledger, who hears of it."""

    def __init__(
        self,
        scenario: Scenario,
        ledger: Ledger,
        members: Sequence[Member],
        begun: Begun,
        watcher: Watcher,
        *,
        retry: bool,
    ) -> None:
        self.scenario, self.ledger, self.watcher = scenario, ledger, watcher
        self.plan, self.versions, self.files = members, begun.versions, begun.files
        ended = {k: status for k, status in begun.ended.items() if status == "done" or not retry}
        self.members = {member.content: member for member in members}
        precision = scenario.run.precision
        wanted = wanted_of(scenario)
        is_precise = None if precision is None else self._is_precise
        self.schedule = Schedule(members, ended, wanted, is_precise)
        self.found = self.schedule.n_ended
        self.failed = sum(status != "done" for status in ended.values())
        self.metric = headline(scenario)
        self.best: Best | None = None

    def note(self) -> None:
        """Write down what the study is from now on."""
        self.ledger.plan(
            self.plan,
            {
                "scenario": as_text(self.scenario.resolved()),
                "versions": as_text(list(self.versions)),
                "files": as_text(self.files),
                "at_first": str(self.schedule.wanted.at_first),
                "sizes": as_text(self._sizes()),
            },
        )

    def run(self, executor: Any, engine: Engine, time_limit: float | None) -> None:
        """Compile what is needed once, then run all that waits."""
        if engine == "fast":
            self._warm(executor)
        try:
            run_waiting(
                self.schedule,
                executor,
                lambda item: self._task(item, engine, time_limit),
                self._keep,
                idle=self._stand,
            )
        finally:
            self.ledger.note("sizes", as_text(self._sizes()))

    def _sizes(self) -> dict[str, int]:
        """Return how many replications each point has by now, of those that differ in that."""
        at_first = self.schedule.wanted.at_first
        return {
            member.content: size
            for group, size in zip(self.schedule.groups, self.schedule.sizes, strict=True)
            for member in group
            if size != at_first
        }

    def interrupted(self) -> str:
        """Return the sentence that says what is kept and how to go on."""
        return (
            f"interrupted; {self.schedule.n_ended:,} of {self.schedule.total:,} replications are "
            f"in {self.ledger.path}, the same command goes on from there"
        )

    def tell(self) -> None:
        """Say which points are not as precise as asked, and how many have no result."""
        precision, schedule = self.scenario.run.precision, self.schedule
        if precision is not None:
            vague = sum(
                size == schedule.wanted.at_most and not self._is_precise(group, size)
                for group, size in zip(schedule.groups, schedule.sizes, strict=True)
            )
            if vague:
                told = imprecise(precision, schedule.wanted.at_most)
                self.watcher.say(f"in {vague:,} conditions {told}")
        loose = loose_options(self.scenario)
        if loose:
            self.watcher.say(
                f"stages.ingress.options: {', '.join(loose)} went to the balancers that have "
                f"{'them' if len(loose) > 1 else 'it'}"
            )
        invalid = sum(member.invalid is not None for member in self.members.values())
        if invalid:
            self.watcher.say(f"{invalid:,} combinations are no scenario; the study names them")
        if self.failed:
            self.watcher.say(
                f"{self.failed:,} replications have no result; the study holds their errors, "
                "--retry runs them again"
            )

    def _warm(self, executor: Any) -> None:
        """Let the workers compile each kind of kernel once, before all of them need it."""
        waiting = {item.member.content: item.member for item in self.schedule.waiting}
        kinds = {kernels_of(json.loads(member.scenario)): member for member in waiting.values()}
        futures = [
            executor.submit(prepare, member.scenario, str(self.scenario.folder))
            for member in kinds.values()
        ]
        for done, future in enumerate(futures):
            self.watcher.step("preparing", done, len(futures))
            while not _is_over(future):
                self.watcher.step("preparing", done, len(futures))
            if not future.cancelled() and isinstance(future.exception(), NoWorkers):
                future.result()

    def _task(self, item: Item, engine: Engine, time_limit: float | None) -> Task:
        return Task(
            content=item.member.content,
            scenario=item.member.scenario,
            folder=str(self.scenario.folder),
            seed=self.scenario.run.seed,
            replication=item.replication,
            engine=engine,
            version=__version__,
            whole=self.schedule.wanted.at_most == 1,
            time_limit=time_limit,
        )

    def _keep(self, rows: Sequence[Row]) -> None:
        self.ledger.write(rows)
        for row in rows:
            if row.status != "done":
                self.failed += 1
                continue
            member = self.members[row.content]
            value = result_of(row).metric(self.metric)
            best = self.best
            if value is not None and (best is None or is_better(self.metric, value, best.value)):
                self.best = Best(self.metric, value, member)

    def _stand(self) -> None:
        schedule = self.schedule
        self.watcher.stand(
            Standing(schedule.n_ended, schedule.total, self.found, self.failed, self.best)
        )

    def _is_precise(self, members: Sequence[Member], n: int) -> bool:
        """Tell whether the first ``n`` replications of every member are precise enough."""
        from lbbench.stats.intervals import is_precise

        precision, seed = self.scenario.run.precision, self.scenario.run.seed
        assert isinstance(precision, Precision)
        rows = {
            member.number: preferred(self.ledger.rows(member.content, seed), self.versions, n)
            for member in members
        }
        first, evidence = gathered(rows)
        return all(
            is_precise(list(found.values()), first, precision.metric, precision.relative)
            for found in evidence.values()
            if found
        )


@contextmanager
def _executor(workers: int | None, dask: str | None, limit: float | None) -> Iterator[Any]:
    """Yield where the points run; whatever happens, nothing of it runs on afterwards."""
    if dask is not None:
        with dask_executor(dask) as executor:
            yield executor
        return
    processes = Processes(workers or usable_cores(), time_limit=limit, initializer=ready)
    try:
        yield processes
    except BaseException:
        processes.kill()
        raise
    processes.shutdown()


def _is_over(future: Any) -> bool:
    """Wait a moment for ``future``; tell whether it has ended."""
    from concurrent.futures import wait

    return bool(wait([future], timeout=0.2).done)
