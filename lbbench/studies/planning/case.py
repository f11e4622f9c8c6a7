"""One value of a plan as the clusters that have to meet the objectives, whole and with a loss."""

from __future__ import annotations

from dataclasses import dataclass

from lbbench.errors import LbbenchError
from lbbench.model.scenario import Scenario
from lbbench.studies.content import as_text, content_of, point_data
from lbbench.studies.planning.loads import overload
from lbbench.studies.planning.loss import Unit, losses


@dataclass(frozen=True)
class Cluster:
    """One cluster that is run.

    Attributes
    ----------
    lost
        What is missing of it; None: nothing.
    scenario, content
        What is run, resolved as JSON, and its digest.
    """

    lost: str | None
    scenario: str
    content: str


@dataclass(frozen=True)
class Case:
    """One value.

    Attributes
    ----------
    number
        The value as the subject counts.
    clusters
        What has to meet the objectives; empty when that cannot be.
    cannot
        Why it is not met whatever a run shows, with what is missing then; None: runs decide.
    """

    number: int
    clusters: tuple[Cluster, ...]
    cannot: tuple[str, str | None] | None = None


def case_of(number: int, scenario: Scenario, survive: Unit | None) -> Case:
    """Return the case of a value's scenario."""
    clusters: list[tuple[str | None, Scenario]] = [(None, scenario)]
    if survive is not None:
        for lost in losses(scenario, survive):
            if lost.scenario is None:
                said = f"without {lost.name} no {lost.missing} is left"
                return Case(number, (), (said, lost.name))
            clusters.append((lost.name, lost.scenario))
    for name, each in clusters:
        reason = overload(each)
        if reason is not None:
            said = reason if name is None else f"without {name} {reason}"
            return Case(number, (), (said, name))
    return Case(number, tuple(cluster_of(each, name) for name, each in clusters))


def impossible(number: int, error: LbbenchError) -> Case:
    """Return the case of a value that no scenario has."""
    text = str(error).partition("\n")[0]
    return Case(number, (), (f"it is no cluster: {text}", None))


def cluster_of(scenario: Scenario, lost: str | None = None) -> Cluster:
    """Return a scenario as it is run."""
    data = point_data(scenario)
    return Cluster(lost, as_text(data), content_of(data, scenario.folder))
