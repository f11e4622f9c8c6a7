"""The charts of one result: what its data can show, the most important first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.model.result import Result
from lbbench.report.charts.latency_percentiles import LEVELS, latency_percentiles, spectrum_of
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.shares_per_stage import shares_per_stage


def pictures(result: Result) -> list[Picture]:
    """Return the charts of a result."""
    made: list[Picture] = []
    flow = shares_per_stage(
        getattr(result, "flows", ()),
        homes={str(pod["name"]): str(pod["node"]) for pod in result.pods},
        choosers={str(stage["name"]): str(stage["balancer"]) for stage in result.stages},
        changing=any("from_s" in pod for pod in result.pods),
    )
    if flow is not None:
        made.append(flow)
    row = distribution(balancer_of(result), result)
    if row["spectrum"]:
        made.append(latency_percentiles([row], objective=tail_objective(result.slo)))
    return made


def balancer_of(result: Result) -> str:
    """Return who chose the pods: the balancer of the last stage."""
    return str(result.stages[-1]["balancer"]) if result.stages else result.name


def distribution(series: str, result: Result) -> dict[str, Any]:
    """Return a result's latencies as a row of `latency_percentiles`."""
    block = result.latency_s
    return {
        "series": series,
        "n": block["n"],
        "spectrum": spectrum_of(block),
        "ci95_s": block.get("ci95") or {},
    }


def tail_objective(slo: Mapping[str, Any] | None) -> tuple[str, float] | None:
    """Return the first objective that is a percentile of the latency: its name and seconds."""
    for item in (slo or {}).get("objectives", ()):
        name = str(item["metric"]).removeprefix("latency.")
        if name in LEVELS:
            return name, float(item["limit"])
    return None
