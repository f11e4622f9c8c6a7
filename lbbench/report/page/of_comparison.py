"""The page of a comparison: which variant, why, how sure."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.yaml import dump
from lbbench.model.label import label_of
from lbbench.model.result import Result
from lbbench.report.page.cells import cut, of_ratio, of_share, of_time, words
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Table
from lbbench.report.page.figures import figures_of
from lbbench.report.page.of_result import balance_row, sorted_by_share
from lbbench.report.page.provenance import of_results
from lbbench.report.page.ranking import (
    Leader,
    differences_table,
    leaders_of,
    ranked,
    rivals_table,
    sureness,
)
from lbbench.report.page.reproduce import question_of, stem, steps
from lbbench.report.page.words import (
    figure_name,
    limit_text,
    listed,
    runs_text,
    trait_of,
    warned,
    why,
)
from lbbench.report.tables import STAGE_TITLES
from lbbench.report.units import count, digits_for, percent, seconds
from lbbench.studies.variants import BALANCER


def content(document: Mapping[str, Any]) -> Page:
    """Return what stands on the page of a comparison (schema lbbench.compare/1)."""
    from lbbench.report.charts.of_comparison import pictures

    results = results_of(document)
    leaf, first = str(document["leaf"]), next(iter(results.values()))
    leaders = leaders_of(document.get("leads") or ())
    warnings = warnings_of(results)
    which = next(iter(leaders.values()), None)
    return Page(
        kind="Comparison",
        title=first.name,
        question=question_of(first.scenario),
        answers=[
            Answer("Which", [*_which(document, which), *_objectives(results), *_errors(results)]),
            Answer("Why", _why(results, which)),
            Answer("How sure", _sure(document, results, leaders, len(warnings))),
        ],
        warnings=warnings,
        facts=_facts(leaf, results),
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(dict(document)))),
            Section(
                "differences",
                "Differences",
                lead="The same requests went through every variant, so what they owe to the "
                "traffic cancels.",
                paragraphs=[f"{text}." for text in document["sentences"]],
                tables=[
                    *filter(None, [rivals_table(leaders, _head(leaf))]),
                    differences_table(document["differences"]),
                ],
            ),
            Section("tables", "Tables", tables=_tables(leaf, results)),
        ],
        scenario=dump(first.scenario),
        steps=steps(
            first.scenario,
            "compare",
            [_varied(leaf, list(document["results"])), f"--out {stem(first.name)}"],
            version=first.version,
            apart=leaf,
        ),
        provenance=of_results(results),
    )


def results_of(document: Mapping[str, Any]) -> dict[str, Result]:
    """Return the results of a comparison by the name of their variant.

    Raises
    ------
    InputError
        When there are none, or one is incomplete.
    """
    found = {}
    for value, one in (document.get("results") or {}).items():
        try:
            found[label_of(value)] = Result.from_dict(one)
        except InputError as error:
            raise InputError(f"results.{value}: {error}") from None
    if not found:
        raise InputError("the comparison holds no results; run lbbench compare again")
    return found


def warnings_of(results: Mapping[str, Result]) -> list[str]:
    """Return what the variants warn of, each with those that it holds for."""
    seen: dict[str, list[str]] = {}
    for name, result in results.items():
        for text in result.warnings:
            seen.setdefault(text, []).append(name)
    return [
        text if len(names) == len(results) else f"{listed(names)}: {text}"
        for text, names in seen.items()
    ]


def _which(document: Mapping[str, Any], leader: Leader | None) -> list[str]:
    if leader is not None:
        return ranked(leader)
    return [f"{text}." for text in document["sentences"][:3]]


def _objectives(results: Mapping[str, Result]) -> list[str]:
    """Return which variants keep every objective."""
    judged = {name: result.slo for name, result in results.items() if result.slo}
    if not judged:
        return []
    limits = listed(
        [
            f"{figure_name(item['metric'])} of at most {limit_text(item['metric'], item['limit'])}"
            for item in next(iter(judged.values()))["objectives"]
        ]
    )
    met = [name for name, slo in judged.items() if slo["met"]]
    if len(met) == len(judged):
        return [f"All of them keep the objectives ({limits})."]
    if not met:
        return [f"None of them keeps the objectives ({limits})."]
    return [f"The objectives ({limits}) are kept by {listed(met)} only."]


def _errors(results: Mapping[str, Result]) -> list[str]:
    rates = {name: result.metric("error_rate") or 0.0 for name, result in results.items()}
    failing = sorted((name for name in rates if rates[name]), key=lambda name: -rates[name])
    if not failing:
        return []
    told = [f"{name} {percent(rates[name], 2)} %" for name in failing]
    return [f"Requests failed, and have no latency: {listed(told)}."]


def _why(results: Mapping[str, Result], leader: Leader | None) -> list[str]:
    """Return why the best is ahead of the first, or of the worst when it is itself the first."""
    traits = {name: trait_of(name, [result]) for name, result in results.items()}
    known = {name: trait for name, trait in traits.items() if trait.mean is not None}
    if len(known) < 2:
        return []
    by_mean = sorted(known, key=lambda name: known[name].mean or 0.0)
    best = leader.name if leader is not None and leader.name in known else by_mean[0]
    first = next(iter(known))
    return why(known[best], known[by_mean[-1] if best == first else first])


def _sure(
    document: Mapping[str, Any],
    results: Mapping[str, Result],
    leaders: Mapping[str, Leader],
    warnings: int,
) -> list[str]:
    offered = sorted({result.requests["offered"] for result in results.values()})
    same = (
        f"{count(offered[0])} requests"
        if len(offered) == 1
        else (f"{count(offered[0])} to {count(offered[-1])} requests")
    )
    every = list(results.values())
    said = [f"{same} through every variant, the same ones where they can be; {runs_text(every)}."]
    text = sureness(leaders)
    if text:
        said.append(text)
    elif not document["differences"]:
        said.append("The document holds no differences.")
    return [*said, *([warned(warnings)] if warnings else [])]


def _facts(leaf: str, results: Mapping[str, Result]) -> list[tuple[str, str]]:
    first = next(iter(results.values()))
    return [
        ("variants", f"{len(results)} of {_head(leaf)}"),
        ("requests", count(sum(result.requests["offered"] for result in results.values()))),
        ("replications", str(first.scenario.get("run", {}).get("replications", 1))),
        ("warm-up", seconds(first.time_s["warmup"])),
        ("seed", str(first.seed)),
        ("engine", first.engine),
    ]


def _tables(leaf: str, results: Mapping[str, Result]) -> list[Table]:
    return [
        _variants(leaf, results),
        _parts(results),
        _balance(results),
        _pods(results),
    ]


def _variants(leaf: str, results: Mapping[str, Result]) -> Table:
    names = ("mean", "p50", "p90", "p99", "p999")
    digits = {n: digits_for(result.latency_s[n] for result in results.values()) for n in names}
    columns = [Column(_head(leaf), is_text=True)]
    columns += [Column(figure_name(name), "ms") for name in names]
    columns += [Column("max/mean"), Column("errors", "%"), Column("busiest pod", "%")]
    rows = []
    for value, result in results.items():
        block, row = result.latency_s, [words(value)]
        row += [of_time(block[n], digits[n], block["ci95"].get(n)) for n in names]
        row += [of_ratio(result.stages[-1]["balance"]["max_over_mean"])]
        row += [of_share(result.metric("error_rate"), 2)]
        rows.append([*row, of_share(result.metric("utilisation.max"))])
    return Table("variants", "Latency, balance and load", columns, rows,
                 "Small figures are 95 % intervals.")  # fmt: skip


def _parts(results: Mapping[str, Result]) -> Table:
    first = next(iter(results.values()))
    names = list(first.latency_by_stage_s)
    least = [sum(p["mean"] or 0.0 for p in r.latency_by_stage_s.values()) for r in results.values()]
    digits = digits_for([min(least) / 10.0])
    columns = [Column("part", is_text=True), *(Column(name, "ms") for name in results)]
    rows: list[list[Cell]] = [
        [
            words(name.replace("_", " ")),
            *(of_time(r.latency_by_stage_s.get(name, {}).get("mean"), digits)
              for r in results.values()),
        ]
        for name in names
    ]  # fmt: skip
    return Table("parts", "Where the mean latency comes from", columns, rows)


def _balance(results: Mapping[str, Result]) -> Table:
    columns = [Column("variant", is_text=True), Column("stage", is_text=True), Column("max/mean"),
               Column("CoV"), Column("Jain"), Column("p-value")]  # fmt: skip
    rows = [
        [
            words(name),
            words(STAGE_TITLES.get(stage["name"], stage["name"]).partition(",")[0]),
            *balance_row(stage),
        ]
        for name, result in results.items()
        for stage in result.stages
        if len(stage["targets"]) > 1
    ]
    return Table("balance", "How even the shares are, by stage", columns, rows,
                 "CoV: deviation over mean. Jain: 1 is even. The p-value is that of shares as "
                 "expected.")  # fmt: skip


def _pods(results: Mapping[str, Result]) -> Table:
    first = next(iter(results.values()))
    pods, left = cut(sorted_by_share(first.pods))
    columns = [Column("pod", is_text=True), Column("node", is_text=True)]
    columns += [Column(f"{name} share", "%") for name in results]
    columns += [Column(f"{name} load", "%") for name in results]
    by_name = [{pod["name"]: pod for pod in result.pods} for result in results.values()]
    rows = [
        [
            words(pod["name"]),
            words(pod["node"]),
            *(of_share(known.get(pod["name"], {}).get("share"), 2) for known in by_name),
            *(of_share(known.get(pod["name"], {}).get("utilisation")) for known in by_name),
        ]
        for pod in pods
    ]
    note = f"{left:,} more pods are in the JSON." if left else ""
    return Table("pods", "Shares and load of the pods", columns, rows, note,
                 is_folded=len(rows) > 24)  # fmt: skip


def _head(leaf: str) -> str:
    return leaf.rsplit(".", 1)[-1]


def _varied(leaf: str, values: Sequence[str]) -> str:
    joined = ",".join(values)
    if leaf == BALANCER:
        return f"--balancers {shlex.quote(joined)}"
    return f"--vary {shlex.quote(f'{leaf}={joined}')}"
