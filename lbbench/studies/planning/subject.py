"""What a plan varies: pods, nodes, the rate, or the places of a pod, as whole numbers.

Each subject turns a number into the scenario that has it, everything else as in the file. A
`utilisation` has become a rate by then, so that the traffic stays the same while the cluster grows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from lbbench.errors import RunError
from lbbench.model.addresses import MAX_NODES
from lbbench.model.scenario import Scenario
from lbbench.model.topology import capacity, topology
from lbbench.model.units import write_rate
from lbbench.studies.planning.growth import with_nodes, with_places, with_pods
from lbbench.studies.planning.loss import refuse_scale

Kind = Literal["pods", "nodes", "rate", "concurrency"]
KINDS: tuple[Kind, ...] = ("pods", "nodes", "rate", "concurrency")

MOST = 4096
"""Pods, nodes or places beyond which nothing is tried."""

STEPS = 100
"""A rate is planned in steps of at most the capacity over this.

Where the answer has fewer than half as many steps, in steps of at most the answer over this.
"""

RATE = "traffic.arrivals.rate"


@dataclass(frozen=True)
class Load:
    """What the traffic asks for, at the file's own cluster."""

    rate: float  # requests per second, the time average
    mean_work: float  # seconds at speed 1
    kind: Literal["open", "closed", "trace"]
    users: int = 0  # of a closed loop, whose rate is what they ask when they never wait


@dataclass(frozen=True)
class Subject:
    """What is looked for.

    Attributes
    ----------
    kind
        The word of `--for`.
    base
        The scenario of the file, its rate resolved.
    load
        Its traffic.
    own
        The number that the file has.
    most
        The largest number that is tried.
    step
        What one number stands for: requests per second for a rate, else 1.
    """

    kind: Kind
    base: Scenario
    load: Load
    own: int
    most: int
    step: float = 1.0

    @property
    def has(self) -> float:
        """What the file has: of a rate its own, not rounded to a step."""
        return self.load.rate if self.kind == "rate" else self.own

    @property
    def is_greatest(self) -> bool:
        """Whether the greatest value is looked for, not the least."""
        return self.kind == "rate"

    def value(self, number: int) -> float:
        """Return what ``number`` stands for: a whole number, or requests per second."""
        return float(f"{number * self.step:.12g}") if self.kind == "rate" else number

    def at(self, number: int) -> Scenario:
        """Return the scenario that has ``number``.

        Raises
        ------
        ScenarioError
            When there is no such scenario.
        """
        if self.kind == "rate":
            return self.base.with_({RATE: write_rate(self.value(number))})
        changes: Mapping[Kind, Callable[[Scenario, int], dict[str, Any]]] = {
            "pods": with_pods,
            "nodes": with_nodes,
            "concurrency": with_places,
        }
        made = changes[self.kind](self.base, number)
        return self.base.with_(made) if made else self.base

    def rate_at(self, number: int) -> float:
        """Return the requests per second at ``number``."""
        return self.value(number) if self.kind == "rate" else self.load.rate


def resolved(scenario: Scenario) -> tuple[Scenario, Load]:
    """Return ``scenario`` with a rate in place of a `utilisation`, and what its traffic asks for.

    The rate is the utilisation of the pods that the file has.

    Raises
    ------
    LbbenchError
        When its traffic cannot be made.
    """
    from lbbench.traffic.generate import Traffic

    plain = scenario.at_point({}) if scenario.sweep is not None else scenario
    traffic = Traffic(plain)
    people = traffic.population
    load = Load(people.rate, people.mean_work, "open")
    think = traffic.columns.think
    if traffic.users is not None and think is not None:
        users = traffic.users.count
        load = Load(users / (think.mean + people.mean_work), people.mean_work, "closed", users)
    elif plain.traffic.trace is not None:
        load = replace(load, kind="trace")
    if plain.traffic.utilisation is not None:
        plain = plain.with_({RATE: write_rate(people.rate)})
    return plain, load


def subject_of(scenario: Scenario, kind: str) -> Subject:
    """Return what is varied when a plan is made ``kind``.

    Raises
    ------
    RunError
        When there is no such kind, this traffic has no rate that could be varied, or the timeline
        sets the number of pods that is looked for.
    """
    if kind not in KINDS:
        raise RunError(f"for = {kind}: is not known; give one of {', '.join(KINDS)}")
    base, load = resolved(scenario)
    cluster = base.cluster
    if kind in ("pods", "nodes"):
        refuse_scale(base, f"for = {kind}", "overrides the number that is tried")
    if kind == "pods":
        return Subject("pods", base, load, len(cluster.pod_names()), MOST)
    if kind == "nodes":
        return Subject("nodes", base, load, len(cluster.node_names()), min(MOST, MAX_NODES))
    if kind == "concurrency":
        own = max(pod.concurrency for pod in topology(base).pods)
        return Subject("concurrency", base, load, own, MOST)
    return _of_rate(base, load)


def _of_rate(base: Scenario, load: Load) -> Subject:
    if load.kind != "open":
        what = (
            "traffic.arrivals.process = closed: how often its users ask follows from the answers"
            if load.kind == "closed"
            else f"traffic.trace = {base.traffic.trace}: a recording has the rate that it has"
        )
        raise RunError(
            f"{base.name}: {what}, so no rate can be planned; plan pods, or give an open process"
        )
    most = capacity(topology(base), load.mean_work)
    return _in_steps(base, load, nice_below(most / STEPS))


def finer(subject: Subject, rate: float) -> Subject:
    """Return a subject of rates in steps that suit an answer of about ``rate``."""
    return _in_steps(subject.base, subject.load, nice_below(rate / STEPS))


def _in_steps(base: Scenario, load: Load, step: float) -> Subject:
    most = capacity(topology(base), load.mean_work)
    own, beyond = max(round(load.rate / step), 1), math.floor(most / step * (1.0 + 1e-9)) + 1
    return Subject("rate", base, load, own, beyond, step)


def nice_below(value: float) -> float:
    """Return the largest 1, 2 or 5 times a power of ten that is at most ``value``."""
    power = math.floor(math.log10(value) + 1e-9)
    head = value / 10.0**power
    return float(f"{next(n for n in (5, 2, 1) if n <= head * (1 + 1e-9))}e{power}")
