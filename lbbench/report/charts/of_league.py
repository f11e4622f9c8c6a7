"""The charts of a league: every entrant at every job, and what a good tail costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from lbbench.report.charts.pick_cost_against_quality import pick_cost_against_quality
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.tail_by_job import tail_by_job

NAMES = {"ingress": "", "service": "kube-proxy-"}
WHO = {"ingress": "", "service": ", modes of kube-proxy"}


def pictures(document: Mapping[str, Any]) -> list[Picture]:
    """Return the charts of a league (schema lbbench.league/1): per path, where it has several jobs.

    A single job has the second kind only.
    """
    made: list[Picture] = []
    for ranking in document["rankings"]:
        made += _of_ranking(document, ranking)
    if not document["rankings"]:
        for job in document["jobs"]:
            made += _cost([_point(one, one["p99_to_best"]) for one in job["entrants"]
                           if not one["fails"]], job["path"], job["name"])  # fmt: skip
    return made


def _of_ranking(document: Mapping[str, Any], ranking: Mapping[str, Any]) -> Iterator[Picture]:
    path = ranking["path"]
    jobs = [job for job in document["jobs"] if job["path"] == path]
    order = [one["name"] for one in ranking["entrants"]] + list(ranking["partly"])
    yield tail_by_job(
        sorted((_cell(job, one) for job in jobs for one in job["entrants"]),
               key=lambda row: order.index(row["entrant"])),
        jobs=[job["name"] for job in jobs],
        name=f"{NAMES[path]}p99-by-job",
        title=f"p99 as a multiple of the best at each job{WHO[path]}",
        note="Rows by the geometric mean; 95 % intervals are in the tables.",
    )  # fmt: skip
    points = [_point(one, one["p99_to_best"]) for one in ranking["entrants"]]
    yield from _cost(points, path, f"{len(ranking['p99_jobs'])} jobs")


def _cost(points: Sequence[Mapping[str, Any]], path: str, where: str) -> Iterator[Picture]:
    known = [row for row in points if row["ns"] is not None and row["quality"] is not None]
    if known:
        yield pick_cost_against_quality(
            known,
            quality="p99 / best (ratio)",
            lower="has the shorter tail",
            name=f"{NAMES[path]}p99-against-pick-cost",
            title=f"What a pick costs, and the p99 that it buys, {where}{WHO[path]}",
            note="The time is that of a balancer alone, on the machine of the league.",
        )


def _cell(job: Mapping[str, Any], one: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "entrant": one["name"],
        "job": job["name"],
        "ratio": one["p99_to_best"]["value"],
        "failed": one["error_rate"]["value"] if one["fails"] else None,
    }


def _point(one: Mapping[str, Any], ratio: Mapping[str, Any]) -> dict[str, Any]:
    picks = one["picks_per_s"]["value"]
    return {
        "balancer": one["name"],
        "ns": None if not picks else 1e9 / picks,
        "quality": ratio["value"],
    }
