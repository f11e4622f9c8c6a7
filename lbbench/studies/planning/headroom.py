"""What the answer still serves with one pod or node less: at few replications, by estimates."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

from lbbench.model.scenario import Scenario
from lbbench.model.units import write_rate
from lbbench.studies.planning.case import Cluster, cluster_of
from lbbench.studies.planning.driver import Need
from lbbench.studies.planning.judging import Judged, judge, level_of
from lbbench.studies.planning.loads import overload
from lbbench.studies.planning.loss import Unit, without_largest
from lbbench.studies.planning.planner import Planner
from lbbench.studies.planning.search import least_far
from lbbench.studies.planning.subject import RATE
from lbbench.studies.planning.verdicts import is_within

REPLICATIONS = 2

PARTS = 50
"""The load is varied in steps of the planned one over this."""

MOST = 10 * PARTS


def minus_one(planner: Planner, number: int) -> Generator[Need, None, dict[str, Any]]:
    """Return what the answer does without its largest pod (or node, zone).

    ``lost`` names it; ``met`` whether the estimates of the objectives are within their limits,
    ``metrics`` holds them; ``headroom`` is the greatest load, relative to the planned one, at which
    they still are, in steps of 2 %; None where there is no rate to vary.
    """
    subject = planner.subject
    unit: Unit = planner.survive or ("node" if subject.kind == "nodes" else "pod")
    lost = without_largest(subject.at(number), unit)
    found: dict[str, Any] = {"lost": lost.name, "met": False, "headroom": 0.0, "metrics": {}}
    if lost.scenario is None:
        return found
    rate, scenario = subject.rate_at(number), lost.scenario
    if subject.kind == "pods" and unit == "pod" and isinstance(subject.base.cluster.pods, int):
        scenario = subject.at(number - 1)  # the same cluster, whose runs are there
    known: dict[int, bool] = {}

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
    search = least_far(PARTS, most=MOST)
    try:
        part = next(search)
        while True:
            fitting = yield from fits(part)
            part = search.send(not fitting)
    except StopIteration as end:
        found["headroom"] = ((end.value or MOST + 1) - 1) / PARTS
    return found


def _judged(
    planner: Planner, scenario: Scenario, lost: str, part: int
) -> Generator[Need, None, Judged | None]:
    """Return what few replications say; None when somebody is offered too much for certain."""
    if overload(scenario) is not None:
        return None
    cluster: Cluster = cluster_of(scenario, lost)
    load = "" if part == PARTS else f" at {100 * part // PARTS} % of the load"
    planner.tell(f"without {lost}{load}")
    yield Need((cluster,), REPLICATIONS)
    return judge(
        planner.runs.of(cluster, REPLICATIONS),
        planner.objectives,
        level_of(len(planner.objectives), 1),
        can_overload=planner.can_overload,
    )
