"""The page of a plan: how many, with which balancer, and the evidence on both sides."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.inputs.yaml import dump
from lbbench.model.label import label_of
from lbbench.report.page.cells import of_count, of_share, words
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Table
from lbbench.report.page.figures import figures_of
from lbbench.report.page.reproduce import question_of, steps
from lbbench.report.page.words import figure_name, limit_text, listed
from lbbench.report.units import count, percent, seconds
from lbbench.studies.planning.words import LOSS

UNITS = {"pods": "pods", "nodes": "nodes", "rate": "requests/s", "concurrency": "places"}

Block = Mapping[str, Any]


def content(document: Mapping[str, Any]) -> Page:
    """Return what stands on the page of a plan (schema lbbench.plan/1)."""
    from lbbench.report.charts.of_plan import pictures

    blocks = document.get("balancers") or [document]
    scenario = document.get("scenario") or {}
    notes = [*(document.get("notes") or ()), *_notes(blocks)]
    return Page(
        kind="Plan",
        title=str(document["name"]),
        question=question_of(scenario),
        answers=[
            Answer("How many", _sentences(document, blocks), "good" if _met(document) else "bad"),
            Answer("Why", _reasons(document, blocks)),
            Answer("How sure", _sure(document, blocks)),
        ],
        warnings=notes,
        facts=_facts(document),
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(dict(document)))),
            Section("tables", "Tables", tables=_tables(document, blocks)),
        ],
        scenario=dump(scenario) if scenario else "",
        steps=steps(scenario, "plan", _options(document, blocks), version=document["version"])
        if scenario
        else None,
        provenance=[
            ("lbbench", str(document["version"])),
            ("seed", str(document["seed"])),
            *([("replications", count(document["replications"]))]
              if document.get("replications") else []),
            *([("running time", seconds(document["wall_s"]))] if document.get("wall_s") else []),
        ],
    )  # fmt: skip


def _met(document: Block) -> bool:
    return any(block["met"] for block in document.get("balancers") or [document])


def _sentences(document: Block, blocks: Sequence[Block]) -> list[str]:
    """Return the answers in words, the best balancer's first."""
    best = document.get("best")
    ordered = sorted(blocks, key=lambda block: _name(block, document) != best) if best else blocks
    said = [str(block["sentence"]) for block in ordered if block.get("sentence")]
    if not said:
        return []
    first, _, rest = said[0].partition("; ")  # what is needed, then why no less would do
    return [_ended(text) for text in (first, rest, *said[1:]) if text]


def _reasons(document: Block, blocks: Sequence[Block]) -> list[str]:
    """Return why it is no less, beside what the classical formula says."""
    said = []
    for block in blocks:
        name = label_of(_name(block, document))
        if block.get("reason"):
            said.append(_ended(f"{name}: {block['reason']}"))
    known = [b for b in blocks if b.get("erlang_c") is not None and b.get("answer") is not None]
    if known:
        told = [f"{label_of(_name(b, document))} {_number(b['answer'])}" for b in known]
        said.append(
            f"Erlang C, one central queue with exponential service of the same mean, says "
            f"{_number(known[0]['erlang_c'])}; simulated it is {listed(told)}."
        )
    return said


def _sure(document: Block, blocks: Sequence[Block]) -> list[str]:
    level = document.get("confidence", 0.95)
    text = "A value counts as enough when the upper end of the interval of every objective is "
    said = [f"{text}within its limit; the answer as a whole is right with {percent(level, 0)} %."]
    open_ = [block for block in blocks if block.get("undecided")]
    for block in open_:
        values = " to ".join(_number(value) for value in block["undecided"])
        safe = "; the answer is the safe end" if block.get("answer") is not None else ""
        said.append(
            f"{label_of(_name(block, document))}: the replications leave {values} undecided{safe}."
        )
    said += [_one_less(block, document) for block in blocks if block.get("n_minus_1")]
    return said


def _one_less(block: Block, document: Block) -> str:
    """Return what the answer holds without the pod, node or zone whose loss is worst."""
    minus = block["n_minus_1"]
    name, lost = label_of(_name(block, document)), minus.get("lost") or "its largest part"
    text = f"{name} without {lost}: the objectives {'hold' if minus.get('met') else 'do not hold'}"
    headroom = minus.get("headroom")
    if headroom is None:
        return f"{text}."
    return f"{text}; it serves {percent(headroom, 0)} % of the load within them."


def _facts(document: Block) -> list[tuple[str, str]]:
    limits = [_limit(item) for item in document["objectives"]]
    found = [
        ("looked for", _unit(document)),
        ("objectives", listed(limits) or "none"),
        ("also without", LOSS[document["survive"]] if document.get("survive") else "-"),
    ]
    if document.get("rate_per_s") is not None and document["for"] != "rate":
        found.append(("rate", f"{document['rate_per_s']:,.4g}/s"))
    if document.get("own") is not None:
        found.append(("the file itself has", _number(document["own"])))
    return [*found, ("seed", str(document["seed"]))]


def _limit(item: Block) -> str:
    word = "at least" if item["metric"] == "attainment" else "at most"
    return f"{figure_name(item['metric'])} {word} {limit_text(item['metric'], item['limit'])}"


def _tables(document: Block, blocks: Sequence[Block]) -> list[Table]:
    made = [_answers(document, blocks), _evidence(document, blocks)]
    if document.get("profile"):
        made.append(_profile(document, blocks))
    return made


def _answers(document: Block, blocks: Sequence[Block]) -> Table:
    columns = [Column("balancer", is_text=True), Column("answer", _unit(document)),
               Column("met", is_text=True), Column("undecided", is_text=True), Column("Erlang C"),
               Column("busiest pod", "%"), Column("one less", is_text=True),
               Column("holds then", is_text=True), Column("load then", "%")]  # fmt: skip
    rows = []
    for block in blocks:
        minus, loaded = block.get("n_minus_1") or {}, block.get("most_loaded") or {}
        open_ = block.get("undecided")
        met = bool(block["met"])
        rows.append(
            [
                words(label_of(_name(block, document))),
                _value(block["answer"]),
                words("yes" if met else "no", "good" if met else "bad"),
                words("–" if not open_ else " to ".join(_number(value) for value in open_)),
                _value(block.get("erlang_c")),
                of_share(loaded.get("utilisation")),
                words(minus.get("lost") or "–"),
                words("–" if "met" not in minus else "yes" if minus["met"] else "no"),
                of_share(minus.get("headroom"), 0),
            ]
        )
    return Table("answers", "The answers", columns, rows)


def _evidence(document: Block, blocks: Sequence[Block]) -> Table:
    columns = [Column("balancer", is_text=True), Column(_unit(document)),
               Column("without", is_text=True), Column("objective", is_text=True),
               Column("found"), Column("limit"), Column("verdict", is_text=True),
               Column("replications")]  # fmt: skip
    with_lost = any(row.get("lost") for block in blocks for row in block["evidence"])
    rows = []
    for block in blocks:
        for item in block["evidence"]:
            metric, verdict = item["metric"], str(item.get("verdict", "-"))
            tone = {"met": "good", "not met": "bad"}.get(verdict, "")
            row = [
                words(label_of(_name(block, document))),
                _value(item["value"]),
                words(item.get("lost") or "–"),
                words(figure_name(metric)),
                _figure(metric, item["estimate"], item.get("ci95")),
                _figure(metric, item.get("limit")),
                words(verdict, tone),
                of_count(item.get("replications")),
            ]
            rows.append([cell for i, cell in enumerate(row) if i != 2 or with_lost])
    kept = [column for i, column in enumerate(columns) if i != 2 or with_lost]
    note = (
        "Small figures are 95 % intervals of the figure alone; wider ones decide. A likely verdict "
        "goes by the estimate."
    )
    return Table("evidence", "The evidence", kept, rows, note)


def _profile(document: Block, blocks: Sequence[Block]) -> Table:
    names = [_name(block, document) for block in blocks]
    columns = [Column("hour", is_text=True), Column("rate", "/s")]
    columns += [Column(label_of(name), _unit(document)) for name in names]
    rows = [
        [
            words(hour["hour"]),
            Cell(f"{hour['rate_per_s']:,.4g}", hour["rate_per_s"]),
            *(_value((hour.get("answers") or {}).get(name)) for name in names),
        ]
        for hour in document["profile"]
    ]
    return Table("profile", "By hour", columns, rows)


def _options(document: Block, blocks: Sequence[Block]) -> list[str]:
    """Return the options of `lbbench plan` that ask for the same."""
    made = []
    for item in document["objectives"]:
        metric, limit = item["metric"], item["limit"]
        text = f"{1e3 * limit:g}ms" if metric.startswith("latency.") else f"{100 * limit:g}%"
        made.append(f"--slo {metric}={text}")
    if document["for"] != "pods":
        made.append(f"--for {document['for']}")
    if document.get("survive"):
        made.append(f"--survive {document['survive']}")
    names = [_name(block, document) for block in blocks]
    if len(names) > 1:
        made.append(f"--balancers {shlex.quote(','.join(names))}")
    if document.get("profile_file"):
        made.append(f"--profile {shlex.quote(document['profile_file'])}")
    if document.get("engine") not in (None, "fast"):
        made.append(f"--engine {document['engine']}")
    return [*made, "--json plan.json"]


def _notes(blocks: Sequence[Block]) -> list[str]:
    return list(dict.fromkeys(str(note) for block in blocks for note in block.get("notes") or ()))


def _name(block: Block, document: Block) -> str:
    return str(block.get("balancer") or document.get("balancer") or "the scenario's balancer")


def _unit(document: Block) -> str:
    return str(document.get("unit") or UNITS.get(document["for"], document["for"]))


def _value(value: float | None) -> Cell:
    return Cell("–" if value is None else _number(value), value)


def _number(value: float) -> str:
    return f"{value:,.0f}" if float(value).is_integer() else f"{value:,.4g}"


def _figure(metric: str, value: float | None, interval: Sequence[float] | None = None) -> Cell:
    if value is None:
        return Cell("–")
    note = ""
    if interval is not None:
        low, high = (limit_text(metric, max(end, 0.0)) for end in interval)
        note = f"{low} to {high}"
    return Cell(limit_text(metric, value), value, note)


def _ended(text: str) -> str:
    return text if text.endswith(".") else f"{text}."
