"""A study as one long table: a row per point, replication and metric."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lbbench.core.histogram import quantile_ns
from lbbench.model.result import Result
from lbbench.model.study import Member, Row
from lbbench.stats.evidence import Evidence
from lbbench.stats.intervals import estimate
from lbbench.stats.latency import QUANTILES, SECOND, replications
from lbbench.studies.gathered import gathered
from lbbench.studies.point import result_of
from lbbench.studies.run import Progress
from lbbench.studies.schedule import conditions

if TYPE_CHECKING:
    import polars as pl

    from lbbench.studies.study import Study

MACHINE = ("processor", "cores", "system", "python", "numpy", "numba")

FAILED = "failed"
"""Metric of every replication: 1 where it has no result; ``error`` says why."""


def tidy(study: Study, progress: Progress | None = None) -> pl.DataFrame:
    """Return the study as a table, sorted by point, replication and metric.

    Columns: one per axis (numbers where all values are, texts else), ``point``, ``replication``,
    ``seed``, ``version``, ``error``, ``metric``, ``value``, and what depends on when and where it
    ran: ``wall_s``, ``wall_compile_s``, ``created_at``, ``machine_...``.

    Latencies and the error rate begin behind the warm-up that is common to all points which met the
    same requests; attainment, utilisation, balance and session figures behind the one of the
    replication; counts cover the whole run. Times are in seconds; ``latency.max`` is the highest
    value of its place in the histogram.
    """
    import polars as pl

    kinds = {leaf: _kind([point.values[leaf] for point in study.points]) for leaf in study.axes}
    schema: dict[str, Any] = dict(kinds)
    schema |= {"point": pl.Int64, "replication": pl.Int64, "seed": pl.Int64, "version": pl.String}
    schema |= {"error": pl.String, "metric": pl.String, "value": pl.Float64}
    schema |= {"wall_s": pl.Float64, "wall_compile_s": pl.Float64, "created_at": pl.String}
    schema |= {f"machine_{name}": pl.Int64 if name == "cores" else pl.String for name in MACHINE}
    frames = [pl.DataFrame([], schema=schema)]
    done, total = 0, len(study.points)
    for group in conditions(study.points):
        frames.append(pl.DataFrame(list(_rows_of(study, group, kinds)), schema=schema))
        done += len(group)
        if progress is not None:
            progress("reading", done, total)
    return pl.concat(frames).sort("point", "replication", "metric")


def _rows_of(
    study: Study, group: list[Member], kinds: Mapping[str, type]
) -> Iterator[dict[str, Any]]:
    """Yield the rows of points that met the same requests."""
    found = {member.number: study.rows(member) for member in group}
    first, evidence = gathered(found)
    for member in group:
        axes = {leaf: _cell(kinds[leaf], value) for leaf, value in member.values.items()}
        if member.invalid is not None:
            yield _invalid(axes, member, study.seed)
        for row in found[member.number]:
            about = {**axes, "point": member.number, **_about(row)}
            yield {**about, "metric": FAILED, "value": float(row.status != "done")}
            if row.status == "done":
                result = result_of(row)
                kept = evidence[member.number][row.replication]
                for metric, value in figures(result, kept, first).items():
                    yield {**about, "metric": metric, "value": value}


def figures(result: Result, evidence: Evidence, first: int) -> dict[str, float | None]:
    """Return the metrics of one replication, warm-up being the segments before ``first``."""
    units = replications([evidence], first)
    found = {f"latency.{name}": estimate(units, name) for name in ("mean", *QUANTILES)}
    found["latency.max"] = quantile_ns(units.merged, 1.0) / SECOND if units.merged.any() else None
    found["error_rate"] = estimate(units, "error_rate")
    for name in ("attainment", "utilisation.max"):
        found[name] = result.metric(name)
    found |= _numbers("requests", result.requests)
    found |= _numbers("requests", result.requests["by_error"])
    for stage in result.stages:
        balance = stage["balance"]
        for name in ("max_over_mean", "min_over_mean", "cov", "jain", "total_variation"):
            found[f"{stage['name']}.{name}"] = balance.get(name)
    found |= _numbers("affinity", result.affinity)
    found |= _numbers("network", result.network)
    found |= _numbers("time", result.time_s)
    return found


def _numbers(prefix: str, block: Mapping[str, Any]) -> dict[str, float | None]:
    """Return the plain numbers of a block by dotted name."""
    return {
        f"{prefix}.{name}": None if value is None else float(value)
        for name, value in block.items()
        if value is None or (isinstance(value, (int, float)) and not isinstance(value, bool))
    }


def _about(row: Row) -> dict[str, Any]:
    machine = json.loads(row.machine)
    return {
        "replication": row.replication,
        "seed": row.seed,
        "version": row.version,
        "error": row.error,
        "wall_s": row.wall_s,
        "wall_compile_s": row.compile_s,
        "created_at": row.created,
        **{f"machine_{name}": machine.get(name) for name in MACHINE},
    }


def _invalid(axes: Mapping[str, Any], member: Member, seed: int) -> dict[str, Any]:
    """Return the one row of a combination that is no scenario."""
    return {
        **axes,
        "point": member.number,
        "replication": 0,
        "seed": seed,
        "error": member.invalid,
        "metric": FAILED,
        "value": 1.0,
    }


def _kind(values: Sequence[Any]) -> type:
    """Return the type of an axis' column."""
    if all(isinstance(value, bool) for value in values):
        return bool
    if any(isinstance(value, bool) or not isinstance(value, (int, float)) for value in values):
        return str
    return float if any(isinstance(value, float) for value in values) else int


def _cell(kind: type, value: Any) -> Any:
    """Return a value of an axis as its column holds it."""
    if kind is not str:
        return kind(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
