"""The fixed jobs of the league, and who is put to a job: every balancer, or every kube-proxy mode.

A job on the ingress path is done by every balancer of layer 7, one on the service path by every
mode of kube-proxy, IPVS once per scheduler. Both lists come from the registry and the scenario's
schema, so that a new balancer or mode takes part without a line here.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, get_args

from lbbench.balancers.base import registry
from lbbench.errors import LbbenchError
from lbbench.inputs.yaml import load
from lbbench.model.label import label_of
from lbbench.model.scenario import Scenario
from lbbench.model.stages import KubeProxy
from lbbench.studies.variants import BALANCER, partly_known, without_options

JOBS = (
    "equal-pods",
    "one-slow-pod",
    "fast-failing-pod",
    "bursts",
    "heavy-tail",
    "keep-alive-skew",
    "scale-out",
    "three-replicas-four-workers",
)
"""Jobs of the ingress balancers, in the order of their numbers; shipped scenarios."""

SERVICE_JOBS = ("service-keep-alive", "service-scale-out")
"""Jobs of kube-proxy's modes."""

REPLICATIONS = 5
"""Replications of a job that asks for one: a single run has no interval for shares."""

MODE, SCHEDULER = "stages.kube_proxy.mode", "stages.kube_proxy.scheduler"


@dataclass(frozen=True)
class Entrant:
    """Who does a job.

    Attributes
    ----------
    name
        What tables call it: the balancer, or the mode with its scheduler (``ipvs rr``).
    balancer
        Whose picks it makes: a name of the registry, or ``FILE.py:NAME``.
    values
        The scenario's leaves that make it do the job.
    """

    name: str
    balancer: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Starters:
    """Who can do a job, and who cannot, with the reason by name."""

    entrants: tuple[Entrant, ...]
    refused: Mapping[str, str]

    @property
    def leaves(self) -> tuple[str, ...]:
        """The leaves in which they differ."""
        return tuple(self.entrants[0].values) if self.entrants else ()


def jobs(changes: Sequence[str] = ()) -> list[Scenario]:
    """Return the jobs of the league, with the same ``PATH=VALUE`` changes to each.

    Raises
    ------
    ScenarioError
        When a change is not one of a scenario.
    """
    return [load(name, changes) for name in (*JOBS, *SERVICE_JOBS)]


def with_replications(scenario: Scenario) -> Scenario:
    """Return ``scenario`` with `REPLICATIONS` where it asks for one and no precision."""
    if scenario.run.replications > 1 or scenario.run.precision is not None:
        return scenario
    return scenario.with_({"run.replications": REPLICATIONS})


def starters(scenario: Scenario, own: Sequence[str] = ()) -> Starters:
    """Return who can do the job ``scenario``, by name.

    Parameters
    ----------
    own
        Balancers of somebody's own that take part as well, ``FILE.py:NAME``.
    """
    entrants, refused = [], {}
    all_ = _modes() if scenario.path == "service" else _balancers(own)
    loose = partly_known(scenario, [one.balancer for one in all_ if BALANCER in one.values])
    for one in all_:
        reason = _why_not(scenario, one, loose)
        if reason is None:
            entrants.append(_with_balancer(scenario, one) if scenario.path == "service" else one)
        else:
            refused[one.name] = reason
    return Starters(tuple(entrants), refused)


def _balancers(own: Sequence[str]) -> list[Entrant]:
    names = sorted(name for name, item in registry().items() if item.level == "l7")
    there = [Entrant(name, name, {BALANCER: name}) for name in names]
    return [*there, *(Entrant(label_of(name), name, {BALANCER: name}) for name in own)]


def _modes() -> list[Entrant]:
    """Return every mode of kube-proxy, without the balancer, which is the engines' to say."""
    modes = get_args(KubeProxy.model_fields["mode"].annotation)
    schedulers = get_args(KubeProxy.model_fields["scheduler"].annotation)
    first = KubeProxy().scheduler
    made = []
    for mode in modes:
        if mode != "ipvs":
            made.append(Entrant(mode, "", {MODE: mode, SCHEDULER: first}))
            continue
        made += [Entrant(f"{mode} {one}", "", {MODE: mode, SCHEDULER: one}) for one in schedulers]
    return made


def _with_balancer(scenario: Scenario, mode: Entrant) -> Entrant:
    from lbbench.engines.stages import node_stage

    return replace(mode, balancer=node_stage(scenario.with_(dict(mode.values)))[0].name)


def _why_not(scenario: Scenario, entrant: Entrant, loose: Collection[str]) -> str | None:
    """Return why the engines refuse an entrant, without the place that names it; None: they do."""
    from lbbench.engines.stages import azure_stage, ingress_stage, node_stage

    try:
        variant = without_options(scenario.with_(dict(entrant.values)), loose)
        for stage in (azure_stage, node_stage, ingress_stage):
            stage(variant)
    except LbbenchError as error:
        text = str(error)
        for leaf, value in entrant.values.items():
            text = text.removeprefix(f"{scenario.name}: ").removeprefix(f"{leaf} = {value}: ")
        return text
    return None
