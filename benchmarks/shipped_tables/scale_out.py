"""Tables of results/scale-out: sessions, load of the new pods, the tail, over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from benchmarks.shipped_tables.cells import plus_minus, table
from lbbench.model.result import Result
from lbbench.model.study import Member
from lbbench.studies.study import Study

RATE, LIFETIME = "traffic.arrivals.rate", "traffic.sessions.lifetime.mean"
BALANCER, REQUESTS = "stages.ingress.balancer", "traffic.connections.requests"
OLD, NEW = 10, 5
ENOUGH = 0.9
"""New pods carry their share when they have this much of it."""

Windows = Sequence[Mapping[str, Any]]


def sessions(study: Study) -> str:
    """Return what became of sessions and keys, by balancer and life of a session."""
    rows = []
    for point in _told(study):
        if point.values[RATE] != "400/s":
            continue
        results = study.results(point)
        of = _affinity(results)
        rows.append(
            [
                str(point.values[BALANCER]),
                _life(point),
                str(results[0].affinity["unit"]),
                of("remap_fraction", 100.0, 1),
                of("session_loss", 1.0, 0) if results[0].affinity["requests"] else "–",
            ]
        )
    columns = [
        "balancer",
        "life of a session",
        "unit",
        "requests of known units that go elsewhere, %",
        "requests on another pod than the session's last, in 10 min",
    ]
    return table(columns, rows, left=3)


def load(study: Study) -> str:
    """Return how fast the new pods get their share, and how even the pods are in the end."""
    rows = []
    for point in _told(study):
        results = study.results(point)
        cells = [
            lambda r: _busiest(r, -180.0, 0.0) / OLD * 100.0,
            _until_enough,
            lambda r: _new_share(r, 60.0, 120.0) * 100.0,
            lambda r: _new_share(r, 240.0, 360.0) * 100.0,
            lambda r: _busiest(r, 240.0, 360.0) / (OLD + NEW) * 100.0,
        ]
        rows.append([*_named(point), *_cells(results, cells, (1, 0, 1, 1, 1))])
    columns = [
        "balancer",
        "rate",
        "life of a session",
        "busiest pod before, %",
        "s until 90 % of their share",
        "new pods' share after 1 to 2 min, %",
        "after 4 to 6 min, %",
        "busiest pod then, %",
    ]  # fmt: skip
    return table(columns, rows, left=3)


def tail(study: Study) -> str:
    """Return the p99 of five-second windows before and after the change."""
    rows = []
    for point in _told(study):
        results = study.results(point)
        cells = [
            lambda r: _p99(r, -120.0, 0.0),
            lambda r: _p99(r, 0.0, 30.0),
            lambda r: _p99(r, 30.0, 90.0),
            lambda r: _p99(r, 240.0, 360.0),
        ]
        rows.append([*_named(point), *_cells(results, cells, (0, 0, 0, 0))])
    columns = ["balancer", "rate", "life of a session", "p99 in the 2 min before, ms",
               "first 30 s after, ms", "30 to 90 s, ms", "4 to 6 min, ms"]  # fmt: skip
    return table(columns, rows, left=3)


def keep_alive(study: Study) -> str:
    """Return how fast new pods get their share on the service path, by requests per connection."""
    rows = []
    for point in study.points:
        results = study.results(point)
        cells = [
            _until_enough,
            lambda r: _new_share(r, 60.0, 120.0) * 100.0,
            lambda r: _new_share(r, 780.0, 900.0) * 100.0,
            lambda r: _p99(r, -120.0, 0.0),
            lambda r: _p99(r, 780.0, 900.0),
        ]
        rows.append([_kept(point.values[REQUESTS]), *_cells(results, cells, (0, 1, 1, 0, 0))])
    columns = ["requests per connection", "s until 90 % of their share",
               "new pods' share after 1 to 2 min, %", "after 13 to 15 min, %",
               "p99 in the 2 min before, ms", "13 to 15 min after, ms"]  # fmt: skip
    return table(columns, rows)


def _named(point: Member) -> list[str]:
    return [str(point.values[BALANCER]), str(point.values[RATE]), _life(point)]


def _life(point: Member) -> str:
    return str(point.values[LIFETIME]) if "sticky" in point.values[BALANCER] else "any"


def _told(study: Study) -> list[Member]:
    """Return the points that differ: without cookies the life of a session changes nothing."""
    first = study.points[0].values[LIFETIME]
    return [
        point
        for point in study.points
        if "sticky" in point.values[BALANCER] or point.values[LIFETIME] == first
    ]


def _kept(value: Any) -> str:
    return f"{value['geometric']:g} on average" if isinstance(value, Mapping) else str(value)


def _cells(
    results: Sequence[Result],
    figures: Sequence[Callable[[Result], float | None]],
    digits: Sequence[int],
) -> list[str]:
    """Return each figure as a mean over the replications with half its interval."""
    return [
        plus_minus([figure(result) for result in results], places)
        for figure, places in zip(figures, digits, strict=True)
    ]


def _affinity(results: Sequence[Result]) -> Callable[[str, float, int], str]:
    def cell(name: str, factor: float, digits: int) -> str:
        return plus_minus([result.affinity[name] for result in results], digits, factor)

    return cell


def _between(result: Result, begin: float, end: float) -> Windows:
    """Return the windows between two times, seconds relative to the change."""
    at = float(result.changes[0]["at_s"])
    return [w for w in result.windows if at + begin <= w["start_s"] and w["end_s"] <= at + end]


def _new_share(result: Result, begin: float, end: float) -> float:
    windows = _between(result, begin, end)
    whole = sum(sum(w["per_pod"]) for w in windows)
    return sum(sum(w["per_pod"][OLD:]) for w in windows) / whole if whole else 0.0


def _until_enough(result: Result) -> float | None:
    """Return the seconds after which new pods have, and keep, 90 % of a third over 30 s."""
    windows = _between(result, 0.0, 1e9)
    wanted = ENOUGH * NEW / (OLD + NEW)
    width = windows[0]["end_s"] - windows[0]["start_s"]
    at_once = max(round(30.0 / width), 1)
    for i in range(len(windows) - at_once + 1):
        some = windows[i : i + at_once]
        whole = sum(sum(w["per_pod"]) for w in some)
        if sum(sum(w["per_pod"][OLD:]) for w in some) >= wanted * whole:
            return float(some[0]["start_s"]) - float(result.changes[0]["at_s"])
    return None


def _busiest(result: Result, begin: float, end: float) -> float:
    """Return the busiest pod's requests over the mean of the pods that are there."""
    windows = _between(result, begin, end)
    sums = [sum(column) for column in zip(*(w["per_pod"] for w in windows), strict=True)]
    there = sums[:OLD] if end <= 0.0 else sums
    return max(there) * len(there) / sum(there)


def _p99(result: Result, begin: float, end: float) -> float:
    """Return the median over windows of their p99, in milliseconds: what most of them show."""
    found = [w["latency_p99_s"] for w in _between(result, begin, end)]
    return 1e3 * median(value for value in found if value is not None)
