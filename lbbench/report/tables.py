"""Tables of one result, made with rich: what ran, latency, shares, pods, parts, errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from lbbench.model.result import Result
from lbbench.report.units import count, milliseconds, p_value, percent, ratio, seconds

MANY = 20
ENDS = 5
STAGE_TITLES = {
    "azure_lb": "nodes by the load balancer",
    "kube_proxy": "targets by kube-proxy",
    "reuse_port": "nginx workers by SO_REUSEPORT",
    "ingress": "pods by the ingress balancer",
}


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    """Return a table: the first column is text, the others are numbers on the right."""
    made = Table(title=title, title_justify="left", title_style="bold", pad_edge=False, box=None,
                 header_style="dim")  # fmt: skip
    for i, name in enumerate(columns):
        made.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        made.add_row(*row)
    return made


def show(result: Result, console: Console) -> None:
    """Print everything that one run has to say."""
    for warning in result.warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    console.print(headline(result))
    for part in parts_of(result):
        console.print()
        console.print(part)
    console.print()
    console.print(Text(speed(result), style="dim"))


def headline(result: Result) -> Group:
    """Return what was run, in two or three lines."""
    requests = result.requests
    names = ", ".join(f"{stage['name']} {stage['balancer']}" for stage in result.stages
                      if stage["name"] != "reuse_port")  # fmt: skip
    lines: list[RenderableType] = [
        Text(f"{result.name}: {names}", style="bold"),
        Text(
            f"{count(requests['offered'])} requests = {count(requests['completed'])} completed + "
            f"{count(requests['failed'])} failed + {count(requests['unfinished'])} unfinished; "
            f"{count(requests['attempts'])} attempts, {count(requests['retried'])} retried"
        ),
        Text(
            f"{seconds(result.time_s['simulated'])} simulated, the first "
            f"{seconds(result.time_s['warmup'])} are warm-up; seed {result.seed}, "
            f"{result.engine} engine",
            style="dim",
        ),
    ]
    return Group(*lines)


def parts_of(result: Result) -> list[Table]:
    """Return the tables of a result, those without content left out."""
    made = [latency_table(result)]
    if result.slo:
        made.append(objectives_table(result.slo))
    made += [stage_table(stage) for stage in result.stages]
    made.append(pods_table(result))
    made.append(breakdown_table(result))
    if result.requests["by_error"] and result.requests["failed"]:
        made.append(errors_table(result))
    return made


def latency_table(result: Result) -> Table:
    """Return mean, percentiles and maximum with their 95 % intervals."""
    block, intervals = result.latency_s, result.latency_s["ci95"]
    rows = []
    for name in ("mean", "p50", "p90", "p95", "p99", "p999", "max"):
        value = block.get(name)
        if value is None:
            continue
        interval = intervals.get(name)
        text = f"{milliseconds(interval[0])} - {milliseconds(interval[1])}" if interval else "-"
        rows.append([name.replace("p999", "p99.9"), milliseconds(value), text])
    source = intervals.get("from") or "none"
    title = f"latency of {count(block['n'])} requests"
    return table(title, ["", "ms", f"95 % interval, ms (from {source})"], rows)


def objectives_table(slo: Mapping[str, Any]) -> Table:
    """Return the objectives and whether they were met."""
    rows = []
    for item in slo["objectives"]:
        is_time = str(item.get("metric", "")).startswith("latency.")
        show_value = seconds if is_time else percent
        unit = "" if is_time else " %"
        rows.append(
            [
                str(item.get("metric")),
                show_value(item.get("limit")) + unit,
                show_value(item.get("value")) + unit,
                "met" if item.get("met") else "missed",
            ]
        )
    return table("objectives", ["", "limit", "found", ""], rows)


def stage_table(stage: Mapping[str, Any]) -> Table:
    """Return the shares of a stage's targets with the balance figures in the title."""
    balance = stage["balance"]
    unit = stage["unit"]
    rows = [
        [
            str(target["name"]),
            count(target["connections"]),
            count(target["requests"]),
            percent(target["share"], 2),
            percent(target["expected_share"], 2),
        ]
        for target in ends(stage["targets"])
    ]
    title = (
        f"{STAGE_TITLES.get(stage['name'], stage['name'])} ({stage['balancer']}, by {unit})\n"
        f"max/mean {ratio(balance['max_over_mean'])}  CoV {ratio(balance['cov'], 4)}  "
        f"Jain {ratio(balance['jain'], 4)}  "
    )
    if balance["chi2"] is None:
        title += str(balance["note"] or "")
    else:
        title += f"chi2 {ratio(balance['chi2'], 1)} (df {balance['df']}, p {p_value(balance['p_value'])})"
    return table(title, ["", "connections", "requests", "share %", "expected %"], rows)


def pods_table(result: Result) -> Table:
    """Return requests, share, load and latency of the pods; beside it what was observed."""
    observed = dict((result.observed or {}).get("pods", {}))
    total = sum(observed.values())
    addresses = _addresses(result)
    columns = ["", "node", "requests", "share %", "load %", "in flight", "mean ms", "p99 ms", "errors"]
    if total:
        columns.insert(4, "observed %")
    rows = []
    for pod in ends(result.pods):
        row = [
            str(pod["name"]),
            str(pod["node"]),
            count(pod["requests"]),
            percent(pod["share"], 2),
            percent(pod["utilisation"]),
            ratio(pod["in_flight"]["mean"], 2),
            milliseconds(pod["latency_s"]["mean"]),
            milliseconds(pod["latency_s"]["p99"]),
            count(pod["errors"]),
        ]
        if total:
            seen = observed.get(addresses.get(str(pod["name"]), ""), observed.get(pod["name"]))
            row.insert(4, "-" if seen is None else percent(seen / total, 2))
        rows.append(row)
    return table("pods", columns, rows)


def breakdown_table(result: Result) -> Table:
    """Return where the latency comes from."""
    whole = sum(part["mean"] or 0.0 for part in result.latency_by_stage_s.values())
    rows = [
        [
            name.replace("_", " "),
            milliseconds(part["mean"]),
            percent((part["mean"] or 0.0) / whole if whole else 0.0),
            milliseconds(part["p99"]),
        ]
        for name, part in result.latency_by_stage_s.items()
    ]
    return table("where the latency comes from", ["", "mean ms", "% of mean", "p99 ms"], rows)


def errors_table(result: Result) -> Table:
    """Return failed requests by class."""
    failed = result.requests["failed"]
    rows = [
        [name, count(n), percent(n / failed)]
        for name, n in result.requests["by_error"].items()
        if n
    ]
    return table("failed requests", ["", "requests", "%"], rows)


def speed(result: Result) -> str:
    """Return how long it took."""
    if result.wall_s is None or result.requests_per_s is None:
        return ""
    text = f"{result.wall_s:.2f} s, {result.requests_per_s / 1e6:.2f} M requests/s"
    if result.compile_s and result.compile_s > 0.5:
        text += f"; {result.compile_s:.1f} s of compilation before"
    return text


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


def _addresses(result: Result) -> dict[str, str]:
    pods = result.scenario["cluster"]["pods"]
    if isinstance(pods, int):
        return {}
    return {pod["name"]: pod.get("address", "") for pod in pods}
