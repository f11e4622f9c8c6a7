"""The tables of a plan: one row per balancer, the evidence on both sides, hours of a profile."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from lbbench.model.label import label_of
from lbbench.report.layout import Grid
from lbbench.report.units import count, digits_for, percent, seconds, span
from lbbench.studies.planning import words

Row = Mapping[str, Any]


def show(document: Row, console: Console) -> None:
    """Print the answers in words, their table, the evidence beside them, and what is behind."""
    blocks = document["balancers"]
    for item in blocks:
        style = "bold" if item["met"] else "bold red"
        console.print(Text(str(item["sentence"]), style=style))
    for note in (*document["notes"], *(note for item in blocks for note in item["notes"])):
        console.print(Text(f"note: {note}", style="yellow"))
    console.print()
    console.print(Text(_asked(document), style="dim"))
    if any(item["met"] for item in blocks):
        console.print()
        console.print(answers_table(document))
    for item in blocks:
        console.print()
        console.print(evidence_table(document, item))
        if item["reason"]:
            head = "why not less" if item["met"] else "why not"
            head = "why not more" if item["met"] and document["for"] == "rate" else head
            console.print(Text(f"{head}: {item['reason']}", style="dim"))
    if document["profile"]:
        console.print()
        console.print(profile_table(document))
    console.print()
    console.print(
        Text(
            f"{count(document['replications'])} replications in {seconds(document['wall_s'])}; "
            f"seed {document['seed']}",
            style="dim",
        )
    )


def answers_table(document: Row) -> Grid:
    """Return one row per balancer: the answer, Erlang C, what one less still does."""
    unit = document["unit"]
    columns = [
        "balancer", unit, "undecided", f"Erlang C {unit}", "replications", "busiest pod %",
        "one less", "N-1 holds", "N-1 load %",
    ]  # fmt: skip
    rows = []
    for item in document["balancers"]:
        minus, loaded = item["n_minus_1"] or {}, item["most_loaded"] or {}
        ran = sum(
            row["replications"]
            for row in item["evidence"]
            if row["metric"] == document["objectives"][0]["metric"]
        )
        rows.append(
            [
                label_of(item["balancer"]),
                _value(item["answer"]),
                "-" if item["undecided"] is None else "-".join(
                    _value(value) for value in item["undecided"]
                ),
                _value(item["erlang_c"]),
                count(ran),
                percent(loaded.get("utilisation")),
                str(minus.get("lost", "-")),
                {True: "yes", False: "no"}.get(minus.get("met", "-"), "-"),
                percent(minus.get("headroom"), 0),
            ]
        )  # fmt: skip
    spare = ["one less", "replications", "busiest pod %", "undecided"]
    return Grid("", columns, rows, spare=spare)


def evidence_table(document: Row, item: Row) -> Grid:
    """Return what was found at the values next to the answer, each objective with its interval."""
    shown = _near(item)
    columns = [document["unit"], "objective", "found", "95 % interval", "limit", "verdict",
               "replications"]  # fmt: skip
    lost = any(row["lost"] for row in shown)
    if lost:
        columns.insert(1, "without")
    rows = []
    for row in shown:
        metric = row["metric"]
        line = [
            _value(row["value"]),
            words.short_metric(metric),
            _figure(metric, row["estimate"]),
            _span(metric, row["ci95"]),
            _figure(metric, row["limit"]),
            row["verdict"] + _because(row["because"]),
            count(row["replications"]),
        ]
        if lost:
            line.insert(1, row["lost"] or "-")
        rows.append(line)
    left = frozenset({"objective", "verdict", "without"})
    spare = ["replications", "limit"]
    return Grid(label_of(item["balancer"]), columns, rows, spare=spare, left=left)


def profile_table(document: Row) -> Grid:
    """Return the answer of every hour by balancer."""
    names = [item["balancer"] for item in document["balancers"]]
    rows = []
    for hour in document["profile"]:
        answers = [_value(hour["answers"].get(name)) for name in names]
        rows.append([str(hour["hour"]), f"{hour['rate_per_s']:,.4g}", *answers])
    return Grid("by hour", ["hour", "rate/s", *map(label_of, names)], rows)


def _near(item: Row) -> Sequence[Row]:
    """Return the evidence from one value below what is undecided to one above the answer.

    Without an answer that of the last values.
    """
    values = sorted({row["value"] for row in item["evidence"]})
    if item["answer"] is None:
        kept = set(values[-2:])
    else:
        low, high = item["undecided"] or [item["answer"]] * 2
        kept = set(values[max(values.index(low) - 1, 0) : values.index(high) + 2])
    return [row for row in item["evidence"] if row["value"] in kept]


def _asked(document: Row) -> str:
    limits = ", ".join(
        f"{words.short_metric(item['metric'])} "
        f"{'>=' if item['metric'] == 'attainment' else '<='} "
        f"{words.figure(item['metric'], item['limit'])}"
        for item in document["objectives"]
    )
    survive = f", also without {words.LOSS[document['survive']]}" if document["survive"] else ""
    rate = "" if document["for"] == "rate" else f" {document['load']}"
    return (
        f"{document['name']}: {limits}{rate}{survive}; the decision is right "
        f"with {100 * document['confidence']:.0f} %, by intervals wider than those shown"
    )


def _because(said: str | None) -> str:
    """Return in two words why no run was needed; a cluster may have nothing left as well."""
    if not said:
        return ""
    is_full = "over capacity" in said or " times what " in said
    return " (over capacity)" if is_full else " (no cluster)"


def _value(value: float | None) -> str:
    return "-" if value is None else words.number(value)


def _figure(metric: str, value: float | None) -> str:
    if value is None:
        return "-"
    return seconds(value) if metric.startswith("latency.") else f"{percent(value, 2)} %"


def _span(metric: str, interval: Sequence[float] | None) -> str:
    if interval is None:
        return "-"
    if metric.startswith("latency."):
        return f"{span(interval, digits_for(interval))} ms"
    return f"{percent(interval[0], 3)}-{percent(interval[1], 3)} %"
