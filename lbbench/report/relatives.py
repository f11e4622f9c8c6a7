"""How a balancer differs from its relatives: in one sentence, and as the league measured it.

The measurements are shipped in ``lbbench/league/measured.json``, written from a league's own data
(`python -m benchmarks.league`) with the jobs, seeds and version that they come from.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from lbbench.balancers.base import Balancer
from lbbench.report.units import count

MEASURED = Path(__file__).resolve().parent.parent / "league" / "measured.json"

SCHEMA = "lbbench.measured/1"

REFERENCE = "three-replicas-four-workers"
"""The job that is told of every pair, if both did it."""

NOTHING = "not measured yet"

Pair = Mapping[str, Any]


class Relative(NamedTuple):
    """One relative of a balancer."""

    name: str
    how: str  # one sentence
    measured: tuple[str, ...]  # sentences; empty: not measured yet
    pairs: tuple[Pair, ...]  # what they say, as in the league's document


@cache
def measured() -> Mapping[str, Any]:
    """Return the shipped measurements; without pairs where there is no such file."""
    if not MEASURED.is_file():
        return {"schema": SCHEMA, "version": None, "jobs": [], "pairs": []}
    found: Mapping[str, Any] = json.loads(MEASURED.read_text(encoding="utf-8"))
    return found


def relatives(balancer: Balancer, document: Mapping[str, Any] | None = None) -> list[Relative]:
    """Return the relatives that a balancer names, with the measured differences.

    Parameters
    ----------
    document
        Measurements as in the shipped file, which is taken when not given.
    """
    pairs = (measured() if document is None else document)["pairs"]
    made = []
    for other, how in balancer.differs:
        mine = [p for p in pairs if (p["name"], p["other"]) == (balancer.name, other)]
        chosen = _chosen(mine)
        made.append(Relative(other, how, tuple(_sentence(one) for one in chosen), tuple(chosen)))
    return made


def origin(document: Mapping[str, Any] | None = None) -> str:
    """Return where the measurements come from: version, seed, replications, requests."""
    document = measured() if document is None else document
    if not document["jobs"]:
        return ""
    job = next((j for j in document["jobs"] if j["name"] == REFERENCE), document["jobs"][0])
    return (
        f"measured by lbbench {document['version']}: {job['replications']} x "
        f"{count(job['requests'])} requests per job, seed {job['seed']}; again with "
        "lbbench compare --all"
    )


def of_league(league: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is shipped of a league's document: its pairs and the jobs they come from."""
    used = {pair["job"] for pair in league["pairs"]}
    return {
        "schema": SCHEMA,
        "version": league["version"],
        "created": league["created"],
        "jobs": [
            {
                "name": job["name"],
                "seed": job["seed"],
                "replications": job["replications"],
                "requests": job["scenario"]["run"].get("requests"),
            }
            for job in league["jobs"]
            if job["name"] in used
        ],
        "pairs": [
            {key: pair[key] for key in (
                "job", "name", "other", "metric", "a", "b", "difference", "difference_ci95",
                "ratio", "ratio_ci95", "told_apart",
            )}
            for pair in league["pairs"]
        ],
    }  # fmt: skip


def _chosen(pairs: Sequence[Pair]) -> list[Pair]:
    """Return what is told of a pair: p99 at the reference job, and where they differ most."""
    p99 = [pair for pair in pairs if pair["metric"] == "p99"]
    first = next((pair for pair in p99 if pair["job"] == REFERENCE), None) or next(iter(p99), None)
    if first is None:
        return []
    others = [pair for pair in p99 if pair["told_apart"] and pair["ratio"]]
    most = max(others, key=lambda pair: abs(math.log(pair["ratio"])), default=None)
    errors = [pair for pair in pairs if pair["metric"] == "error_rate" and pair["told_apart"]]
    worst = max(errors, key=lambda pair: abs(pair["difference"] or 0.0), default=None)
    told = [first, *(pair for pair in (most, worst) if pair is not None)]
    return [pair for i, pair in enumerate(told) if pair not in told[:i]]


def _sentence(pair: Pair) -> str:
    """Return a measured difference in words."""
    other, job = pair["other"], pair["job"]
    if pair["metric"] == "error_rate":
        low, high = (100.0 * end for end in pair["difference_ci95"])
        return (
            f"errors {100.0 * pair['difference']:+.2f} % of the requests against {other} on {job}, "
            f"95 % {low:.2f} to {high:.2f}"
        )
    if pair["ratio_ci95"] is None:
        return f"p99 {pair['ratio']:.2f}x {other} on {job}, too few runs for an interval" if pair[
            "ratio"] else f"p99 on {job}: nothing to compare"  # fmt: skip
    if not pair["told_apart"]:
        return f"p99 and {other}'s cannot be told apart on {job}"
    low, high = pair["ratio_ci95"]
    digits = 3 if high - low < 0.02 else 2 if high - low < 2.0 else 1
    return (
        f"p99 {pair['ratio']:.{digits}f}x {other} on {job}, 95 % {low:.{digits}f}-{high:.{digits}f}"
    )
