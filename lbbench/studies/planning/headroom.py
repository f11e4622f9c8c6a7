"""What the answer still serves with one pod or node less: at few replications, by estimates."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

from lbbench.errors import ScenarioError
from lbbench.model.scenario import Scenario
from lbbench.model.topology import capacity, topology
from lbbench.model.units import write_rate
from lbbench.studies.planning.case import Cluster, cluster_of
from lbbench.studies.planning.driver import Need
from lbbench.studies.planning.judging import Judged, Reading, judge, level_of
from lbbench.studies.planning.loads import overload
from lbbench.studies.planning.loss import Lost, Unit, losses
from lbbench.studies.planning.planner import Planner
from lbbench.studies.planning.search import least_far, steps_nearby
from lbbench.studies.planning.subject import RATE, Subject
from lbbench.studies.planning.verdicts import badness, is_within

REPLICATIONS = 2

PARTS = 50
"""The load is varied in steps of the planned one over this."""

MOST = 10 * PARTS


def minus_one(planner: Planner, number: int) -> Generator[Need, None, dict[str, Any]]:
    """Return what the answer does without the pod (or node, zone) whose loss is the worst.

    ``lost`` names it; ``met`` whether the estimates of the objectives are within their limits
    (where that cluster was decided: what was decided), ``metrics`` holds them; ``headroom`` is
    the greatest load, relative to the planned one, at which they still are, whichever is lost, in
    steps of 2 %; None where there is no rate to vary.
    """
    subject = planner.subject
    unit: Unit = planner.survive or ("node" if subject.kind == "nodes" else "pod")
    found: dict[str, Any] = {"lost": None, "met": False, "headroom": 0.0, "metrics": {}}
    try:
        given = losses(subject.at(number), unit)
    except ScenarioError as error:
        said = str(error).partition("\n")[0]
        return {**found, "lost": f"the largest {unit}", "because": f"what is left is none: {said}"}
    if given[0].scenario is None:
        return {**found, "lost": given[0].name}
    left = [_Left(planner, number, lost, unit) for lost in given]
    for each in left:
        yield from each.fits(PARTS)
    left.sort(key=_Left.badness, reverse=True)
    found["lost"], found["metrics"] = left[0].lost.name, left[0].metrics
    found["met"] = all(each.known[PARTS] for each in left)
    if subject.load.kind != "open":
        found["headroom"] = None
        return found
    # What is left carries about its share of the load: most searches end next to that.
    whole = capacity(topology(subject.at(number)), 1.0)
    guess = max(int(PARTS * capacity(topology(left[0].scenario), 1.0) / whole), 1)
    search = least_far(guess, most=MOST, steps=steps_nearby())
    try:
        part = next(search)
        while True:
            fitting = True
            for each in left:
                fitting = fitting and (yield from each.fits(part))
            part = search.send(not fitting)
    except StopIteration as end:
        found["headroom"] = ((end.value or MOST + 1) - 1) / PARTS
    return found


class _Left:
    """What is left of the answer after one loss, at several loads."""

    def __init__(self, planner: Planner, number: int, lost: Lost, unit: Unit) -> None:
        assert lost.scenario is not None
        self.planner, self.lost, self.scenario = planner, lost, lost.scenario
        self.rate = planner.subject.rate_at(number)
        self.known: dict[int, bool] = {}
        self.readings: tuple[Reading, ...] = ()
        self.decide(number, unit)

    @property
    def metrics(self) -> dict[str, float | None]:
        """The estimates at the planned load."""
        return {item.metric: item.estimate for item in self.readings}

    def decide(self, number: int, unit: Unit) -> None:
        """Take over what was decided of this cluster, at the answer or at the number below.

        The estimates of few replications must not say otherwise.
        """
        decided = _decided(self.planner, number, self.lost.name)
        if decided is not None:
            self.known[PARTS] = decided.verdict == "met"
            self.readings = decided.readings
        elif _is_one_less(self.planner.subject, number, self.lost, unit):
            self.scenario = self.planner.subject.at(number - 1)  # the same, whose runs are there
            below = self.planner.decided.get(number - 1)
            if below is not None:
                self.known[PARTS] = below.verdict == "met"
                self.readings = below.parts[0][1].readings if below.parts else ()

    def badness(self) -> tuple[bool, float]:
        """Return how bad the loss is at the planned load: missed or not, and by how much."""
        beyond = max((badness(item) for item in self.readings), default=math.inf)
        return not self.known[PARTS], beyond

    def fits(self, part: int) -> Generator[Need, None, bool]:
        """Tell whether the load of ``part`` parts is within the limits."""
        if part not in self.known:
            each = self.scenario
            if part != PARTS:
                each = each.with_({RATE: write_rate(self.rate * part / PARTS)})
            judged = yield from _judged(self.planner, each, self.lost.name, part)
            self.known[part] = (
                judged is not None
                and not judged.overloaded
                and all(is_within(item) for item in judged.readings)
            )
            if part == PARTS and judged is not None:
                self.readings = judged.readings
        return self.known[part]


def _decided(planner: Planner, number: int, lost: str) -> Judged | None:
    """Return what was decided of the answer without ``lost``, where that was asked for."""
    parts = planner.decided[number].parts if number in planner.decided else ()
    return next((judged for cluster, judged in parts if cluster.lost == lost), None)


def _is_one_less(subject: Subject, number: int, lost: Lost, unit: Unit) -> bool:
    """Tell whether the cluster without a pod (or node) is that of the number below.

    So it is without the last one, listed or counted, where those that stay are where they were.
    """
    if (subject.kind, unit) not in (("pods", "pod"), ("nodes", "node")) or number < 2:
        return False
    cluster = subject.base.cluster
    if unit == "pod" and isinstance(cluster.pods, int) and isinstance(cluster.placement, str):
        return True  # equal pods, dealt out anew
    assert lost.scenario is not None
    try:
        return _placed(subject.at(number - 1)) == _placed(lost.scenario)
    except ScenarioError:
        return False


def _placed(scenario: Scenario) -> tuple[list[tuple[str, float, int]], list[str]]:
    """Return the nodes of all pods with what the pods can do, and those of the replicas."""
    top = topology(scenario)
    pods = [(top.nodes[pod.node].name, pod.speed, pod.concurrency) for pod in top.pods]
    return sorted(pods), sorted(top.nodes[item.node].name for item in top.replicas)


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
