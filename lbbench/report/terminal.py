"""What a person reads of one result: warnings, what ran, the tables, how fast it went."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from lbbench.model.result import Result
from lbbench.report.tables import tables_of
from lbbench.report.units import count, ratio, seconds


def show(result: Result, console: Console) -> None:
    """Print everything that one run has to say."""
    show_warnings(result.warnings, console)
    console.print(Text(result.name, style="bold"))
    for line in headline(result):
        console.print(Text(line))
    for part in tables_of(result):
        console.print()
        console.print(part)
    console.print()
    console.print(Text(speed(result), style="dim"))


def show_warnings(warnings: Sequence[str], console: Console) -> None:
    """Print warnings, which come before everything else."""
    for warning in warnings:
        console.print(Text(f"warning: {warning}", style="yellow"))
    if warnings:
        console.print()


def headline(result: Result) -> list[str]:
    """Return what was run, in three lines: balancers, requests, time."""
    requests = result.requests
    chain = [f"{stage['name']} {stage['balancer']}" for stage in result.stages
             if stage["name"] != stage["balancer"] and stage["name"] != "reuse_port"]  # fmt: skip
    if result.stages and result.stages[0]["name"] == result.stages[0]["balancer"]:
        chain.insert(0, str(result.stages[0]["name"]))
    counted = (
        f"{count(requests['offered'])} requests = {count(requests['completed'])} completed + "
        f"{count(requests['failed'])} failed + {count(requests['unfinished'])} unfinished"
    )
    if requests["attempts"] != requests["offered"]:
        each, saved = requests.get("attempts_per_request"), requests.get("saved")
        counted += f"; {count(requests['attempts'])} attempts"
        counted += f" ({ratio(each, 4)} per request)" if each else ""
        counted += f", {count(requests['retried'])} retried"
        counted += f", {count(saved)} saved by it" if saved else ""
    runs = int(result.scenario.get("run", {}).get("replications", 1))
    many = f" x {runs} replications" if runs > 1 else ""
    ran = (
        f"{seconds(result.time_s['simulated'])} simulated{many}, the first "
        f"{seconds(result.time_s['warmup'])} are warm-up; seed {result.seed}, "
        f"{result.engine} engine"
    )
    return [" -> ".join(chain), counted, ran]


def speed(result: Result) -> str:
    """Return how long it took; compilation and start-up stand apart."""
    if result.wall_s is None or result.requests_per_s is None:
        return ""
    offered, rate = count(result.requests["offered"]), count(result.requests_per_s)
    text = f"{seconds(result.wall_s)} for {offered} requests: {rate} requests/s"
    apart = [("compilation", result.compile_s), ("start-up", result.startup_s)]
    said = [f"{name} {seconds(value)}" for name, value in apart if value]
    return f"{text} ({', '.join(said)} apart)" if said else text
