"""The charts of one result: what its data can show, the most important first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from lbbench.model.result import Result
from lbbench.report.charts.latency_percentiles import LEVELS, latency_percentiles, spectrum_of
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.pod_utilisation import pod_utilisation
from lbbench.report.charts.session_loss import keys_moved, session_loss
from lbbench.report.charts.shares_over_time import shares_over_time
from lbbench.report.charts.shares_per_stage import shares_per_stage


def pictures(result: Result) -> list[Picture]:
    """Return the charts of a result."""
    name = balancer_of(result)
    row = distribution(name, result)
    sessions = [{"series": name, "affinity": result.affinity}]
    made = [
        stages(result),
        latency_percentiles([row], objective=tail_objective(result.slo))
        if row["spectrum"]
        else None,
        over_time(result) if result.changes else None,
        pod_utilisation(busy_rows(name, result)),
        session_loss(sessions) if result.changes else None,
        keys_moved(sessions),
    ]
    return [picture for picture in made if picture is not None]


def balancer_of(result: Result) -> str:
    """Return who chose the pods: the balancer of the last stage."""
    return str(result.stages[-1]["balancer"]) if result.stages else result.name


def stages(result: Result, **more: Any) -> Picture | None:
    """Return which way the requests of a result went; None when it does not say so."""
    return shares_per_stage(
        list(ways(result)),
        homes={str(pod["name"]): str(pod["node"]) for pod in result.pods},
        choosers={str(stage["name"]): str(stage["balancer"]) for stage in result.stages},
        changing=any("from_s" in pod for pod in result.pods),
        **more,
    )


def ways(result: Result) -> Iterator[dict[str, Any]]:
    """Yield the ways that requests of a result went, one from each target to each of the next."""
    for flow in result.flows:
        for begin, row in zip(flow["from"], flow["requests"], strict=True):
            for end, requests in zip(flow["to"], row, strict=True):
                yield {
                    "from_stage": flow["from_stage"],
                    "from": begin,
                    "to_stage": flow["to_stage"],
                    "to": end,
                    "requests": requests,
                }


def over_time(result: Result, **more: Any) -> Picture | None:
    """Return who got which share of the requests of a result when."""
    if not result.windows:
        return None
    return shares_over_time(result.windows, pods=result.pods, changes=result.changes, **more)


def distribution(series: str, result: Result) -> dict[str, Any]:
    """Return a result's latencies as a row of `latency_percentiles`."""
    block = result.latency_s
    return {
        "series": series,
        "n": block["n"],
        "spectrum": spectrum_of(block),
        "ci95_s": block.get("ci95") or {},
    }


def busy_rows(series: str, result: Result) -> list[dict[str, Any]]:
    """Return a result's pods as rows of `pod_utilisation`."""
    return [
        {
            "series": series,
            "pod": pod["name"],
            "node": pod["node"],
            "utilisation": pod["utilisation"],
        }
        for pod in result.pods
    ]


def tail_objective(slo: Mapping[str, Any] | None) -> tuple[str, float] | None:
    """Return the first objective that is a percentile of the latency: its name and seconds."""
    for item in (slo or {}).get("objectives", ()):
        name = str(item["metric"]).removeprefix("latency.")
        if name in LEVELS:
            return name, float(item["limit"])
    return None
