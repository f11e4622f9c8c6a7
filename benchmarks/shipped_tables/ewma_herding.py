"""Tables of results/ewma-herding: how ewma compares with round robin, and with theory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.shipped_tables.cells import OVER, figure_ms, ratio, seconds_of, short, table
from lbbench.stats.theory import mm1, round_robin
from lbbench.studies.study import Condition, Study, Summary

PODS, MEAN, LOAD = "cluster.pods", "traffic.service_time.mean", "traffic.utilisation"
SPEED, LAW = "cluster.pods[0].speed", "traffic.service_time"
BALANCER = "stages.ingress.balancer"
BASE = "round_robin"


def means(study: Study) -> str:
    """Return the mean latency of every balancer at ten pods and 50 ms, beside theory."""
    rows = []
    for condition in study.conditions():
        if condition.values[PODS] != 10 or condition.values[MEAN] != "50ms":
            continue
        load, work = float(condition.values[LOAD]), seconds_of(condition.values[MEAN])
        by_name = {str(one.member.values[BALANCER]): one for one in condition.summaries}
        theory = {"random": mm1(load).mean * work, BASE: round_robin(load, 10)[1].mean * work}
        cells = []
        for name, one in by_name.items():
            known = f", theory {short(1e3 * theory[name])}" if name in theory else ""
            cells.append(figure_ms(one.figures["latency.mean"]) + known)
        rows.append([f"{load:g}", *cells])
    return table(["load", *by_name], rows)


def ratios(study: Study) -> str:
    """Return the ratio of mean latencies, ewma to round robin, over all conditions."""
    return _ratios(study.conditions(), "mean", (PODS, MEAN))


def tails(study: Study) -> str:
    """Return the ratio of p99 latencies, ewma to round robin, over all conditions."""
    return _ratios(study.conditions(), "p99", (PODS, MEAN))


def unlike(study: Study) -> str:
    """Return p99 of every balancer where one pod of ten is slow, or work spreads more."""
    rows = []
    for condition in study.conditions():
        by_name = {str(one.member.values[BALANCER]): one for one in condition.summaries}
        words = [_word(leaf, condition.values[leaf]) for leaf in (SPEED, LAW, LOAD)]
        rows.append([*words, *(_p99(one) for one in by_name.values())])
    return table([*(HEADS[leaf] for leaf in (SPEED, LAW)), "load", *by_name], rows, left=2)


def _p99(one: Summary) -> str:
    mark = " †" if _busiest(one) > OVER else ""
    return figure_ms(one.figures["latency.p99"]) + mark


def _ratios(conditions: Iterable[Condition], figure: str, leaves: tuple[str, ...]) -> str:
    rows: dict[tuple[str, ...], dict[str, str]] = {}
    for condition in conditions:
        key = tuple(_word(leaf, condition.values[leaf]) for leaf in leaves)
        rows.setdefault(key, {})[f"{condition.values[LOAD]:g}"] = _cell(condition, figure)
    loads = sorted({load for cells in rows.values() for load in cells}, key=float)
    heads = [*(HEADS[leaf] for leaf in leaves), *(f"load {load}" for load in loads)]
    return table(heads, ([*key, *map(cells.get, loads)] for key, cells in rows.items()),
                 left=len(leaves))  # fmt: skip


HEADS = {PODS: "pods", MEAN: "service time", SPEED: "speed of one of ten", LAW: "service time"}


def _word(leaf: str, value: Any) -> str:
    if leaf == LAW:
        kind: Mapping[str, Any] = value
        return kind["distribution"] + (f", cv {kind['cv']}" if "cv" in kind else "")
    return f"{value:g}" if isinstance(value, float) else str(value)


def _cell(condition: Condition, figure: str) -> str:
    """Return ewma to round robin; where round robin has a pod over capacity, that."""
    found = condition.differences
    assert found is not None
    by_name = {str(one.member.values[BALANCER]): one for one in condition.summaries}
    over = [name for name in (BASE, "ewma") if _busiest(by_name[name]) > OVER]
    if over:
        who = "both" if len(over) > 1 else over[0].replace("_", " ")
        return f"{who} over capacity"
    item = next(item for item in found.items["ewma"] if item.metric == figure)
    return ratio(item, told=found.told_apart["ewma"][figure])


def _busiest(one: Summary) -> float:
    return one.figures["utilisation.max"].value or 0.0
