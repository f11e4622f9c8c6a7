"""Runs the league: every job a sweep over its entrants, then the cost of their picks.

Each job is a study of its own (studies/sweep.py): replications run in parallel on the cores, all
entrants meet the same requests, and what has ended is kept in the job's ledger, so that the same
call goes on after Ctrl-C. Picks are timed at the end, one balancer after the other, when nothing
else of the league runs.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbbench import __version__
from lbbench.errors import Interrupted, LbbenchError, RunError
from lbbench.inputs.yaml import shipped
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.studies.executors import Processes
from lbbench.studies.league.figures import Figure
from lbbench.studies.league.jobs import Starters, starters, with_replications
from lbbench.studies.league.pick_cost import picks_per_s, prepare_picks
from lbbench.studies.league.table import JobTable, table_of
from lbbench.studies.machine import machine, usable_cores
from lbbench.studies.point import sentence
from lbbench.studies.run import Engine
from lbbench.studies.sweep import sweep
from lbbench.studies.watching import Standing, Watcher


@dataclass(frozen=True)
class League:
    """What the league found.

    Attributes
    ----------
    tables
        Of the jobs, in their order.
    picks
        Picks per second by entrant and number of endpoints, of one core of this machine.
    no_picks
        Why a balancer's picks could not be timed, by its name.
    """

    tables: tuple[JobTable, ...]
    picks: Mapping[tuple[str, int], Figure]
    no_picks: Mapping[str, str]
    version: str
    machine: Mapping[str, Any]
    created: str
    wall_s: float

    def picks_of(self, table: JobTable, balancer: str) -> Figure:
        """Return the picks per second of a balancer among as many endpoints as a job has pods."""
        return self.picks.get((balancer, endpoints(table.scenario)), Figure(None))


def league(
    scenarios: Sequence[Scenario],
    folder: Path,
    *,
    own: Sequence[str] = (),
    workers: int | None = None,
    engine: Engine = "fast",
    watcher: Watcher | None = None,
    kept: bool = True,
) -> League:
    """Put every entrant to every job and return what came of it.

    Parameters
    ----------
    scenarios
        The jobs; one that asks for a single replication gets `REPLICATIONS`.
    folder
        Where the ledgers are, ``NAME.sqlite``; what they hold already is not run again.
    own
        Balancers of somebody's own that take part on the ingress path, ``FILE.py:NAME``.
    workers
        Processes; as many as this process may use cores when not given.
    kept
        Whether the folder stays when the league is interrupted: the sentence says so.

    Raises
    ------
    LbbenchError
        When a job is no scenario, or fewer than two entrants can do it.
    Interrupted
        At Ctrl-C.
    """
    watcher, started = watcher or Watcher(), time.monotonic()
    twice = next((s.name for i, s in enumerate(scenarios) for t in scenarios[:i]
                  if s.name == t.name), None)  # fmt: skip
    if twice is not None:
        raise RunError(f"{twice}: two jobs have this name; give each its own")
    fields = [starters(one, own) for one in scenarios]
    for one, starting in zip(scenarios, fields, strict=True):
        if not starting.entrants:
            raise RunError(f"{one.name}: nobody can do this job: {_reasons(starting)}")
    tables = []
    for number, (scenario, starting) in enumerate(zip(scenarios, fields, strict=True), 1):
        place = f"job {number} of {len(scenarios)}, {scenario.name}"
        left = len(starting.refused)
        watcher.say(
            f"{place}: {len(starting.entrants)} entrants" + (f", {left} cannot" if left else "")
        )
        with _interrupted(place, folder if kept else None):
            tables.append(
                _job(with_replications(scenario), starting, folder, workers, engine, watcher)
            )
    with _interrupted("the cost of the picks", folder if kept else None):
        picks, no_picks = _picks(tables, Path(scenarios[0].folder), workers, watcher)
    return League(
        tables=tuple(tables),
        picks=picks,
        no_picks=no_picks,
        version=__version__,
        machine=machine(),
        created=dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        wall_s=time.monotonic() - started,
    )


def endpoints(scenario: Mapping[str, Any]) -> int:
    """Return the largest number of pods that a resolved scenario asks for at any time."""
    pods = scenario["cluster"]["pods"]
    first = pods if isinstance(pods, int) else len(pods)
    scaled = [change["scale"]["pods"] for change in scenario.get("timeline") or ()
              if change.get("scale")]  # fmt: skip
    return int(max(first, *scaled, 1))


def ledgers(folder: Path, names: Sequence[str]) -> list[Path]:
    """Return the files that the jobs ``names`` keep in ``folder``."""
    stems = {_stem(name) for name in names}
    return [path for path in sorted(folder.glob("*.sqlite*")) if path.name.split(".sqlite")[0]
            in stems]  # fmt: skip


def _job(
    scenario: Scenario,
    starting: Starters,
    folder: Path,
    workers: int | None,
    engine: Engine,
    watcher: Watcher,
) -> JobTable:
    columns = {
        leaf: [entrant.values[leaf] for entrant in starting.entrants] for leaf in starting.leaves
    }
    topology(scenario)  # what is wrong with the cluster is said before the sweep
    swept = scenario.with_({"sweep": {"zip": columns}})
    with sweep(
        swept, out=folder / f"{_stem(scenario.name)}.sqlite", workers=workers, engine=engine,
        retry=True, watcher=_Quiet(watcher),
    ) as study:  # fmt: skip
        plain = scenario.resolved()
        plain.pop("sweep", None)
        return table_of(study, starting, question=_question(scenario), own_scenario=plain)


def _picks(
    tables: Sequence[JobTable], folder: Path, workers: int | None, watcher: Watcher
) -> tuple[dict[tuple[str, int], Figure], dict[str, str]]:
    """Return the picks per second of everybody who did a job, and why some have none."""
    wanted = {
        (one.entrant.balancer, endpoints(table.scenario))
        for table in tables
        for one in table.standings
    }
    asked = sorted(wanted)
    found: dict[tuple[str, int], Figure] = {}
    failed: dict[str, str] = {}
    with _pool(workers or usable_cores()) as pool:  # compiling, in parallel
        _gone_through("compiling picks", [
            pool.submit(prepare_picks, name, size, str(folder)) for name, size in asked
        ], watcher)  # fmt: skip
    with _pool(1) as pool:  # timing, one by one
        futures = [pool.submit(picks_per_s, name, size, str(folder)) for name, size in asked]
        _gone_through("timing picks", futures, watcher)
        for (name, size), future in zip(asked, futures, strict=True):
            error = future.exception()
            if error is None:
                found[name, size] = future.result()
            else:
                text = str(error) if isinstance(error, LbbenchError) else sentence(error)
                failed[name] = text
    return found, failed


def _gone_through(what: str, futures: Sequence[Future[Any]], watcher: Watcher) -> None:
    """Wait for all; the watcher hears how many have ended."""
    left = set(futures)
    while left:
        watcher.step(what, len(futures) - len(left), len(futures))
        left = wait(left, timeout=0.2).not_done


@contextmanager
def _pool(workers: int) -> Iterator[Processes]:
    pool = Processes(workers)
    try:
        yield pool
    except BaseException:
        pool.kill()
        raise
    pool.shutdown()


class _Quiet(Watcher):
    """Passes on how far a job is, not what its sweep says of its ledger."""

    def __init__(self, watcher: Watcher) -> None:
        self.watcher = watcher

    def step(self, what: str, done: int, total: int | None) -> None:
        """Hear how far ``what`` is."""
        self.watcher.step(what, done, total)

    def stand(self, standing: Standing) -> None:
        """Hear how far the replications are."""
        self.watcher.stand(standing)


@contextmanager
def _interrupted(place: str, folder: Path | None) -> Iterator[None]:
    """Say where the league was interrupted, and whether the same command goes on from there."""
    kept = "nothing was written"
    if folder is not None:
        kept = f"what has ended is in {folder}, the same command goes on from there"
    with suppress(Interrupted):
        try:
            yield
        except KeyboardInterrupt:
            raise Interrupted("") from None
        return
    raise Interrupted(f"interrupted in {place}; {kept}")


def _question(scenario: Scenario) -> str:
    """Return what a shipped scenario asks, in its first line; empty for one's own."""
    path = shipped().get(scenario.name)
    if path is None or path.parent.absolute() != Path(scenario.folder).absolute():
        return ""
    return path.read_text(encoding="utf-8").splitlines()[0].lstrip("# ")


def _stem(name: str) -> str:
    return re.sub(r"[^\w.-]+", "_", name).strip("._") or "job"


def _reasons(starting: Starters) -> str:
    return "; ".join(f"{name}: {reason}" for name, reason in starting.refused.items())
