"""What the answer still serves with one pod or node less: at few replications, by estimates."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lbbench.errors import ScenarioError
from lbbench.model.scenario import Scenario
from lbbench.model.topology import capacity, topology
from lbbench.model.units import write_rate
from lbbench.studies.planning.case import Cluster, cluster_of
from lbbench.studies.planning.driver import Need
from lbbench.studies.planning.judging import Judged, judge, level_of
from lbbench.studies.planning.loads import overload
from lbbench.studies.planning.loss import Unit, without_largest
from lbbench.studies.planning.planner import Planner
from lbbench.studies.planning.search import least_far, steps_nearby
from lbbench.studies.planning.subject import RATE, Subject
from lbbench.studies.planning.verdicts import is_within

REPLICATIONS = 2

PARTS = 50
"""The load is varied in steps of the planned one over this."""

MOST = 10 * PARTS


def minus_one(planner: Planner, number: int) -> Generator[Need, None, dict[str, Any]]:
    """Return what the answer does without its largest pod (or node, zone).

    ``lost`` names it; ``met`` whether the estimates of the objectives are within their limits
    (where that cluster was decided: what was decided), ``metrics`` holds them; ``headroom`` is
    the greatest load, relative to the planned one, at which they still are, in steps of 2 %;
    None where there is no rate to vary.
    """
    subject = planner.subject
    unit: Unit = planner.survive or ("node" if subject.kind == "nodes" else "pod")
    found: dict[str, Any] = {"lost": None, "met": False, "headroom": 0.0, "metrics": {}}
    try:
        lost = without_largest(subject.at(number), unit)
    except ScenarioError as error:
        said = str(error).partition("\n")[0]
        return {**found, "lost": f"the largest {unit}", "because": f"what is left is none: {said}"}
    found["lost"] = lost.name
    if lost.scenario is None:
        return found
    rate, scenario = subject.rate_at(number), lost.scenario
    known: dict[int, bool] = {}
    decided = _decided(planner, number, lost.name)
    if decided is not None:
        known[PARTS] = decided.verdict == "met"
        found["metrics"] = {item.metric: item.estimate for item in decided.readings}
    elif _is_one_less(subject, unit):
        scenario = subject.at(number - 1)  # the same cluster, whose runs are there
        below = planner.decided.get(number - 1)
        if below is not None:  # the estimates of few replications must not say otherwise
            known[PARTS] = below.verdict == "met"
            readings = below.parts[0][1].readings if below.parts else ()
            found["metrics"] = {item.metric: item.estimate for item in readings}

    def fits(part: int) -> Generator[Need, None, bool]:
        """Tell whether the load of ``part`` parts is within the limits."""
        if part not in known:
            each = scenario
            if part != PARTS:
                each = scenario.with_({RATE: write_rate(rate * part / PARTS)})
            judged = yield from _judged(planner, each, lost.name, part)
            known[part] = (
                judged is not None
                and not judged.overloaded
                and all(is_within(item) for item in judged.readings)
            )
            if part == PARTS and judged is not None:
                found["metrics"] = {item.metric: item.estimate for item in judged.readings}
        return known[part]

    found["met"] = yield from fits(PARTS)
    if subject.load.kind != "open":
        found["headroom"] = None
        return found
    # What is left carries about its share of the load: most searches end next to that.
    whole = capacity(topology(subject.at(number)), 1.0)
    guess = max(int(PARTS * capacity(topology(scenario), 1.0) / whole), 1)
    search = least_far(guess, most=MOST, steps=steps_nearby())
    try:
        part = next(search)
        while True:
            fitting = yield from fits(part)
            part = search.send(not fitting)
    except StopIteration as end:
        found["headroom"] = ((end.value or MOST + 1) - 1) / PARTS
    return found


def _decided(planner: Planner, number: int, lost: str) -> Judged | None:
    """Return what was decided of the answer without ``lost``, where that was asked for."""
    parts = planner.decided[number].parts if number in planner.decided else ()
    return next((judged for cluster, judged in parts if cluster.lost == lost), None)


def _is_one_less(subject: Subject, unit: Unit) -> bool:
    """Tell whether the cluster without its largest pod is that of the number below.

    Pods that are listed, or placed as a list says, go in another order than they are lost.
    """
    cluster = subject.base.cluster
    return (
        subject.kind == "pods"
        and unit == "pod"
        and isinstance(cluster.pods, int)
        and isinstance(cluster.placement, str)
    )


def _judged(
    planner: Planner, scenario: Scenario, lost: str, part: int
) -> Generator[Need, None, Judged | None]:
    """Return what few replications say; None when somebody is offered too much for certain."""
    if overload(scenario) is not None:
        return None
    cluster: Cluster = cluster_of(scenario, lost)
    load = "" if part == PARTS else f" at {100 * part // PARTS} % of the load"
    planner.tell(f"without {lost}{load}")
    yield Need((cluster,), REPLICATIONS, f"{planner.balancer} without {lost}{load}")
    return judge(
        planner.runs.of(cluster, REPLICATIONS),
        planner.objectives,
        level_of(REPLICATIONS, len(planner.objectives), 1),
        can_overload=planner.can_overload,
    )
