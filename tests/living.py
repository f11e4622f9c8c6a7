"""Make lives of clusters in tests, and read their steps."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
from scipy import stats

from lbbench.core.rng import stream
from lbbench.engines import script
from lbbench.engines.timeline import Life, life_of
from lbbench.engines.timeline.track import Track
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology

FALSE_ALARM = 1e-5  # of each test of a law

NAMES = {
    getattr(script, name): name
    for name in (
        "SPEED", "DOOR", "EMPTY", "DROP_IDLE", "MEMBER", "NODE", "ROUTES", "CUT", "LB_VIEW",
        "NODE_VIEW", "WORKER_VIEW",
    )
}  # fmt: skip
DOORS = ("OPEN", "REFUSE", "SILENT", "ERROR", "ERROR_RETRIED")


def scenario_of(*timeline: dict[str, Any], **keys: Any) -> Scenario:
    """Return a scenario with a timeline; keys as in a file."""
    return build({"traffic": {"utilisation": 0.5}, "timeline": list(timeline), **keys})


def lived(scenario: Scenario, *, replication: int = 0, horizon: float = 400.0) -> Life:
    """Return the life of a scenario's cluster."""
    return life_of(scenario, topology(scenario), replication=replication, horizon=horizon)


def life(*timeline: dict[str, Any], horizon: float = 400.0, **keys: Any) -> Life:
    """Return the life of a cluster with a timeline."""
    return lived(scenario_of(*timeline, **keys), horizon=horizon)


def told(steps: Iterable[script.Step], *ops: str) -> list[tuple[Any, ...]]:
    """Return CHANGE steps in words: (time, "DOOR", pod, "REFUSE"), (time, "SPEED", pod, 0.5)."""
    found: list[tuple[Any, ...]] = []
    for step in steps:
        name = NAMES[step.op]
        if name not in ops:
            continue
        what: Any = step.b
        if name == "SPEED":
            what = round(step.value, 9)
        if name == "DOOR":
            what = DOORS[step.b]
        if name == "EMPTY":
            what = ("RESET", "LOST")[step.b]
        found.append((step.time, name, step.a, what))
    return found


def views(
    found: Life, op: int, viewer: int | None = None
) -> list[tuple[float, int, tuple[int, ...]]]:
    """Return (time, viewer, list) of the steps of one kind."""
    return [
        (step.time, step.a, step.listed)
        for step in found.steps
        if step.op == op and viewer in (None, step.a)
    ]


def track(first: Any, *changes: tuple[float, Any]) -> Track[Any]:
    """Return a track whose i-th change goes back to change i of the timeline."""
    made = Track(first)
    for i, (time, value) in enumerate(changes):
        made.put(time, value, frozenset({i}))
    return made


@cache
def uniforms(n: int, name: str = "when") -> np.ndarray:
    """Return n numbers in [0, 1) that are the same in every run."""
    seed = int(stream(1, 0, "tests", name)[0] >> np.uint64(1))
    return np.random.default_rng(seed).random(n)


def is_uniform(values: Iterable[float], low: float, high: float) -> bool:
    """Tell whether values are plausible draws from U(low, high): Kolmogorov and Smirnov's test."""
    found = np.array(list(values))
    assert low <= found.min()
    assert found.max() <= high
    return bool(stats.kstest(found, stats.uniform(low, high - low).cdf).pvalue > FALSE_ALARM)
