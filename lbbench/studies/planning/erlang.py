"""The classical answer beside the simulated one: M/M/c, one central queue before all places.

It takes the scenario's rate and mean service time, exponential service whatever the law, no
network and no balancer. Limits on the mean and on percentiles of the latency count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from lbbench.errors import ScenarioError
from lbbench.model.topology import topology
from lbbench.stats.latency import QUANTILES
from lbbench.studies.planning.judging import Objective
from lbbench.studies.planning.search import least_far
from lbbench.studies.planning.subject import Subject


def erlang_answer(subject: Subject, objectives: Sequence[Objective]) -> int | None:
    """Return the number that M/M/c asks for; None: none will do, or the traffic is no open one."""
    if subject.load.kind != "open":
        return None
    if subject.is_greatest:
        search = least_far(1, far=subject.most, most=subject.most)
    else:
        search = least_far(subject.own, most=subject.most)
    try:
        number = next(search)
        while True:
            number = search.send(_meets(subject, number, objectives) != subject.is_greatest)
    except StopIteration as end:
        found: int | None = end.value
    if found is not None and subject.is_greatest:
        found -= 1
    return found or None


def least_stable(subject: Subject) -> int:
    """Return the least number (of a rate: the greatest) whose pods can serve all in the long run.

    Counted over all pods together, whatever each gets.
    """
    if subject.load.kind == "closed":
        return 1
    if subject.is_greatest:
        work = topology(subject.base).work()
        return max(math.ceil(work / subject.load.mean_work / subject.step) - 1, 1)
    search = least_far(1, most=subject.most)
    try:
        number = next(search)
        while True:
            work, _ = cluster_at(subject, number) or (0.0, 0)
            number = search.send(work > subject.load.rate * subject.load.mean_work)
    except StopIteration as end:
        return int(end.value or subject.most)


def cluster_at(subject: Subject, number: int) -> tuple[float, int] | None:
    """Return (seconds of work per second, places) of the pods at ``number``; None: no scenario."""
    try:
        scenario = subject.base if subject.is_greatest else subject.at(number)
    except ScenarioError:
        return None
    top = topology(scenario)
    return top.work(), sum(pod.concurrency for pod in top.pods)


def _meets(subject: Subject, number: int, objectives: Sequence[Objective]) -> bool:
    from lbbench.stats.theory import mmc

    cluster = cluster_at(subject, number)
    if cluster is None:
        return False
    work, places = cluster
    mean = subject.load.mean_work * places / work  # of a place of average speed
    load = subject.rate_at(number) * mean / places
    if load >= 1.0:
        return False
    law = mmc(places, load)
    for item in objectives:
        name = item.metric.removeprefix("latency.")
        if name == "mean" and law.mean * mean > item.limit:
            return False
        if name in QUANTILES and law.quantile(QUANTILES[name]) * mean > item.limit:
            return False
    return True
