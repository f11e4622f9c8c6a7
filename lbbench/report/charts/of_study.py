"""The charts of a study: what its axes can show, one line or one chart per policy."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from lbbench.model.result import Result
from lbbench.report.charts.grid import PODS, Grid, distinct, left, named, slug
from lbbench.report.charts.latency_against_load import latency_against_load
from lbbench.report.charts.latency_percentiles import LEVELS, latency_percentiles
from lbbench.report.charts.leaves import LOADS, axis_of, numbers_of
from lbbench.report.charts.load_and_pods import ends, load_and_pods
from lbbench.report.charts.of_result import busy_rows, over_time
from lbbench.report.charts.picture import Picture
from lbbench.report.charts.pod_utilisation import pod_utilisation
from lbbench.report.charts.pods_against_rate import pods_against_rate
from lbbench.report.charts.session_loss import keys_moved, session_loss
from lbbench.report.study import cell
from lbbench.report.units import percentile, seconds
from lbbench.stats.latency import counts_from, spectrum
from lbbench.studies.gathered import gathered
from lbbench.studies.study import Study, Summary, name_of

MOST = 6
"""Charts of one kind; what other conditions show stands in the tables."""

FIRST, UNSEEN = "Of the first replication.", "have no such picture"

FEW = 2
"""Conditions whose whole distribution and pods are drawn: those with the most load."""


def pictures(study: Study) -> list[Picture]:
    """Return the charts of a study, the most important first."""
    grid = Grid.of(study)
    if not grid.summaries:
        return []
    made = [*latency(grid), *needed(grid), *distributions(study, grid), *heat_maps(grid)]
    return [*made, *changes(study, grid), *busy(study, grid)]


def latency(grid: Grid) -> Iterator[Picture]:
    """Yield latency against the leaf that goes across, a chart per facet, all on one scale."""
    if grid.across is None:
        return
    axis, factor = axis_of(
        grid.across, numbers_of(grid.across, distinct(grid.summaries, grid.across)) or []
    )
    groups = {text: _rows(grid, some, grid.across, factor) for text, some in grid.groups().items()}
    every = [row for rows in groups.values() for row in rows]
    stem = "latency-against-load" if grid.across in LOADS else f"latency-against-{slug(axis.names)}"
    short = percentile(grid.metric.removeprefix("latency."))
    for text, rows in list(groups.items())[:MOST]:
        yield latency_against_load(
            rows,
            x=axis,
            metric=grid.metric,
            objective=grid.limit_s,
            shared=every,
            name=named(stem, text),
            title=f"{short} latency against {axis.names}" + (f", {text}" if text else ""),
            note=left(len(groups), MOST),
            what=grid.what,
        )


def needed(grid: Grid) -> Iterator[Picture]:
    """Yield the pods that a rate needs, of studies that vary both and have an objective."""
    if grid.across != "traffic.arrivals.rate" or PODS not in grid.facets or grid.limit_s is None:
        return
    others = [leaf for leaf in grid.facets if leaf != PODS]
    groups = grid.groups(others)
    short = percentile(grid.metric.removeprefix("latency."))
    for text, some in list(groups.items())[:MOST]:
        rows = list(_least(grid, some))
        if any(row["needed"] is not None for row in rows):
            yield pods_against_rate(
                rows,
                objectives=f"{short} at most {seconds(grid.limit_s)}"
                + (f", {text}" if text else ""),
                name=named("pods-against-rate", text),
                note=f"Only the pods of the study were tried. {left(len(groups), MOST)}",
            )


def distributions(study: Study, grid: Grid) -> Iterator[Picture]:
    """Yield the latencies by percentile, one line per policy, under the most load."""
    for text, some in grid.most_loaded(FEW).items():
        first, evidence = gathered({one.member.number: study.rows(one.member) for one in some})
        rows = []
        for one in some:
            counts = np.sum(
                [counts_from(item, first) for item in evidence[one.member.number].values()], axis=0
            )
            intervals = {name: one.figures[f"latency.{name}"].ci95 for name in LEVELS
                         if f"latency.{name}" in one.figures}  # fmt: skip
            rows.append(
                {
                    "series": name_of(one.member) or study.name,
                    "n": int(counts.sum()),
                    "spectrum": spectrum(counts),
                    "ci95_s": intervals,
                }
            )
        short = grid.metric.removeprefix("latency.")
        yield latency_percentiles(
            [row for row in rows if row["spectrum"]],
            objective=(short, grid.limit_s) if grid.limit_s and short in LEVELS else None,
            name=named("latency-percentiles", text),
            title="Latency by percentile" + (f", {text}" if text else ""),
            what=grid.what,
        )


def heat_maps(grid: Grid) -> Iterator[Picture]:
    """Yield load x pods of every policy, of studies that vary both and nothing else."""
    if grid.across not in LOADS or list(grid.facets) != [PODS]:
        return
    load = axis_of(grid.across, [0.0, 1.0])[0].title
    values = [one.figures[grid.metric].value for one in grid.summaries]
    policies = grid.by_policy()
    short = percentile(grid.metric.removeprefix("latency."))
    for policy, some in list(policies.items())[:MOST]:
        rows = [
            {
                "x": grid.number(one, grid.across),
                "y": grid.number(one, PODS),
                "x_text": _text(grid.across, one.member.values[grid.across]),
                "y_text": cell(one.member.values[PODS]),
                "value_s": one.figures[grid.metric].value,
                "ci95_s": one.figures[grid.metric].ci95,
            }
            for one in some
        ]
        yield load_and_pods(
            rows,
            titles=(load, "pods (number)"),
            metric=grid.metric,
            objective=grid.limit_s,
            ends_s=ends(values, grid.limit_s),
            name=named("load-and-pods", policy),
            title=f"{short} latency by load and pods" + (f", {policy}" if policy else ""),
            note=left(len(policies), MOST),
        )


def changes(study: Study, grid: Grid) -> Iterator[Picture]:
    """Yield what a change of the cluster did: to sessions, and to the shares of every policy."""
    for text, some in grid.most_loaded(1).items():
        found = {name_of(one.member) or study.name: study.results(one.member) for one in some}
        rows = [
            {"series": name, "affinity": _together(results)}
            for name, results in found.items()
            if results
        ]
        under = f", {text}" if text else ""
        for chart in (session_loss(rows), keys_moved(rows)):
            if chart is not None:
                yield _titled(chart, under)
        for name, results in list(found.items())[:MOST]:
            if results and results[0].changes:
                chart = over_time(
                    results[0],
                    name=named("shares-over-time", name),
                    title=f"Share of the requests per pod over time, {name}{under}",
                    note=f"{FIRST if len(results) > 1 else ''} {left(len(found), MOST, UNSEEN)}",
                )
                if chart is not None:
                    yield chart


def busy(study: Study, grid: Grid) -> Iterator[Picture]:
    """Yield how busy the pods of every policy were, under the most load."""
    for text, some in grid.most_loaded(1).items():
        rows: list[dict[str, Any]] = []
        for one in some:
            results = study.results(one.member)
            if results:
                rows += busy_rows(name_of(one.member) or study.name, results[0])
        chart = pod_utilisation(rows, note=FIRST)
        if chart is not None:
            yield _titled(chart, f", {text}" if text else "")


def _rows(
    grid: Grid, summaries: Sequence[Summary], leaf: str, factor: float
) -> list[dict[str, Any]]:
    return [
        {
            "series": name_of(one.member) or "latency",
            "x": grid.number(one, leaf) * factor,
            "value_s": one.figures[grid.metric].value,
            "ci95_s": one.figures[grid.metric].ci95,
        }
        for one in summaries
    ]


def _least(grid: Grid, summaries: Sequence[Summary]) -> Iterator[dict[str, Any]]:
    """Yield the least pods of every policy and rate whose interval lies within the objective.

    Fewer pods whose estimate does, while its interval does not, are undecided.
    """
    assert grid.limit_s is not None
    assert grid.across is not None
    cells: dict[tuple[str, float], list[Summary]] = {}
    for one in summaries:
        key = name_of(one.member) or "pods", grid.number(one, grid.across)
        cells.setdefault(key, []).append(one)
    for (policy, rate), some in cells.items():
        sure: list[float] = []
        likely: list[float] = []
        for one in some:
            figure, pods = one.figures[grid.metric], grid.number(one, PODS)
            if figure.value is not None and figure.value <= grid.limit_s:
                likely.append(pods)
                if figure.ci95 is not None and figure.ci95[1] <= grid.limit_s:
                    sure.append(pods)
        needed = min(sure, default=None)
        is_open = needed is not None and min(likely) < needed
        yield {
            "series": policy,
            "rate_per_s": rate,
            "needed": needed,
            "undecided": [min(likely), needed] if is_open else None,
        }


def _together(results: Sequence[Result]) -> dict[str, Any]:
    """Return the affinity of several replications: counts summed, shares averaged."""
    blocks = [result.affinity for result in results]
    counts = ("requests", "kept", "session_loss", "forced_loss")
    made: dict[str, Any] = {name: sum(block[name] for block in blocks) for name in counts}
    for name in ("remap_fraction", "excess_remap"):
        known = [block[name] for block in blocks if block[name] is not None]
        made[name] = sum(known) / len(known) if known else None
    return {**made, "unit": blocks[0].get("unit", "session")}


def _titled(picture: Picture, more: str) -> Picture:
    """Return the picture with the condition behind its title."""
    return Picture(picture.name, f"{picture.title}{more}", picture.caption, picture.spec)


def _text(leaf: str, value: object) -> str:
    """Return a value of the load as a label, in the unit of the axis' title."""
    number = (numbers_of(leaf, [value]) or [0.0])[0]
    return f"{number:,.6g}"
