"""What a reader must know before the figures of a run: warnings, each one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from lbbench.model.tally import ERRORS, SEGMENTS, RunShape, Tally
from lbbench.stats.intervals import is_correlated
from lbbench.stats.latency import Units, few_for, samples_needed, total

SHOWN = ("p50", "p90", "p95", "p99", "p999")
DECISIVE = ("p50", "p90", "p95", "p99")
"""Percentiles whose missing interval deserves a warning; the others' shows in the table."""


def overload(pods: Sequence[Mapping[str, Any]], over: Sequence[int], *, closed: bool) -> list[str]:
    """Return which pods are busy all the time; the users of a ``closed`` loop wait for them."""
    if not over:
        return []
    names = _listed([f"{pods[i]['name']} ({pods[i]['utilisation']:.0%})" for i in over])
    if closed:
        said = (
            f"saturated, with utilisation: {names}; the users wait for these pods, so latency "
            "follows from their number"
        )
    else:
        said = (
            f"over capacity, with utilisation: {names}; queues grow as long as the run lasts, so "
            "its latencies tell the length of the run and not the speed of the system"
        )
    return [said]


def is_closed(scenario: Mapping[str, Any]) -> bool:
    """Tell whether the arrivals of a resolved scenario are those of a closed loop's users."""
    arrivals = (scenario.get("traffic") or {}).get("arrivals") or {}
    return bool(arrivals.get("process") == "closed")


def unsettled(change: float | None, *, changes: bool) -> list[str]:
    """Return the drift of the mean latency; ``changes``: the cluster itself is not the same."""
    if change is None:
        return []
    way = "rises" if change > 0.0 else "falls"
    advice = (
        "the cluster changes: read the windows"
        if changes
        else "run longer, or read the windows if the load itself changes"
    )
    said = (
        f"the run has not settled: mean latency {way} by {abs(change):.0%} over the measured part; "
        f"{advice}"
    )
    return [said]


def lost(y: Tally) -> list[str]:
    """Return what happened to requests that were not answered in time, or at all."""
    said = []
    offered, failed = total(y.offered), total(y.failed)
    unfinished, clamped = total(y.unfinished), total(y.clamped)
    if unfinished:
        said.append(
            f"{_number(unfinished)} of {_number(offered)} requests were still in flight when the "
            "drain ended; they count in the latency with the time that had passed"
        )
    if failed:
        classes = [f"{name} {_number(n)}" for name, n in zip(ERRORS, y.errors.tolist(), strict=True)
                   if n]  # fmt: skip
        said.append(
            f"{_number(failed)} of {_number(offered)} requests failed: {', '.join(classes)}"
        )
    if clamped:
        said.append(f"{_number(clamped)} latencies are above 1 h and count as 1 h in percentiles")
    return said


def empty(y: Tally, shape: RunShape, first: int) -> list[str]:
    """Say when nothing came, or when the warm-up leaves next to nothing."""
    if not y.offered.any():
        return ["no request arrived: the run is too short for its rate; run longer"]
    if shape.warmup_s >= float(y.segment_start[-2]) > 0.0 and first == SEGMENTS - 1:
        stop = float(y.segment_start[-1])
        text = f"run.warmup = {shape.warmup_s:g} s leaves only the last of {SEGMENTS} segments"
        return [f"{text}: requests arrived for {stop:.4g} s; run longer"]
    return []


def thin(
    latency: Mapping[str, Any], ci95: Mapping[str, Any], sure: float, *, doubt: str
) -> list[str]:
    """Return which figures rest on too few requests."""
    n = int(latency["n"])
    said = []
    few = [name for name in few_for(n) if name in SHOWN]
    if few and n:
        said.append(
            f"too few requests for {_listed(few)}: {_number(n)} were answered after the warm-up, "
            f"{few[0]} takes {_number(samples_needed(few[0]))}"
        )
    bare = [name for name in DECISIVE if ci95[name] is None and name not in few]
    if ci95["mean"] is None and n:
        said.append("no intervals: too short for 20 batches; run longer or use replications")
    elif bare:
        said.append(
            f"no interval for {_listed(bare)}: neighbouring latencies are alike, so the "
            f"{_number(n)} count as about {_number(int(sure))} independent ones"
        )
    if doubt and ci95["mean"] is not None:
        said.append(doubt)
    return said


def is_of_one_run(warning: str) -> bool:
    """Tell whether a warning is about the intervals of a single run: pooled, it may not hold."""
    return warning.startswith(_OF_ONE_RUN)


def doubt(units: Units, *, changes: bool) -> str:
    """Return why the intervals of a run may be wrong, "" when there is no reason to think so."""
    if changes and units.source == "batches":
        return (
            "the cluster changes, so batches of this one run differ by more than chance and their "
            "intervals say little; use replications"
        )
    if is_correlated(units):
        return (
            "intervals may be too narrow: even the largest batches of this run are correlated; run "
            "longer or use replications"
        )
    return ""


_OF_ONE_RUN = (
    "too few requests for",
    "no interval",
    "the cluster changes, so batches",
    "intervals may be too narrow",
)


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _number(n: int) -> str:
    return f"{n:,}".replace(",", " ")
