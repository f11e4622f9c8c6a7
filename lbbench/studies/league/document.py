"""The league as plain data (schema lbbench.league/1), the ranking over its jobs among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.studies.league.figures import (
    FIGURES,
    SHARES,
    TIMES,
    Figure,
    mean_over_jobs,
    ratio_over_jobs,
)
from lbbench.studies.league.league import League, endpoints
from lbbench.studies.league.table import JobTable, Pair, Standing

SCHEMA = "lbbench.league/1"


def to_dict(found: League) -> dict[str, Any]:
    """Return the league as plain data.

    ``jobs`` have their scenario, seed and replications, ``entrants`` (the best first, each figure
    with value and ``ci95``; seconds, shares, plain numbers) and ``missing`` with reasons;
    ``rankings`` have a list per path; ``pairs`` the measured differences of relatives.
    """
    return {
        "schema": SCHEMA,
        "version": found.version,
        "created": found.created,
        "machine": dict(found.machine),
        "wall_s": round(found.wall_s, 1),
        "jobs": [_job(found, table) for table in found.tables],
        "rankings": [
            _ranking(found, tables) for tables in _by_path(found.tables) if len(tables) > 1
        ],
        "pairs": [_pair(table, pair) for table in found.tables for pair in table.pairs],
        "no_picks": [{"balancer": name, "reason": text} for name, text in found.no_picks.items()],
    }


def _by_path(tables: Sequence[JobTable]) -> list[list[JobTable]]:
    paths = dict.fromkeys(table.scenario["path"] for table in tables)
    return [[table for table in tables if table.scenario["path"] == path] for path in paths]


def _job(found: League, table: JobTable) -> dict[str, Any]:
    return {
        "name": table.name,
        "question": table.question,
        "path": table.scenario["path"],
        "seed": table.scenario["run"]["seed"],
        "replications": table.replications,
        "warmup_segments": table.warmup_segments,
        "endpoints": endpoints(table.scenario),
        "counts": table.counts,
        "scenario": dict(table.scenario),
        "entrants": [
            _entrant(place, one, found.picks_of(table, one.entrant.balancer))
            for place, one in enumerate(table.standings, 1)
        ],
        "missing": [{"name": name, "reason": why} for name, why in table.missing.items()],
    }


def _entrant(place: int, one: Standing, picks: Figure) -> dict[str, Any]:
    return {
        "place": place,
        "name": one.entrant.name,
        "balancer": one.entrant.balancer,
        "values": dict(one.entrant.values),
        **{name: one.figures[name].to_dict() for name in FIGURES},
        "p99_to_best": one.ratio.to_dict(),
        "picks_per_s": picks.to_dict(),
        "utilisation_max": one.utilisation,
        "fails": one.fails,
        "warnings": list(one.warnings),
    }


def _ranking(found: League, tables: Sequence[JobTable]) -> dict[str, Any]:
    """Return who is how good over several jobs: only those who did all of them.

    Latencies are geometric means of the ratio to the best of each job, over the jobs that p99
    orders; shares are means over all jobs.
    """
    counted = [table for table in tables if table.counts]
    by_job = [{one.entrant.name: one for one in table.standings} for table in tables]
    everywhere = [name for name in by_job[0] if all(name in some for some in by_job)]
    rows = [_ranked(found, name, tables, counted) for name in everywhere]
    rows.sort(key=_order)
    partly = sorted({name for some in by_job for name in some} - set(everywhere))
    return {
        "path": tables[0].scenario["path"],
        "jobs": [table.name for table in tables],
        "p99_jobs": [table.name for table in counted],
        "entrants": [{"place": place, **row} for place, row in enumerate(rows, 1)],
        "partly": partly,
    }


def _ranked(
    found: League, name: str, tables: Sequence[JobTable], counted: Sequence[JobTable]
) -> dict[str, Any]:
    mine = {
        table.name: next(one for one in table.standings if one.entrant.name == name)
        for table in tables
    }
    row: dict[str, Any] = {"name": name}
    for figure in TIMES:
        ours = [mine[table.name].figures[figure] for table in counted]
        row[f"{figure}_to_best"] = ratio_over_jobs(
            ours, [_best(t, figure) for t in counted]
        ).to_dict()
    for figure in SHARES:
        row[figure] = mean_over_jobs([one.figures[figure] for one in mine.values()]).to_dict()
    balancer = next(iter(mine.values())).entrant.balancer
    row["picks_per_s"] = found.picks_of(tables[0], balancer).to_dict()
    row["fails"] = [job for job, one in mine.items() if one.fails]
    row["places"] = {
        table.name: 1 + [one.entrant.name for one in table.standings].index(name)
        for table in tables
    }
    return row


def _best(table: JobTable, figure: str) -> Figure:
    """Return the least value of a figure among those who do not fail at a job."""
    sound = [one for one in table.standings if not one.fails] or list(table.standings)
    return min(
        (one.figures[figure] for one in sound),
        key=lambda item: float("inf") if item.value is None else item.value,
    )


def _order(row: Mapping[str, Any]) -> tuple[float, str]:
    value = row["p99_to_best"]["value"]
    return (float("inf") if value is None else value), row["name"]


def _pair(table: JobTable, pair: Pair) -> dict[str, Any]:
    found = pair.difference
    return {
        "job": table.name,
        "name": pair.name,
        "other": pair.other,
        "metric": found.metric,
        "a": found.a,
        "b": found.b,
        "difference": found.difference,
        "difference_ci95": _listed(found.difference_ci95),
        "ratio": found.ratio,
        "ratio_ci95": _listed(found.ratio_ci95),
        "told_apart": pair.told_apart,
    }


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)
