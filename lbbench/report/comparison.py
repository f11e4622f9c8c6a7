"""The table of a comparison: one row per variant, and the differences in words."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Console
from rich.text import Text

from lbbench.model.label import label_of
from lbbench.model.result import Result
from lbbench.report.layout import Grid
from lbbench.report.observed import Observed
from lbbench.report.tables import ends
from lbbench.report.terminal import show_warnings
from lbbench.report.units import count, digits_for, milliseconds, percent, ratio, seconds, span
from lbbench.studies.compare import Comparison


def show(comparison: Comparison, console: Console) -> None:
    """Print warnings, the table, what was observed beside it, and the sentences."""
    results = comparison.results
    seen: dict[str, list[str]] = {}
    for name, result in results.items():
        for warning in result.warnings:
            seen.setdefault(warning, []).append(label_of(name))
    everywhere = len(results)
    show_warnings(
        [text if len(names) == everywhere else f"{', '.join(names)}: {text}"
         for text, names in seen.items()],
        console,
    )  # fmt: skip
    first = next(iter(results.values()))
    console.print(Text(first.name, style="bold"))
    console.print(
        Text(
            f"{_traffic(comparison)}; {seconds(first.time_s['warmup'])} warm-up; seed "
            f"{first.seed}, {first.engine} engine"
        )
    )
    console.print()
    console.print(variants_table(comparison))
    beside = observed_table(first, results)
    if beside is not None:
        console.print()
        console.print(beside)
    console.print()
    for sentence in comparison.sentences:
        console.print(Text(sentence))
    wall = sum(result.wall_s or 0.0 for result in results.values())
    offered = sum(result.requests["offered"] for result in results.values())
    if wall:
        compiled = sum(result.compile_s or 0.0 for result in results.values())
        console.print()
        console.print(
            Text(f"{seconds(wall)} for {count(offered)} requests: {count(offered / wall)} "
                 f"requests/s (compilation {seconds(compiled)} apart)", style="dim")
        )  # fmt: skip


def variants_table(comparison: Comparison) -> Grid:
    """Return one row per variant: mean, p50, p99 with intervals, balance, errors, load.

    What an import observed is the last row.
    """
    blocks = [result.latency_s for result in comparison.results.values()]
    figures = ("mean", "p50", "p99")
    digits = {name: digits_for(block[name] for block in blocks) for name in figures}
    columns = [_head(comparison)]
    for name in figures:
        columns += [f"{name} ms", f"95 % of {name}"]
    columns += ["max/mean", "errors %", "busiest pod %"]
    rows = []
    for name, result in comparison.results.items():
        block, offered = result.latency_s, result.requests["offered"]
        row = [label_of(name)]
        for figure in figures:
            row.append(milliseconds(block[figure], digits[figure]))
            row.append(span(block["ci95"].get(figure), digits[figure]))
        row += [
            ratio(result.stages[-1]["balance"]["max_over_mean"]),
            percent(result.requests["failed"] / offered if offered else None, 2),
            percent(result.metric("utilisation.max")),
        ]
        rows.append(row)
    seen = Observed.of(next(iter(comparison.results.values()))).latency
    if seen:
        times = [[milliseconds(seen.get(name), digits[name]), "-"] for name in figures]
        rows.append(["(observed)", *(cell for pair in times for cell in pair), "-", "-", "-"])
    spare = ["95 % of p50", "busiest pod %", "95 % of mean", "p50 ms", "95 % of p99"]
    if not any(result.requests["failed"] for result in comparison.results.values()):
        spare.insert(2, "errors %")
    return Grid("", columns, rows, spare=spare)


def observed_table(first: Result, results: Mapping[str, Result]) -> Grid | None:
    """Return the observed shares beside the simulated, None when no import brought any."""
    observed = Observed.of(first)
    if not observed.pods:
        return None
    places = {pod["name"]: i for i, pod in enumerate(first.pods)}
    rows = []
    for pod in ends(first.pods):
        place = places.get(pod["name"])
        shares = [
            percent(None if place is None else result.pods[place]["share"], 2)
            for result in results.values()
        ]
        rows.append([str(pod["name"]), percent(observed.share(str(pod["name"])), 2), *shares])
    title = f"share of the pods in %, observed ({observed.title}) beside simulated"
    return Grid(title, ["", "observed", *map(label_of, results)], rows)


def _traffic(comparison: Comparison) -> str:
    """Say how far the variants met the same requests."""
    results = list(comparison.results.values())
    offered = {result.requests["offered"] for result in results}
    text = f"{' or '.join(count(n) for n in sorted(offered))} requests"
    scenario = results[0].scenario
    is_scaled = comparison.leaf.startswith("cluster.") and "utilisation" in scenario["traffic"]
    if comparison.leaf.startswith(("traffic.", "run.")) or is_scaled:
        return f"{text} of the same random streams, scaled by {_head(comparison)}"
    return f"{text}, the same ones for every {_head(comparison)}"


def _head(comparison: Comparison) -> str:
    return comparison.leaf.rsplit(".", 1)[-1]
