"""The page of a study: which variant under which condition, why, how sure."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from lbbench.errors import LbbenchError
from lbbench.inputs.yaml import dump
from lbbench.model.check import build
from lbbench.report.page.content import Answer, Page, Section
from lbbench.report.page.figures import figures_of
from lbbench.report.page.over_conditions import Ranking, ranking_of
from lbbench.report.page.provenance import day, of_machine
from lbbench.report.page.reproduce import question_of, stem, steps
from lbbench.report.page.study_tables import (
    best_table,
    differences_of,
    failures_table,
    parts_table,
    points_table,
    warnings_table,
)
from lbbench.report.page.words import (
    between,
    figure_name,
    limit_text,
    listed,
    trait_of,
    warned,
    why,
)
from lbbench.report.study import cell, failures, reservations, short_names, under
from lbbench.report.units import count, seconds
from lbbench.studies.run import Progress
from lbbench.studies.study import Condition, Figure, Study, Summary, name_of


def content(study: Study, progress: Progress | None = None) -> Page:
    """Return what stands on the page of a study, finished or not."""
    from lbbench.report.charts.of_study import pictures

    conditions, done = [], 0
    for condition in study.conditions():
        conditions.append(condition)
        done += len(condition.summaries)
        if progress is not None:
            progress("summing up", done, len(study.points))
    summaries = [one for condition in conditions for one in condition.summaries]
    known = [one for one in summaries if one.figures]
    ranking = ranking_of(study, conditions)
    warnings = [*reservations(study), *failures(study, summaries)]
    return Page(
        kind="Study",
        title=study.name,
        question=question_of(study.scenario),
        answers=[
            Answer("Which", _which(study, known, ranking)),
            Answer("Why", _why(study, ranking)),
            Answer("How sure", _sure(study, known, ranking, len(warnings))),
        ],
        warnings=warnings,
        facts=_facts(study, conditions, known),
        sections=[
            Section("pictures", "Pictures", figures=figures_of(pictures(study) if known else [])),
            Section(
                "tables",
                "Tables",
                tables=[
                    *filter(None, [best_table(ranking), points_table(study, known)]),
                    *filter(None, [parts_table(study, known), differences_of(conditions)]),
                    *filter(None, [warnings_table(study, summaries), failures_table(study)]),
                ],
            ),
        ],
        scenario=dump(in_order(study)),
        steps=steps(
            study.scenario,
            "sweep",
            [f"--out {stem(study.name)}.sqlite"],
            version=", ".join(study.versions),
            then=[f"lbbench report {stem(study.name)}.sqlite"],
        ),
        provenance=_provenance(study),
    )


def in_order(study: Study) -> dict[str, Any]:
    """Return the scenario with its keys as they are documented, and the axes as they were given.

    The ledger keeps both sorted by name; the order of the axes is that of the points.
    """
    scenario = study.scenario
    with suppress(LbbenchError):
        resolved = build(scenario).resolved()
        scenario = resolved if resolved == scenario else scenario
    sweep = dict(scenario.get("sweep") or {})
    for kind in ("axes", "zip"):
        if kind in sweep:
            sweep[kind] = {leaf: sweep[kind][leaf] for leaf in study.axes if leaf in sweep[kind]}
    return {**scenario, "sweep": sweep} if sweep else scenario


def _which(study: Study, known: Sequence[Summary], ranking: Ranking | None) -> list[str]:
    if not known:
        return ["No point has a result yet."]
    if ranking is None:
        return [*_range(study, known), *_objectives(study, known)]
    return [*ranking.sentences(), *ranking.kept(study.scenario.get("slo") or {})]


def _range(study: Study, known: Sequence[Summary]) -> list[str]:
    """Return the lowest and the highest point of a study that compares no variants."""
    name = f"latency.{study.headline}"
    what = figure_name(study.headline)
    valued = [(f.value, f, one) for one in known if (f := one.figures[name]).value is not None]
    if not valued:
        return [f"No point has a {what}."]
    valued.sort(key=lambda item: item[0])
    (_, low, least), (_, high, most) = valued[0], valued[-1]
    first = f"The lowest {what} is {_told(low)}, at {_place(study, least)}"
    if least is most:
        return [f"{first}."]
    return [f"{first}; the highest {_told(high)}, at {_place(study, most)}."]


def _told(figure: Figure) -> str:
    return f"{seconds(figure.value)}{between(figure.ci95)}"


def _place(study: Study, one: Summary) -> str:
    names = short_names(study.axes)
    values = zip(names, one.member.values.values(), strict=True)
    return ", ".join(f"{name} {cell(value)}" for name, value in values) or "its only point"


def _objectives(study: Study, known: Sequence[Summary]) -> list[str]:
    """Return how many points keep each objective with confidence."""
    from lbbench.report.page.over_conditions import keeps

    said = []
    for metric, limit, stands in keeps(study.scenario.get("slo") or {}, known):
        n = stands.count("kept")
        text = f"{count(n)} of {count(len(stands))} points keep {figure_name(metric)} below "
        text += f"{limit_text(metric, limit)} with confidence"
        said.append(f"{text}, {stands.count('open')} are open.")
    return said


def _why(study: Study, ranking: Ranking | None) -> list[str]:
    """Return why the best is ahead where the variants differ most."""
    widest = None if ranking is None else ranking.widest()
    if widest is None:
        return []
    condition, best, worst = widest
    traits = [
        trait_of(
            name_of(one.member),
            study.results(one.member),
            one.figures["latency.mean"].value,
        )
        for one in (best, worst)
    ]
    said = why(*traits)
    where = under(condition).removesuffix(": ")
    if said and where:
        said.insert(0, f"They differ most at {where}.")
    return said


def _sure(
    study: Study,
    known: Sequence[Summary],
    ranking: Ranking | None,
    warnings: int,
) -> list[str]:
    if not known:
        return [f"{count(study.missing)} replications are still to run."]
    sizes = sorted({one.replications for one in known})
    size = str(sizes[0]) if len(sizes) == 1 else f"{sizes[0]} to {sizes[-1]}"
    same = ", the same requests for every variant of a condition" if ranking else ""
    said = [f"{size} replication{'' if size == '1' else 's'} of each point{same}."]
    if ranking is not None:
        said += ranking.sureness()
    if study.missing:
        said.append("The sweep has not ended: what is missing may change the picture.")
    if warnings:
        said.append(warned(warnings))
    return said


def _facts(
    study: Study, conditions: Sequence[Condition], known: Sequence[Summary]
) -> list[tuple[str, str]]:
    found = [
        ("points", count(len(study.points))),
        ("conditions", count(len(conditions))),
        ("replications", f"{count(study.replications)} each"),
    ]
    if len(known) < len(study.points):
        found.insert(1, ("with a result", count(len(known))))
    if study.missing:
        found.append(("missing", count(study.missing)))
    axes = [
        f"{name} {_levels([point.values[leaf] for point in study.points])}"
        for name, leaf in zip(short_names(study.axes), study.axes, strict=True)
    ]
    return [*found, ("seed", str(study.seed)), ("axes", "; ".join(axes) or "none")]


def _levels(values: Sequence[object]) -> str:
    """Return the distinct values of an axis; of many the first and the last."""
    names = list(Counter(cell(value) for value in values))
    if len(names) <= 6:
        return listed(names)
    return f"{names[0]} … {names[-1]} ({len(names)})"


def _provenance(study: Study) -> list[tuple[str, str]]:
    facts = [("lbbench", ", ".join(study.versions)), ("seed", str(study.seed))]
    efforts = study.efforts
    if not efforts:
        return facts
    wall = sum(one.wall_s for one in efforts)
    facts += [
        ("replications run", count(sum(one.replications for one in efforts))),
        ("made", f"{day(min(e.first for e in efforts))} to {day(max(e.last for e in efforts))}"),
        ("processor time", f"{seconds(wall)} (compilation apart)"),
    ]
    facts += of_machine(json.loads(efforts[0].machine))
    if len(efforts) > 1:
        facts.append(("machines", f"{len(efforts)}; the one above ran most of it"))
    return facts
