"""The tables of one result: latency, objectives, shares of the stages, pods, parts, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.text import Text

from lbbench.model.result import Result
from lbbench.report.changes import affinity_table, changes_table, losses_text
from lbbench.report.layout import Grid
from lbbench.report.observed import Observed
from lbbench.report.units import (
    count,
    digits_for,
    milliseconds,
    moment,
    p_value,
    percent,
    percentile,
    ratio,
    seconds,
    span,
)

MANY = 20  # rows that a table shows in full
ENDS = 5  # rows from either end of a longer one
STAGE_TITLES = {
    "azure_lb": "nodes, chosen by the load balancer",
    "kube_proxy": "endpoints, chosen by kube-proxy",
    "reuse_port": "nginx workers, chosen by SO_REUSEPORT",
    "ingress": "pods, chosen by the ingress balancer",
}


def tables_of(result: Result) -> list[Grid | Text]:
    """Return the tables of a result, those without content left out."""
    made: list[Grid | Text] = [latency_table(result)]
    if result.slo:
        made.append(objectives_table(result.slo))
    if result.changes:
        made.append(changes_table(result.changes))
    alone = [stage for stage in result.stages if len(stage["targets"]) == 1]
    if alone:
        made.append(alone_text(alone))
    made += [stage_table(stage) for stage in result.stages if stage not in alone]
    made.append(pods_table(result))
    made.append(breakdown_table(result))
    if result.requests["failed"]:
        made.append(errors_table(result))
    made += [
        part for part in (affinity_table(result.affinity), losses_text(result.network)) if part
    ]
    return made


def latency_table(result: Result) -> Grid:
    """Return mean, percentiles and maximum with their 95 % intervals, observed ones beside."""
    block, intervals = result.latency_s, result.latency_s["ci95"]
    names = ("mean", "p50", "p90", "p95", "p99", "p999", "max")
    known = [name for name in names if block[name] is not None]
    digits = digits_for(block[name] for name in known)
    seen = Observed.of(result).latency
    rows = []
    for name in known:
        row = [
            percentile(name),
            milliseconds(block[name], digits),
            span(intervals.get(name), digits),
        ]
        if seen:
            row.append(milliseconds(seen.get(name), digits))
        rows.append(row)
    source = f" from {intervals['from']}" if intervals.get("from") else ""
    columns = ["", "ms", f"95 % interval{source}"] + (["observed ms"] if seen else [])
    return Grid(f"latency of {count(block['n'])} requests", columns, rows)


def objectives_table(slo: Mapping[str, Any]) -> Grid:
    """Return the objectives and whether they were met."""
    rows = []
    for item in slo["objectives"]:
        name = str(item["metric"])
        shown = [seconds(item[key]) if name.startswith("latency.")
                 else f"{percent(item[key], 2)} %" for key in ("limit", "value")]  # fmt: skip
        rows.append([name, *shown, {True: "met", False: "missed"}.get(item["met"], "unknown")])
    attained = f", attainment {percent(slo['attainment'], 2)} %" if slo.get("attainment") else ""
    return Grid(f"objectives{attained}", ["", "limit", "found", ""], rows)


def alone_text(stages: Sequence[Mapping[str, Any]]) -> Text:
    """Return one line for the stages that have nothing to choose."""
    chosen = [f"{STAGE_TITLES[stage['name']].partition(',')[0]} ({stage['targets'][0]['name']})"
              for stage in stages]  # fmt: skip
    return Text(f"only one each: {', '.join(chosen)}")


def stage_table(stage: Mapping[str, Any]) -> Grid:
    """Return the shares of a stage's targets, with its balance in the title."""
    balance = stage["balance"]
    left_out = set()
    if all(target["connections"] is None for target in stage["targets"]):
        left_out.add("connections")
    if all(target["expected_share"] is None for target in stage["targets"]):
        left_out.add("expected %")
    rows = []
    for target in ends(stage["targets"]):
        row = [
            str(target["name"]),
            count(target["connections"]),
            count(target["requests"]),
            percent(target["share"], 2),
            percent(target["expected_share"], 2),
        ]
        rows.append(row)
    names = ["", "connections", "requests", "share %", "expected %"]
    kept = [i for i, name in enumerate(names) if name not in left_out]
    title = STAGE_TITLES.get(stage["name"], stage["name"])
    who = "" if stage["name"] == stage["balancer"] else f" {stage['balancer']}"
    return Grid(
        f"{title}{who}, per {stage['unit'].removesuffix('s')}: {balance_text(balance)}",
        [names[i] for i in kept],
        [[row[i] for i in kept] for row in rows],
        spare=["connections" if stage["unit"] == "requests" else "requests"],
    )


def balance_text(balance: Mapping[str, Any]) -> str:
    """Return the balance figures of a stage in one line."""
    parts = [f"max/mean {ratio(balance['max_over_mean'])}"]
    if balance["cov"] is not None:
        parts += [f"CoV {ratio(balance['cov'], 4)}", f"Jain {ratio(balance['jain'], 4)}"]
    if balance["chi2"] is not None and balance["df"]:
        chance = p_value(balance["p_value"])
        parts.append(f"chi2 {ratio(balance['chi2'], 1)} (df {balance['df']}, p {chance})")
    return ", ".join(parts + ([balance["note"]] if balance["note"] else []))


def pods_table(result: Result) -> Grid:
    """Return requests, share, load and latency of the pods; beside it what was observed.

    Pods that come or go have a column for either; load is that of the time between.
    """
    observed = Observed.of(result)
    shown = ends(result.pods)
    digits = digits_for(pod["latency_s"]["mean"] for pod in shown)
    columns = ["", "node", "requests", "share %", "load %", "in flight", "mean ms", "p99 ms",
               "errors"]  # fmt: skip
    if observed.pods:
        columns.insert(4, "observed %")
    lives = any("from_s" in pod for pod in result.pods)
    if lives:
        columns[2:2] = ["from s", "to s"]
    rows = []
    for pod in shown:
        row = [
            str(pod["name"]),
            str(pod["node"]),
            count(pod["requests"]),
            percent(pod["share"], 2),
            percent(pod["utilisation"]),
            ratio(pod["in_flight"]["mean"], 2),
            milliseconds(pod["latency_s"]["mean"], digits),
            milliseconds(pod["latency_s"]["p99"], digits),
            count(pod["errors"]),
        ]
        if observed.pods:
            row.insert(4, percent(observed.share(str(pod["name"])), 2))
        if lives:
            row[2:2] = [moment(pod.get("from_s")), moment(pod.get("to_s"))]
        rows.append(row)
    title = "pods" + (f" (observed: {observed.title})" if observed.pods else "")
    return Grid(
        title,
        columns,
        rows,
        spare=["in flight", "errors", "node", "mean ms"],
        left=frozenset({"node"}),
    )


def breakdown_table(result: Result) -> Grid:
    """Return where the latency comes from."""
    parts = result.latency_by_stage_s
    whole = sum(part["mean"] or 0.0 for part in parts.values())
    digits = digits_for([whole / 10.0])
    rows = [
        [
            name.replace("_", " "),
            milliseconds(part["mean"], digits),
            percent((part["mean"] or 0.0) / whole if whole else None),
            milliseconds(part["p99"], digits),
        ]
        for name, part in parts.items()
    ]
    columns = ["", "mean ms", "% of mean", "p99 ms"]
    return Grid("where the latency comes from", columns, rows, spare=["% of mean"])


def errors_table(result: Result) -> Grid:
    """Return failed requests by class."""
    failed = result.requests["failed"]
    rows = [
        [name.replace("_", " "), count(n), percent(n / failed)]
        for name, n in result.requests["by_error"].items()
        if n
    ]
    return Grid("failed requests", ["", "requests", "%"], rows)


def ends(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Return all rows, or of many the busiest and the idlest with a gap between."""
    if len(rows) <= MANY:
        return list(rows)
    order = sorted(rows, key=lambda row: -(row.get("share") or 0.0))
    gap = {
        **dict.fromkeys(order[0]),
        "name": f"... {len(rows) - 2 * ENDS} more ...",
        "node": "",
        "in_flight": {"mean": None},
        "latency_s": {"mean": None, "p99": None},
    }
    return [*order[:ENDS], gap, *order[-ENDS:]]
