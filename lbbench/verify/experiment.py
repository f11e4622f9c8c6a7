"""What is measured for the checks: scenarios that are run many times, and what is kept of a run.

An experiment gives numbers for each of its replications; its checks judge them afterwards. Seeds of
experiments differ, so what two experiments find is independent; the replications of one differ as
those of any scenario do, by their number alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lbbench.engines.outcome import Outcome
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.studies.executors import NoWorkers, Processes, died
from lbbench.studies.run import Progress, replication
from lbbench.studies.runner import MOST_DEATHS, PATIENCE

Numbers = Mapping[str, Any]
"""What is kept of one replication: a number, or an array, by name."""

Sample = Mapping[str, np.ndarray]
"""The same over all replications: the first axis is theirs."""

Measure = Callable[[int, int], Numbers]
"""measure(seed, number) of one replication; importable, so that a worker finds it."""


@dataclass(frozen=True)
class Experiment:
    """Something that is measured several times.

    Attributes
    ----------
    name
        Gives the experiment its own seed.
    measure
        What is done for one replication.
    replications
        How often.
    at_once
        Replications that a worker does in one go: about a second of work.
    kernel
        Which compiled event loops it needs: those of one text need the same.
    """

    name: str
    measure: Measure
    replications: int
    at_once: int = 1
    kernel: str = ""


class Ran(NamedTuple):
    """One replication of a scenario, with its number."""

    scenario: Scenario
    outcome: Outcome
    number: int = 0


@dataclass(frozen=True)
class Simulated:
    """The measure of one scenario: run it once more and keep what ``read`` says.

    Attributes
    ----------
    scenario
        Plain data, as a scenario file has them.
    read
        Returns the numbers that are kept.
    record
        Whether every request is written down.
    by_seed
        Every replication has a seed of its own: what follows from source ports and from the hash
        keys of ingress replicas is common to the replications of one seed.
    """

    scenario: Mapping[str, Any]
    read: Callable[[Ran], Numbers]
    record: bool = False
    by_seed: bool = False

    def __call__(self, seed: int, number: int) -> Numbers:
        """Return what is kept of replication ``number``."""
        if self.by_seed:
            seed, number = seed + number, 0
        return self.read(run_once(self.scenario, seed, number, record=self.record))


def run_once(
    scenario: Mapping[str, Any], seed: int, number: int = 0, *, record: bool = False
) -> Ran:
    """Run replication ``number`` of a scenario with the fast engine."""
    checked = build(scenario, place="verify", changes=[("run.seed", seed)])
    done = replication(checked, number, record=record)
    return Ran(checked, done.outcomes[0], number)


def seed_of(seed: int, name: str) -> int:
    """Return the seed of the experiment ``name`` when the suite has ``seed``."""
    digest = hashlib.sha256(f"{seed}\x00{name}".encode()).digest()
    return int.from_bytes(digest[:4], "little")


def carry_out(measure: Measure, seed: int, numbers: Sequence[int]) -> list[Numbers]:
    """Return what is kept of some replications, one after the other."""
    return [measure(seed, number) for number in numbers]


class _Sent(NamedTuple):
    item: Experiment
    numbers: range
    deaths: int


def samples(
    experiments: Sequence[Experiment],
    seed: int,
    *,
    workers: int,
    progress: Progress | None = None,
) -> dict[str, Sample | Exception]:
    """Measure all experiments in processes; return their numbers by name.

    An experiment that ends with an error has the error instead: what breaks a run breaks the checks
    on it, and no others. What a worker had when it died is done again, for it may have been killed.

    Raises
    ------
    RunError
        When no worker process can be started.
    """
    parts: dict[str, dict[int, Numbers]] = {item.name: {} for item in experiments}
    errors: dict[str, Exception] = {}
    total, done = sum(item.replications for item in experiments), 0
    pool = Processes(workers)
    sent: dict[Future[list[Numbers]], _Sent] = {}

    def send(item: Experiment, numbers: range, deaths: int) -> None:
        future = pool.submit(carry_out, item.measure, seed_of(seed, item.name), numbers)
        sent[future] = _Sent(item, numbers, deaths)

    try:
        for item, numbers in _tasks(experiments):
            send(item, numbers, 0)
        while sent:
            ended, _ = wait(sent, timeout=PATIENCE, return_when=FIRST_COMPLETED)
            for future in ended:
                item, numbers, deaths = sent.pop(future)
                try:
                    parts[item.name] |= dict(zip(numbers, future.result(), strict=True))
                except NoWorkers:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever breaks a run
                    if died(error) and deaths + 1 < MOST_DEATHS:
                        send(item, numbers, deaths + 1)
                        continue
                    errors.setdefault(item.name, error)
                done += len(numbers)
                if progress is not None:
                    progress("replications", done, total)
    except BaseException:
        pool.kill()
        raise
    pool.shutdown()
    return {name: errors.get(name) or stacked(measured) for name, measured in parts.items()}


def stacked(measured: Mapping[int, Numbers]) -> Sample:
    """Return the numbers of all replications by name, in order of the replications."""
    rows = [measured[number] for number in sorted(measured)]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _tasks(experiments: Sequence[Experiment]) -> Iterator[tuple[Experiment, range]]:
    """Yield (experiment, replications) in the order in which they are best done.

    First one of every kernel, so that no two workers compile the same one.
    """
    seen: set[str] = set()
    first: list[tuple[Experiment, range]] = []
    rest: list[tuple[Experiment, range]] = []
    for item in experiments:
        for start in range(0, item.replications, item.at_once):
            numbers = range(start, min(start + item.at_once, item.replications))
            is_new = start == 0 and item.kernel not in seen
            (first if is_new else rest).append((item, numbers))
            seen.add(item.kernel)
    yield from first
    yield from rest
