"""The table of a comparison: one row per variant, and the differences in words."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from lbbench.model.result import Result
from lbbench.report.tables import table
from lbbench.report.units import count, milliseconds, percent, ratio
from lbbench.studies.compare import Comparison

NARROW = 90


def show(comparison: Comparison, console: Console) -> None:
    """Print warnings, the table and the sentences."""
    seen: dict[str, list[str]] = {}
    for name, result in comparison.results.items():
        for warning in result.warnings:
            seen.setdefault(warning, []).append(name)
    for warning, names in seen.items():
        console.print(Text(f"warning ({', '.join(names)}): {warning}", style="yellow"))
    first = next(iter(comparison.results.values()))
    console.print(
        Text(
            f"{first.name}: {count(first.requests['offered'])} requests, the same for each "
            f"{comparison.leaf.rsplit('.', 1)[-1]}; seed {first.seed}",
            style="bold",
        )
    )
    narrow = console.width < NARROW
    columns = [comparison.leaf.rsplit(".", 1)[-1], "mean ms", "p50 ms", "p99 ms"]
    columns += [] if narrow else ["p99, 95 % interval"]
    columns += ["max/mean", "errors %"] + ([] if narrow else ["hottest pod %"])
    rows = [_row(name, result, narrow=narrow) for name, result in comparison.results.items()]
    console.print()
    console.print(table("", columns, rows))
    console.print()
    for sentence in comparison.sentences:
        console.print(sentence, highlight=False)
    observed = _observed(first, comparison)
    if observed:
        console.print()
        console.print(observed)


def _row(name: str, result: Result, *, narrow: bool) -> list[str]:
    block = result.latency_s
    interval = block["ci95"].get("p99")
    offered = result.requests["offered"]
    pods = result.stages[-1]["balance"]
    row = [name, *(milliseconds(block[key]) for key in ("mean", "p50", "p99"))]
    if not narrow:
        row.append(
            f"{milliseconds(interval[0])} - {milliseconds(interval[1])}" if interval else "-"
        )
    row += [
        ratio(pods["max_over_mean"]),
        percent(result.requests["failed"] / offered if offered else None, 2),
    ]
    return row if narrow else [*row, percent(result.metric("utilisation.max"))]


def _observed(first: Result, comparison: Comparison) -> object:
    """Return the observed shares beside the simulated ones, when an import brought them."""
    observed = dict((first.observed or {}).get("pods", {}))
    total = sum(observed.values())
    pods = first.scenario["cluster"]["pods"]
    if not total or isinstance(pods, int):
        return None
    rows = []
    for i, pod in enumerate(pods):
        seen = observed.get(pod.get("address", ""), observed.get(pod["name"]))
        shares = [percent(result.pods[i]["share"], 1) for result in comparison.results.values()]
        rows.append([pod["name"], "-" if seen is None else percent(seen / total), *shares])
    title = f"share of requests per pod, % (observed: {count(total)} requests)"
    return table(title, ["", "observed", *comparison.results], rows)
