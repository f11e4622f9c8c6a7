"""What is told about a sweep while it runs: how far it is, and which point is the best so far."""

from __future__ import annotations

from typing import NamedTuple

from lbbench.model.scenario import Scenario
from lbbench.model.study import Member
from lbbench.studies.schedule import condition_of
from lbbench.studies.study import name_of

DEFAULT_METRIC = "latency.p99"


class Best(NamedTuple):
    """The best replication so far."""

    metric: str
    value: float
    member: Member


class Standing(NamedTuple):
    """How far a sweep is."""

    done: int  # replications that ended in this study, those found in the ledger included
    total: int
    found: int  # of `done`, those that were there at the start
    failed: int  # of `done`, those without a result
    best: Best | None


class Watcher:
    """Hears how a sweep goes; this one keeps silent."""

    def say(self, text: str) -> None:
        """Hear a sentence."""

    def step(self, what: str, done: int, total: int | None) -> None:
        """Hear how far ``what`` is, before and after the points are run."""

    def stand(self, standing: Standing) -> None:
        """Hear how far the points are, several times a second."""


def headline(scenario: Scenario) -> str:
    """Return the metric by which one point is better than another."""
    if scenario.run.precision is not None:
        return scenario.run.precision.metric
    return next(iter(scenario.slo), DEFAULT_METRIC)


def is_better(metric: str, value: float, than: float) -> bool:
    """Tell whether ``value`` is better: attainment is to be high, all other metrics low."""
    return value > than if metric == "attainment" else value < than


def describe(best: Best) -> str:
    """Return the name of the best point: its variant, or the values of its axes."""
    name = name_of(best.member)
    rest = [
        f"{leaf.rsplit('.', 1)[-1]}={value}" for leaf, value in condition_of(best.member).items()
    ]
    return ", ".join([*([name] if name else []), *rest])
