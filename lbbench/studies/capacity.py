"""How much the pods can serve as a cluster changes: from the steps of its life, without a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from lbbench.engines.script import DOOR, MEMBER, OPEN, SPEED

if TYPE_CHECKING:
    from lbbench.engines.timeline.life import Life


@dataclass(frozen=True)
class Strength:
    """What the pods can serve from one time to another.

    Attributes
    ----------
    begin, end
        Seconds.
    work
        Seconds of work per second: the sum of speed x concurrency over the pods that serve.
    pods
        How many do: ready members of the cluster with an open door that do not stand still.
    """

    begin: float
    end: float
    work: float
    pods: int


def strengths(life: Life, stop: float) -> list[Strength]:
    """Return what the pods can serve from 0 to ``stop`` seconds; neighbouring pieces differ."""
    pods = life.topology.pods
    places = np.array([pod.concurrency for pod in pods], float)
    speed = np.array([pod.speed for pod in pods], float)
    is_open = np.ones(len(pods), bool)
    is_member = np.zeros(len(pods), bool)
    is_member[[*life.first_pods, *life.canary_pods]] = True
    found: list[Strength] = []
    begin = 0.0

    def take(end: float) -> None:
        serves = is_member & is_open & (speed > 0.0)
        work = float((speed * places)[serves].sum())
        if end <= begin:
            return
        if found and (found[-1].work, found[-1].pods) == (work, int(serves.sum())):
            found[-1] = replace(found[-1], end=end)
        else:
            found.append(Strength(begin, end, work, int(serves.sum())))

    for step in life.steps:
        if step.op not in (SPEED, DOOR, MEMBER) or step.time >= stop:
            continue
        if step.time > begin:
            take(step.time)
            begin = step.time
        if step.op == SPEED:
            speed[step.a] = step.value
        elif step.op == DOOR:
            is_open[step.a] = step.b == OPEN
        else:
            is_member[step.a] = bool(step.b)
    take(stop)
    return found
