"""What a sweep would do: how many points, what of them is there, how long the rest may take."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbbench.errors import LbbenchError
from lbbench.model.scenario import Scenario
from lbbench.store.ledger import Ledger
from lbbench.studies.beginning import Begun, OtherVersion, begin, members_of, wanted_of
from lbbench.studies.check import REQUESTS_PER_S, forecast
from lbbench.studies.machine import usable_cores
from lbbench.studies.schedule import Schedule, conditions
from lbbench.studies.watching import Watcher

AROUND = 0.05
"""Seconds around the simulation of a replication: its plan, its statistics, the ledger."""

START = 5.0
"""Seconds until workers have started and have their code loaded."""

ASKED = 8
"""Points whose time is estimated; the others are taken to be like them."""


@dataclass(frozen=True)
class Ahead:
    """A sweep before it is run.

    Attributes
    ----------
    name
        Of the ledger's file.
    axes
        Values by leaf, in the order in which they are gone through.
    points, conditions, replications
        How many there are; replications without those that `run.precision` may add.
    missing
        Replications that would be run.
    invalid
        How often each reason makes a combination no scenario.
    begun
        What the ledger has; None without one.
    workers, seconds
        Rough estimate of the time with so many processes.
    """

    name: str
    axes: dict[str, list[Any]]
    points: int
    conditions: int
    replications: int
    missing: int
    invalid: dict[str, int]
    begun: Begun | None
    workers: int
    seconds: float

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain data (schema lbbench.dry-run/1)."""
        return {
            "schema": "lbbench.dry-run/1",
            "axes": self.axes,
            "points": self.points,
            "conditions": self.conditions,
            "replications": self.replications,
            "missing": self.missing,
            "invalid": self.invalid,
            "changes": list(self.begun.changes) if self.begun else [],
            "workers": self.workers,
            "seconds": self.seconds,
        }


def dry_run(
    scenario: Scenario,
    *,
    out: Path | None = None,
    workers: int | None = None,
    other_version: OtherVersion = "ask",
    retry: bool = False,
    yes: bool = False,
    watcher: Watcher | None = None,
) -> Ahead:
    """Return what a sweep of ``scenario`` into ``out`` would do; nothing is run or written.

    Raises
    ------
    LbbenchError
        When an axis cannot be swept, or ``out`` is no study.
    """
    watcher = watcher or Watcher()
    members = members_of(scenario, yes=yes, progress=watcher.step)
    begun = None
    if out is not None and out.exists():
        with Ledger.open(out, write=False) as ledger:
            begun = begin(ledger, scenario, members, other_version)
    ended = begun.ended if begun else {}
    kept = {key: status for key, status in ended.items() if status == "done" or not retry}
    schedule = Schedule(members, kept, wanted_of(scenario))
    n_workers = workers or usable_cores()
    missing = len(schedule.waiting)
    valid = [member for member in members if member.invalid is None]
    return Ahead(
        name="" if out is None else out.name,
        axes={leaf: _distinct([m.values[leaf] for m in members]) for leaf in members[0].values},
        points=len(members),
        conditions=len(conditions(members)),
        replications=schedule.total,
        missing=missing,
        invalid=dict(Counter(m.invalid for m in members if m.invalid is not None)),
        begun=begun,
        workers=n_workers,
        seconds=_total(missing, _seconds(scenario, [m.values for m in valid]), n_workers),
    )


def _total(missing: int, each: float, workers: int) -> float:
    return START + missing * each / workers if missing else 0.0


def _distinct(values: list[Any]) -> list[Any]:
    return list({repr(value): value for value in values}.values())


def _seconds(scenario: Scenario, points: list[Any]) -> float:
    """Return the mean estimate of one replication, from a few points."""
    step = max(len(points) // ASKED, 1)
    times = []
    for values in points[::step][:ASKED]:
        try:
            times.append(AROUND + forecast(scenario.at_point(values)).requests / REQUESTS_PER_S)
        except LbbenchError:
            continue  # the sweep records it as failed
    return sum(times) / len(times) if times else 0.0
