"""A finished run as the metrics read it: its records, its counts and its result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from lbbench.engines.outcome import Outcome
from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.model.tally import ERRORS
from lbbench.model.trace import Population
from lbbench.studies.run import Engine, Progress, Replications, replicate, sum_up

PORTS = 2**16

Choice = Literal["auto", "fast", "reference"]

SHORT = 20_000
"""Requests that the readable engine has done before the other one is compiled."""


@dataclass(frozen=True)
class Ran:
    """One scenario that was run with records; a metric reads what it needs.

    Attributes
    ----------
    scenario
        What was run.
    done
        Its replications.
    engine
        Which engine ran it; the numbers do not depend on it.
    """

    scenario: Scenario
    done: Replications
    engine: Engine = "fast"

    @property
    def outcomes(self) -> Sequence[Outcome]:
        """Return the replications."""
        return self.done.outcomes

    @property
    def pods(self) -> tuple[str, ...]:
        """Return the names of all pods that ever exist, in the order of their numbers."""
        return self.outcomes[0].shape.pods

    @cached_property
    def result(self) -> Result:
        """Return the result over all replications."""
        return sum_up(self.scenario, self.done)

    def tables(self) -> list[Requests]:
        """Return the requests of every replication."""
        pairs = zip(self.outcomes, self.done.populations, strict=True)
        return [Requests(self.scenario, outcome, people) for outcome, people in pairs]

    def number(self, kind: str, name: str) -> int:
        """Return the number of the pod, node or replica called ``name``.

        Raises
        ------
        RunError
            When there is none.
        """
        names: tuple[str, ...] = getattr(self.outcomes[0].shape, f"{kind}s")
        if name not in names:
            raise RunError(f"{self.scenario.name}: there is no {kind} {name}; see {names[:5]}")
        return names.index(name)


@dataclass(frozen=True)
class Requests:
    """The records of one replication, columns by name; row = request number in order of arrival."""

    scenario: Scenario
    outcome: Outcome
    people: Population

    def __getitem__(self, name: str) -> np.ndarray:
        """Return a column of `engines.recording.Records`."""
        columns: Mapping[str, np.ndarray] | None = self.outcome.records
        assert columns is not None, "cases are run with records"
        return columns[name]

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self["arrival"])

    def targets(self, kind: str) -> int:
        """Return how many pods, nodes, replicas or workers there are."""
        return len(getattr(self.outcome.shape, f"{kind}s"))

    def units(self, kind: str) -> np.ndarray:
        """Return which unit each request belongs to, int64[n], -1: none.

        Parameters
        ----------
        kind
            ``request``, ``connection``, ``session``, ``client``, ``address`` (what several clients
            behind one NAT share), ``node``.
        """
        if kind == "request":
            return np.arange(len(self))
        if kind == "address":
            return np.asarray(self.people.client_address)[self["client"]]
        if kind == "connection":
            if self.scenario.traffic.connections.requests == 1:
                return np.arange(len(self))
            # a source port comes back only after all others of its address
            return np.where(self["port"] < 0, -1, self["client"] * PORTS + self["port"])
        return self[kind]

    @property
    def answered(self) -> np.ndarray:
        """Return which requests got an answer below 500, bool[n]."""
        answered: np.ndarray = self["error"] == -1
        return answered

    def failed_with(self, *classes: str) -> np.ndarray:
        """Return which requests failed with one of the error classes, bool[n]."""
        return np.isin(self["error"], [ERRORS.index(name) for name in classes])


def ran(scenario: Scenario, *, engine: Choice = "auto", progress: Progress | None = None) -> Ran:
    """Run ``scenario`` with records; ``auto`` takes the engine that is done first.

    Raises
    ------
    LbbenchError
        When it cannot be run.
    """
    chosen = quicker(scenario) if engine == "auto" else engine
    done = replicate(scenario, engine=chosen, progress=progress, record=True)
    return Ran(scenario, done, chosen)


def quicker(scenario: Scenario) -> Engine:
    """Return ``fast`` unless it would have to be compiled for a run of at most `SHORT` requests."""
    from lbbench.engines.fast import kernel_of
    from lbbench.engines.plan import make_plan

    plan = make_plan(scenario)
    rate = plan.traffic.population.rate
    requests = plan.traffic.n_requests or rate * (plan.traffic.duration or 0.0)
    if requests * scenario.run.replications > SHORT:
        return "fast"
    return "fast" if kernel_of(plan).is_cached else "reference"
