"""The league in a terminal: a table per job, who is missing and why, the ranking last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from lbbench.report.layout import Grid
from lbbench.report.units import count, digits_for, milliseconds, percent, ratio, seconds, span

Document = Mapping[str, Any]

OVER = 0.97
"""A pod that works more of its time than this is as good as overloaded."""

RATIO = "p99 / best"

ERROR = "±"
"""Head of half an interval, beside the figure that it belongs to."""


def show(document: Document, console: Console) -> None:
    """Print the league (schema lbbench.league/1)."""
    for job in document["jobs"]:
        _show_job(job, console)
    for item in document["no_picks"]:
        console.print(Text(f"no picks/s of {item['balancer']}: {item['reason']}"))
    for ranking in document["rankings"]:
        console.print(ranking_table(ranking))
        for sentence in about(ranking):
            console.print(Text(sentence, style="dim"))
        console.print()
    ran = sum(len(job["entrants"]) * job["replications"] for job in document["jobs"])
    console.print(Text(f"{seconds(document['wall_s'])} for {count(ran)} runs", style="dim"))


def _show_job(job: Document, console: Console) -> None:
    console.print(Text(str(job["name"]), style="bold"))
    for line in lines_of(job):
        console.print(Text(line))
    busy = [one for one in job["entrants"] if (one["utilisation_max"] or 0.0) >= OVER]
    if busy:
        told = ", ".join(f"{one['name']} {percent(one['utilisation_max'])} %" for one in busy)
        text = f"warning: a pod is busy nearly all of its time, its queue may grow: {told}"
        console.print(Text(text, style="yellow"))
    console.print()
    console.print(job_table(job))
    for names, reason in missing(job):
        console.print(Text(f"not in this job: {', '.join(names)}: {reason}"))
    console.print()


def lines_of(job: Document) -> list[str]:
    """Return what a job asks and what was run."""
    run = job["scenario"]["run"]
    asked = f"{count(run['requests'])} requests" if run.get("requests") else str(run["duration"])
    if job["scenario"]["traffic"].get("trace"):
        asked = "recorded requests"
    text = (
        f"{asked} x {job['replications']} replications, the same ones for every entrant; seed "
        f"{job['seed']}"
    )
    return [*([str(job["question"])] if job["question"] else []), text]


def job_table(job: Document) -> Grid:
    """Return one row per entrant, by p99; who fails more than 1 % of the requests comes last."""
    rows, some = [], job["entrants"]
    digits = {name: digits_for(one[name]["value"] for one in some) for name in ("p50", "p99")}
    columns = ["balancer" if job["path"] == "ingress" else "mode"]
    for name in ("p99", "p50"):
        columns += [f"{name} ms", f"95 % of {name}"]
        if name == "p99":
            columns.append(RATIO)
    shares = {"max/mean": "max_over_mean", "errors %": "error_rate", "session loss %":
              "session_loss"}  # fmt: skip
    for head in (*shares, "M picks/s"):
        columns += [head, ERROR]
    columns.append("busiest pod %")
    for one in some:
        row = [str(one["name"])]
        for name in ("p99", "p50"):
            row += [milliseconds(one[name]["value"], digits[name]),
                    span(one[name]["ci95"], digits[name])]  # fmt: skip
            if name == "p99":
                row.append("-" if one["fails"] else times(one["p99_to_best"]["value"]))
        row += [text for head, name in shares.items() for text in _share(head, one[name])]
        row += picks(one["picks_per_s"])
        rows.append([*row, percent(one["utilisation_max"])])
    return Grid("", columns, rows, spare=_spare(columns))


def ranking_table(ranking: Document) -> Grid:
    """Return one row per entrant: how far from each job's best, over all jobs."""
    who = "balancer" if ranking["path"] == "ingress" else "mode"
    columns = ["", who, RATIO, "95 %", "p50 / best", "95 % of p50", "max/mean", ERROR,
               "errors %", ERROR, "session loss %", ERROR, "M picks/s", ERROR]  # fmt: skip
    rows = []
    for one in ranking["entrants"]:
        row = [str(one["place"]), str(one["name"])]
        for name in ("p99_to_best", "p50_to_best"):
            row += [times(one[name]["value"]), _between(one[name]["ci95"])]
        row += _share("max/mean", one["max_over_mean"])
        row += _share("errors %", one["error_rate"])
        row += _share("session loss %", one["session_loss"])
        rows.append([*row, *picks(one["picks_per_s"])])
    title = f"over {len(ranking['jobs'])} jobs: {', '.join(ranking['jobs'])}"
    return Grid(title, columns, rows, left=frozenset({who}),
                spare=_spare(columns))  # fmt: skip


def about(ranking: Document) -> list[str]:
    """Return how the ranking is to be read."""
    left = [job for job in ranking["jobs"] if job not in ranking["p99_jobs"]]
    how = (
        "p99 / best: geometric mean over jobs of the p99 as a multiple of the job's best; the "
        "other figures are means over jobs, ± is half the 95 % interval."
    )
    said = [how]
    if left:
        said.append(
            f"Without {', '.join(left)}, where most fail more than 1 % of the requests: its errors "
            "tell."
        )
    if ranking["partly"]:
        said.append(f"Did not do every job: {', '.join(ranking['partly'])}.")
    return said


def missing(job: Document) -> list[tuple[list[str], str]]:
    """Return who has no figures, together where the reason is the same."""
    found: dict[str, list[str]] = {}
    for item in job["missing"]:
        found.setdefault(str(item["reason"]), []).append(str(item["name"]))
    return [(names, reason) for reason, names in found.items()]


def times(value: float | None) -> str:
    """Return a ratio with three digits."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 9.995 else f"{value:.1f}" if value < 99.95 else f"{value:,.0f}"


def half(figure: Document, scale: float = 1.0) -> float | None:
    """Return half the interval of a figure, times ``scale``."""
    ci95 = figure["ci95"]
    return None if ci95 is None else scale * (ci95[1] - ci95[0]) / 2.0


def picks(figure: Document) -> list[str]:
    """Return millions of picks per second, and half the interval."""
    value, error = figure["value"], half(figure, 1e-6)
    return [
        "-" if value is None else f"{value / 1e6:.1f}",
        "-" if error is None else f"{error:.1f}",
    ]


def _share(head: str, figure: Document) -> list[str]:
    """Return a share in percent, or a plain number, and half its interval."""
    if head.endswith("%"):
        return [percent(figure["value"], 2), percent(half(figure), 2)]
    return [ratio(figure["value"]), ratio(half(figure))]


def _between(ci95: Sequence[float] | None) -> str:
    return "-" if ci95 is None else f"{times(ci95[0])}-{times(ci95[1])}"


def _spare(columns: Sequence[str]) -> list[str]:
    """Return what a narrow terminal does without: intervals first, p99 and its own never."""
    order = ["busiest pod %", ERROR, "95 % of p50", "p50 ms", "p50 / best", "M picks/s",
             "max/mean", RATIO]  # fmt: skip
    return [head for head in order if head in columns]
