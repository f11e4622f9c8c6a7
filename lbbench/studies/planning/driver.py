"""Runs what the searches of a plan ask for, all in one pool of processes.

A search is a generator that yields what it needs and goes on when that is there. Every replication
is run once, whichever search asks: it is known by the content of its scenario and its number.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, NamedTuple, TypeVar

from lbbench import __version__
from lbbench.errors import RunError
from lbbench.model.study import Row
from lbbench.studies.planning.case import Cluster
from lbbench.studies.planning.sample import Sample, sample
from lbbench.studies.point import Task
from lbbench.studies.run import Engine
from lbbench.studies.runner import MOST_DEATHS, PATIENCE, row_of
from lbbench.studies.warm import prepare

T = TypeVar("T")


class Need(NamedTuple):
    """The first ``replications`` of some clusters."""

    clusters: tuple[Cluster, ...]
    replications: int
    what: str = ""
    """Value and balancer in words, for a run that fails."""


Asking = Generator[Need, None, T]
"""A search at work: yields what it needs."""

Idle = Callable[[], None]
"""Called several times a second while runs are in work."""


class Here(Executor):
    """Runs every task at once in this process, in the order in which they are given."""

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Return a future that has ended."""
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is raised by whoever asks for the result
            future.set_exception(error)
        return future


class Runs:
    """The replications of a plan, each run once.

    Parameters
    ----------
    executor
        Where they are run.
    folder
        That relative paths start from.
    seed, engine
        Of every run.
    """

    def __init__(self, executor: Executor, *, folder: str, seed: int, engine: Engine) -> None:
        self.executor = executor
        self.folder, self.seed, self.engine = folder, seed, engine
        self.samples: dict[tuple[str, int], Sample] = {}
        self.sent: dict[Future[Any], tuple[Task, int]] = {}
        self.asked: set[tuple[str, int]] = set()
        self.what: dict[str, str] = {}

    def of(self, cluster: Cluster, replications: int) -> list[Sample]:
        """Return the first replications of a cluster, which are there."""
        return [self.samples[cluster.content, number] for number in range(replications)]

    def has(self, need: Need) -> bool:
        """Tell whether all that is needed is there."""
        return all(
            (cluster.content, number) in self.samples
            for cluster in need.clusters
            for number in range(need.replications)
        )

    def ask(self, need: Need) -> None:
        """Send what is needed and neither there nor on its way."""
        for number in range(need.replications):
            for cluster in need.clusters:
                key = (cluster.content, number)
                if key not in self.asked:
                    self.what.setdefault(cluster.content, need.what)
                    self.asked.add(key)
                    self._send(self._task(cluster, number), 0)

    def take(self, futures: Sequence[Future[Any]]) -> None:
        """Keep the samples of futures that have ended; what died with its worker is sent again.

        Raises
        ------
        RunError
            When a replication has no result, or no worker can be started.
        """
        for future in futures:
            task, deaths = self.sent.pop(future)
            ended: Sample | Row | None = row_of(future, task, deaths)
            if ended is None:
                self._send(task, deaths + 1)
            elif isinstance(ended, Sample):
                self.samples[ended.content, ended.replication] = ended
            else:
                what = self.what.get(task.content, "")
                raise RunError(f"a run of the plan failed{what and f', {what}'}: {ended.error}")

    def _send(self, task: Task, deaths: int) -> None:
        assert deaths < MOST_DEATHS
        self.sent[self.executor.submit(sample, task)] = (task, deaths)

    def _task(self, cluster: Cluster, number: int) -> Task:
        return Task(
            content=cluster.content,
            scenario=cluster.scenario,
            folder=self.folder,
            seed=self.seed,
            replication=number,
            engine=self.engine,
            version=__version__,
            whole=False,
            time_limit=None,
        )


def drive(
    searches: Mapping[str, Asking[T]],
    runs: Runs,
    *,
    warm: Mapping[str, str] | None = None,
    idle: Idle | None = None,
) -> dict[str, T]:
    """Run all searches to their ends, side by side; return what each found.

    Parameters
    ----------
    warm
        A resolved scenario by the search whose kernel it needs: its first runs wait until one
        worker has compiled that, so that no two of them do.
    """
    found: dict[str, T] = {}
    waiting: dict[str, Need] = {}
    kernels: dict[Future[None], str] = {}

    def advance(name: str) -> None:
        try:
            need = next(searches[name])
            while runs.has(need):
                need = next(searches[name])
        except StopIteration as end:
            waiting.pop(name, None)
            found[name] = end.value
            return
        waiting[name] = need
        runs.ask(need)

    for name, scenario in (warm or {}).items():
        kernels[runs.executor.submit(prepare, scenario, runs.folder)] = name
    for name in searches:
        if name not in (warm or {}):
            advance(name)
    while kernels or waiting:
        futures: list[Future[Any]] = [*kernels, *runs.sent]
        ended, _ = wait(futures, timeout=PATIENCE, return_when=FIRST_COMPLETED)
        for future in [future for future in ended if future in kernels]:
            name = kernels.pop(future)  # what went wrong with it, its first run tells
            advance(name)
        runs.take([future for future in ended if future in runs.sent])
        for name, need in list(waiting.items()):
            if runs.has(need):
                advance(name)
        if idle is not None:
            idle()
    return found
