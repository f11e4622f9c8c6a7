"""The page of a league: who is best over all jobs, who at which, how sure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.inputs.yaml import dump
from lbbench.report.league import OVER, about, lines_of, missing, times
from lbbench.report.page.cells import of_ratio, of_share, of_time, words
from lbbench.report.page.content import Answer, Cell, Column, Page, Section, Steps, Table
from lbbench.report.page.figures import figures_of
from lbbench.report.page.provenance import day, of_machine
from lbbench.report.page.words import listed
from lbbench.report.units import count, digits_for, seconds

Document = Mapping[str, Any]

WHO = {"ingress": "balancer", "service": "mode of kube-proxy"}


def content(document: Document) -> Page:
    """Return what stands on the page of a league (schema lbbench.league/1)."""
    from lbbench.report.charts.of_league import pictures

    jobs, rankings = document["jobs"], document["rankings"]
    several = len(jobs) > 1
    return Page(
        kind="League",
        title=f"{len(jobs)} jobs" if several else str(jobs[0]["name"]),
        question="Which balancer is how good at what?" if several else str(jobs[0]["question"]),
        answers=[
            Answer("Which", [_best_of(one) for one in rankings] or [_winner(jobs[0])]),
            Answer("At what", [_winner(job) for job in jobs] if several else []),
            Answer("How sure", [_sure(document)]),
        ],
        warnings=_warnings(jobs),
        facts=_facts(document),
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(document))),
            Section("ranking", "Over all jobs", tables=[_ranking(one) for one in rankings]),
            *[_section(job) for job in jobs],
        ],
        scenario="\n".join(dump(job["scenario"]) for job in jobs) if not several else "",
        steps=_steps(document),
        provenance=[
            ("lbbench", document["version"]),
            ("made", day(document["created"])),
            ("running time", seconds(document["wall_s"])),
            *of_machine(document["machine"]),
        ],
    )


def _best_of(ranking: Document) -> str:
    """Return the first three of a ranking, with how far they are from the best of each job."""
    first = [one for one in ranking["entrants"][:3] if one["p99_to_best"]["value"] is not None]
    told = [f"{one['name']} ({times(one['p99_to_best']['value'])})" for one in first]
    n = len(ranking["p99_jobs"])
    return (
        f"Of {len(ranking['entrants'])} {WHO[ranking['path']]}s, by the p99 as a multiple of the "
        f"best at {n} jobs: {listed(told)}."
    )


def _winner(job: Document) -> str:
    if not job["entrants"]:
        return f"{job['name']}: nobody."
    if not job["counts"]:
        least = job["entrants"][0]
        rate = 100.0 * (least["error_rate"]["value"] or 0.0)
        return f"{job['name']}: fewest errors {least['name']}, {rate:.2f} %."
    first = job["entrants"][0]
    close = [
        one["name"] for one in job["entrants"][1:]
        if one["p99_to_best"]["ci95"] is not None and one["p99_to_best"]["ci95"][0] <= 1.0
        and not one["fails"]
    ]  # fmt: skip
    also = f"; not told apart from it: {listed(close, 4)}" if close else ""
    return f"{job['name']}: {first['name']}{also}."


def _sure(document: Document) -> str:
    few = {job["replications"] for job in document["jobs"]}
    many = " or ".join(str(n) for n in sorted(few))
    return (
        f"{many} replications per entrant and job, all entrants met the same requests; intervals "
        "are of 95 % each, not corrected for the number of entrants."
    )


def _warnings(jobs: Sequence[Document]) -> list[str]:
    said = []
    for job in jobs:
        busy = [one for one in job["entrants"] if (one["utilisation_max"] or 0.0) >= OVER]
        names = [f"{one['name']} ({100 * one['utilisation_max']:.1f} %)" for one in busy]
        if names:
            said.append(
                f"{job['name']}: a pod is busy nearly all of its time, so its queue may grow as "
                f"long as the run lasts: {listed(names, 50)}"
            )
    return said


def _facts(document: Document) -> list[tuple[str, str]]:
    jobs = document["jobs"]
    seeds = sorted({job["seed"] for job in jobs})
    return [
        ("entrants", count(len({one["name"] for job in jobs for one in job["entrants"]}))),
        ("jobs", str(len(jobs))),
        ("runs", count(sum(len(job["entrants"]) * job["replications"] for job in jobs))),
        ("seed", ", ".join(map(str, seeds))),
    ]


def _section(job: Document) -> Section:
    absent = [f"Not in this job: {listed(names, 50)}: {why}." for names, why in missing(job)]
    question, *rest = [*([] if job["question"] else [""]), *lines_of(job)]
    return Section(
        str(job["name"]), str(job["name"]), lead=question,
        paragraphs=[*(f"{line}." for line in rest), *absent], tables=[_table(job)],
    )  # fmt: skip


def _table(job: Document) -> Table:
    some = job["entrants"]
    names = ("p99", "p50")
    digits = {name: digits_for(one[name]["value"] for one in some) for name in names}
    columns = [Column(WHO[job["path"]], is_text=True), Column("place"), Column("p99", "ms"),
               Column("p99 / best"), Column("p50", "ms"), *_share_columns(),
               Column("busiest pod", "%")]  # fmt: skip
    rows = [
        [
            words(one["name"]),
            Cell(str(one["place"]), float(one["place"])),
            of_time(one["p99"]["value"], digits["p99"], one["p99"]["ci95"]),
            Cell("-") if one["fails"] else _ratio(one["p99_to_best"]),
            of_time(one["p50"]["value"], digits["p50"], one["p50"]["ci95"]),
            *_shares(one),
            of_share(one["utilisation_max"]),
        ]
        for one in some
    ]
    note = "Small figures are 95 % intervals. Who fails more than 1 % of the requests comes last."
    return Table(f"job-{job['name']}", str(job["name"]), columns, rows, note)


def _ranking(ranking: Document) -> Table:
    columns = [Column(WHO[ranking["path"]], is_text=True), Column("place"), Column("p99 / best"),
               Column("p50 / best"), *_share_columns(),
               *(Column(f"place, {job}") for job in ranking["jobs"])]  # fmt: skip
    rows = [
        [
            words(one["name"]),
            Cell(str(one["place"]), float(one["place"])),
            _ratio(one["p99_to_best"]),
            _ratio(one["p50_to_best"]),
            *_shares(one),
            *(Cell(str(place), float(place)) for place in one["places"].values()),
        ]
        for one in ranking["entrants"]
    ]
    title = f"{len(ranking['jobs'])} jobs, {WHO[ranking['path']]}s"
    return Table(f"ranking-{ranking['path']}", title, columns, rows, " ".join(about(ranking)))


def _share_columns() -> list[Column]:
    return [Column("max/mean"), Column("errors", "%"), Column("session loss", "%"),
            Column("picks", "M/s")]  # fmt: skip


def _shares(one: Document) -> list[Cell]:
    picks = one["picks_per_s"]
    per = None if picks["ci95"] is None else [end / 1e6 for end in picks["ci95"]]
    return [
        of_ratio(one["max_over_mean"]["value"], 3, one["max_over_mean"]["ci95"]),
        _percent(one["error_rate"]),
        _percent(one["session_loss"]),
        of_ratio(None if picks["value"] is None else picks["value"] / 1e6, 1, per),
    ]


def _percent(figure: Document) -> Cell:
    cell, ci95 = of_share(figure["value"], 2), figure["ci95"]
    note = "" if ci95 is None else f"{100 * ci95[0]:.2f}–{100 * ci95[1]:.2f}"
    return Cell(cell.text, cell.order, note)


def _ratio(figure: Document) -> Cell:
    value, ci95 = figure["value"], figure["ci95"]
    note = "" if ci95 is None else f"{times(ci95[0])}–{times(ci95[1])}"
    return Cell(times(value), value, note)


def _steps(document: Document) -> Steps:
    jobs = document["jobs"]
    lead = f"With lbbench {document['version']}; the same figures, timings of picks aside."
    if len(jobs) > 1:
        return Steps(lead, "lbbench compare --all --out league")
    name = str(jobs[0]["name"])
    return Steps(lead, f"lbbench compare {name}.yaml --all --out league", f"{name}.yaml")
