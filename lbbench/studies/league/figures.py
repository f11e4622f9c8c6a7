"""What the league says of an entrant at a job: figures with intervals, all from its replications.

Each figure keeps how far every replication pulls it away from the truth ("influence", see
stats/intervals.py), so that figures of several jobs can be put together with an interval that knows
that replication i of every job and entrant met the same random streams.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.model.result import Result
from lbbench.stats.batching import error_of
from lbbench.stats.intervals import (
    Interval,
    all_intervals,
    estimate,
    influence,
    interval,
    student,
)
from lbbench.stats.latency import Counted, Units

TIMES = ("p50", "p99")
SHARES = ("max_over_mean", "error_rate", "session_loss")
FIGURES = (*TIMES, *SHARES)
"""Figures of every entrant at every job, in the order in which they are shown."""


@dataclass(frozen=True)
class Figure:
    """A figure, its 95 % interval, and the pull of each replication on it, in its own unit.

    ``value`` is seconds for latencies, else a plain number or share; None: nothing was counted.
    ``pulls`` is empty where there is a single replication.
    """

    value: float | None
    ci95: Interval | None = None
    pulls: tuple[float, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Return value and interval as plain data."""
        ci95 = None if self.ci95 is None else list(self.ci95)
        return {"value": self.value, "ci95": ci95}


def figures_of(
    results: Sequence[Result], evidence: Sequence[Counted], first: int
) -> dict[str, Figure]:
    """Return `FIGURES` of one entrant at one job.

    Parameters
    ----------
    results, evidence
        Of its replications, by number.
    first
        Segments that are warm-up, the same for all entrants.
    """
    units, _, found = all_intervals(evidence, first)
    made = {name: Figure(estimate(units, name), found[name], _pulls(units, name)) for name in TIMES}
    made["max_over_mean"] = mean_of([max_over_mean(r) for r in results])
    made["error_rate"] = Figure(
        estimate(units, "error_rate"), _from_zero(interval(units, "error_rate")),
        _pulls(units, "error_rate"),
    )  # fmt: skip
    made["session_loss"] = _from_zero_figure(mean_of([_session_loss(r) for r in results]))
    return made


def max_over_mean(result: Result) -> float | None:
    """Return the requests of the busiest pod over those of the mean pod, per second of its life.

    Of the whole run. Unlike the balance of a stage it does not ask what the rules promise: a hash
    ring that gives one pod a larger arc is uneven here.
    """
    end = result.time_s["simulated"]
    lives = [
        (end if pod.get("to_s") is None else pod["to_s"]) - pod.get("from_s", 0.0)
        for pod in result.pods
    ]
    known = [
        (pod["requests"], life) for pod, life in zip(result.pods, lives, strict=True) if life > 0
    ]
    mean = sum(n for n, _ in known) / sum(life for _, life in known) if known else 0.0
    return max(n / life for n, life in known) / mean if mean > 0.0 else None


def mean_of(values: Sequence[float | None]) -> Figure:
    """Return the mean of independent replications with Student's interval; None among them: none.

    A single value has no interval.
    """
    known = [value for value in values if value is not None]
    if not known or len(known) < len(values):
        return Figure(None)
    middle = math.fsum(known) / len(known)
    if len(known) == 1:
        return Figure(middle)
    pulls = np.array(known) - middle
    half = student(len(known) - 1) * error_of(pulls)
    return Figure(middle, (middle - half, middle + half), tuple(pulls.tolist()))


def mean_over_jobs(figures: Sequence[Figure]) -> Figure:
    """Return the mean of one figure over several jobs; the interval is that of its replications."""
    values = [figure.value for figure in figures]
    if not values or any(value is None for value in values):
        return Figure(None)
    middle = math.fsum(value for value in values if value is not None) / len(values)
    pulls = _common_pulls(figures)
    if pulls is None:
        return Figure(middle)
    half = student(len(pulls) - 1) * error_of(pulls)
    return Figure(middle, (middle - half, middle + half), tuple(pulls.tolist()))


def ratio_over_jobs(ours: Sequence[Figure], best: Sequence[Figure]) -> Figure:
    """Return the geometric mean of ``ours / best`` over jobs; its interval is even in logarithms.

    The two of a job met the same requests: their relative pulls are subtracted, replication by
    replication, before a spread is taken.
    """
    pairs = list(zip(ours, best, strict=True))
    if not pairs or any(not a.value or not b.value for a, b in pairs):
        return Figure(None)
    logs = [math.log((a.value or 1.0) / (b.value or 1.0)) for a, b in pairs]
    middle = math.exp(math.fsum(logs) / len(logs))
    relative = [_relative(figure) for pair in pairs for figure in pair]
    pulls_a, pulls_b = _common_pulls(relative[0::2]), _common_pulls(relative[1::2])
    if pulls_a is None or pulls_b is None or len(pulls_a) != len(pulls_b):
        return Figure(middle)
    half = student(len(pulls_a) - 1) * error_of(pulls_a - pulls_b)
    return Figure(middle, (middle * math.exp(-half), middle * math.exp(half)))


def from_dict(document: Mapping[str, Any]) -> Figure:
    """Return a figure of a league's document."""
    ci95 = document["ci95"]
    return Figure(document["value"], None if ci95 is None else (ci95[0], ci95[1]))


def _pulls(units: Units, name: str) -> tuple[float, ...]:
    pull = influence(units, name) if units.source == "replications" else None
    return () if pull is None or len(pull) < 2 else tuple(pull.tolist())


def _relative(figure: Figure) -> Figure:
    scale = figure.value or 1.0
    return Figure(figure.value, None, tuple(pull / scale for pull in figure.pulls))


def _common_pulls(figures: Sequence[Figure]) -> np.ndarray | None:
    """Return the mean pull of each replication over jobs, float64[R]; None where they differ."""
    sizes = {len(figure.pulls) for figure in figures}
    if len(sizes) != 1 or sizes.pop() < 2:
        return None
    mean: np.ndarray = np.mean([figure.pulls for figure in figures], axis=0)
    return mean


def _session_loss(result: Result) -> float | None:
    """Return the share of the requests of known sessions (or keys) that met another pod."""
    known = result.affinity["requests"]
    return result.affinity["session_loss"] / known if known else None


def _from_zero(ci95: Interval | None) -> Interval | None:
    """Return the interval of a share: none is below 0 or above 1."""
    return None if ci95 is None else (max(ci95[0], 0.0), min(ci95[1], 1.0))


def _from_zero_figure(figure: Figure) -> Figure:
    return Figure(figure.value, _from_zero(figure.ci95), figure.pulls)
