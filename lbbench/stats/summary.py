"""From raw counts to the Result: merges replications, cuts the warm-up, fills every block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from lbbench.core.histogram import COARSE, quantile_ns
from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.tally import AFFINITY, ERRORS, SEGMENTS, STAGES, TOTALS, RunShape, Tally
from lbbench.stats.balance import largest_over_mean, stage_blocks
from lbbench.stats.intervals import decorrelated, drift, intervals, is_correlated, warmup_of
from lbbench.stats.latency import (
    SECOND,
    at_or_below,
    few_for,
    latency_block,
    samples_needed,
    total,
)

SATURATED = 0.999
SHOWN = ("p50", "p90", "p95", "p99", "p999")
DECISIVE = ("p50", "p90", "p95", "p99")
"""Percentiles whose missing interval deserves a warning; the others' shows in the table."""

ENOUGH = 100  # attempts per place: fewer may keep a pod busy all the time by chance
CHANCE_GROWTH = 3.0  # standard deviations that a queue at capacity may grow by chance

_LARGEST = ("latency_max", "pod_flight_max", "pod_dead_last", "snat_peak", "pod_stall_max")
_LEAST = ("pod_dead_first",)
_WINDOWED = ("window_offered", "window_failed", "window_counts", "window_pods")


def summarise(
    runs: Sequence[tuple[Tally, RunShape]],
    *,
    scenario: Mapping[str, Any],
    seed: int,
    version: str,
    engine: str,
    timings: Mapping[str, Any] | None = None,
    slo: Mapping[str, float] | None = None,
    warmup_segments: int | None = None,
    observed: Mapping[str, Any] | None = None,
) -> Result:
    """Return the result of one or several replications of one scenario.

    Parameters
    ----------
    runs
        Counts and names of each replication.
    scenario
        The resolved scenario; its ``name`` becomes the result's.
    timings
        Arguments of `Result.timed`.
    slo
        Objectives by metric name, seconds and shares.
    warmup_segments
        Segments to cut, where a comparison wants the same for all; else as the scenario says.
    observed
        What an importer counted in the real system; passed through.

    Raises
    ------
    RunError
        When there is no run, or a run lost count of its requests.
    """
    if not runs:
        raise RunError("there is no run to summarise: run.replications must be at least 1")
    tallies, shape = [tally for tally, _ in runs], runs[0][1]
    for number, tally in enumerate(tallies):
        check_counts(tally, number)
    first = warmup_of(tallies, shape) if warmup_segments is None else warmup_segments
    y = merged(tallies)
    units, found = intervals(tallies, first)
    latency = latency_block(
        y.latency_counts[first:].sum(axis=0),
        total(y.latency_sum[first:]),
        clamped=total(y.clamped[first:]),
        max_ns=int(y.latency_max[first:].max()),
    )
    ci95: dict[str, Any] = {name: None if ci is None else list(ci) for name, ci in found.items()}
    ci95["from"] = units.source if any(found.values()) else None
    pods = _pods(y, shape, first)
    result = Result(
        name=str(scenario.get("name", "")),
        version=version,
        engine=engine,
        seed=seed,
        scenario=scenario,
        time_s={
            "simulated": sum(s.simulated for _, s in runs) / len(runs),
            "warmup": float(y.segment_start[first]) / len(runs) if first else 0.0,
        },
        requests=_requests(y),
        stages=stage_blocks(y, shape, first),
        pods=tuple(pods),
        latency_s={**latency, "ci95": ci95},
        latency_by_stage_s=_parts(y, first),
        failed_latency_s=latency_block(
            y.failed_counts[first:].sum(axis=0), total(y.failed_sum[first:]), fine=False
        ),
        affinity=_affinity(y),
        windows=tuple(_windows(y, shape)),
        warnings=(
            *_overload(pods, _over_capacity(y, shape, first, len(runs))),
            *_unsettled(drift(tallies, first)),
            *_lost(y),
            *_empty(y, shape, first),
            *_thin(latency, ci95, decorrelated(tallies, first), correlated=is_correlated(units)),
        ),
        network=_network(y, shape),
        observed=observed,
    )
    if slo:
        result = _judged(result, y, first, slo)
    return result.timed(**timings) if timings else result


def check_counts(tally: Tally, replication: int = 0) -> None:
    """Raise RunError unless every request is accounted for, exactly, segment by segment.

    offered = completed + failed + unfinished; each failure has a class; what was not failed is in
    the histogram.
    """
    known = tally.completed + tally.unfinished
    for what, held, wanted in (
        ("completed, failed or unfinished", known + tally.failed, tally.offered),
        ("failures by class", tally.errors.sum(), tally.failed.sum()),
        ("latencies in the histogram", tally.latency_counts.sum(axis=1), known),
    ):
        if not np.array_equal(held, wanted):
            raise RunError(
                f"replication {replication}: {what}: {total(np.asarray(held))} are accounted for "
                f"instead of {total(np.asarray(wanted))}; this is a fault of lbbench, please "
                "report the scenario and the seed"
            )


def merged(tallies: Sequence[Tally]) -> Tally:
    """Return the sum of the tallies (the larger of maxima; shorter windows are filled with 0)."""
    if len(tallies) == 1:
        return tallies[0]
    columns = {}
    for name in Tally._fields:
        arrays = [getattr(tally, name) for tally in tallies]
        if name in _WINDOWED:
            length = max(len(a) for a in arrays)
            arrays = [np.r_[a, np.zeros((length - len(a), *a.shape[1:]), a.dtype)] for a in arrays]
        join = np.maximum if name in _LARGEST else np.minimum if name in _LEAST else np.add
        columns[name] = join.reduce(arrays)
    return Tally(**columns)


def _requests(y: Tally) -> dict[str, Any]:
    totals = dict(zip(TOTALS, y.totals.tolist(), strict=True))
    return {
        "offered": total(y.offered),
        "completed": total(y.completed),
        "failed": total(y.failed),
        "unfinished": total(y.unfinished),
        "attempts": totals["attempts"],
        "retried": totals["retried"],
        "by_error": dict(zip(ERRORS, y.errors.tolist(), strict=True)),
    }


def _pods(y: Tally, shape: RunShape, first: int) -> list[dict[str, Any]]:
    """Return the pods; their percentiles start at segment `settled` (16 if the warm-up is auto)."""
    attempts = y.pod_attempts[first:].sum(axis=0)
    busy, flight = (part[-1] - part[first] for part in (y.pod_busy, y.pod_flight))
    elapsed = float(y.segment_start[-1] - y.segment_start[first])
    empty = np.zeros(COARSE, np.int64)
    pods = []
    for i, name in enumerate(shape.pods):
        counts = y.pod_latency_counts[i] if len(y.pod_latency_counts) else empty
        latency = latency_block(
            counts,
            total(y.pod_latency_sum[first:, i]),
            fine=False,
            n=total(y.pod_completed[first:, i]),
        )
        pods.append(
            {
                "name": name,
                "node": shape.nodes[shape.pod_node[i]],
                "requests": total(y.pod_attempts[:, i]),
                "first_attempts": total(y.pod_first[:, i]),
                "share": _ratio(int(attempts[i]), int(attempts.sum())),
                "errors": total(y.pod_errors[:, i]),
                "utilisation": _ratio(float(busy[i]), int(shape.concurrency[i]) * elapsed),
                "in_flight": {
                    "mean": _ratio(float(flight[i]), elapsed),
                    "max": int(y.pod_flight_max[i]),
                },
                "latency_s": latency,
            }
        )
    return pods


def _parts(y: Tally, first: int) -> dict[str, dict[str, float | None]]:
    """Return mean and p99 of the parts of the latency; the means add up to that of the answered.

    A part that took no time at all has a p99 of 0, not the upper end of the lowest place.
    """
    completed = total(y.completed[first:])
    parts = {}
    for i, name in enumerate(STAGES):
        mean = _ratio(total(y.part_sum[i, first:]) / SECOND, completed)
        parts[name] = {"mean": mean, "p99": _coarse_p99(y.part_counts[i]) if mean else mean}
    return parts


def _affinity(y: Tally) -> dict[str, Any]:
    found = dict(zip(AFFINITY, y.affinity.tolist(), strict=True))
    compared, moved = found.pop("compared"), found.pop("moved")
    unforced = moved - found.pop("moved_by_force")
    return {
        **found,
        "remap_fraction": _ratio(moved, compared),
        "excess_remap": _ratio(unforced, compared),
    }


def _windows(y: Tally, shape: RunShape) -> list[dict[str, Any]]:
    """Return the windows up to the last one in which something arrived."""
    used = int(np.flatnonzero(y.window_offered)[-1]) + 1 if y.window_offered.any() else 0
    expected = shape.expected.get("ingress" if shape.path == "ingress" else "kube_proxy")
    if expected is None:
        expected = np.full(len(shape.pods), 1.0)
    few = y.window_pods.shape[1] > 0
    return [
        {
            "start_s": round(i * shape.window_s, 9),
            "end_s": round(_window_end(y, shape, i), 9),
            "requests": int(y.window_offered[i]),
            "failed": int(y.window_failed[i]),
            "latency_p99_s": _coarse_p99(y.window_counts[i]),
            "max_over_mean": largest_over_mean(y.window_pods[i], expected) if few else None,
            "per_pod": y.window_pods[i].tolist() if few else None,
        }
        for i in range(used)
    ]


def _window_end(y: Tally, shape: RunShape, window: int) -> float:
    """Return where a window ends; the last one that there is takes everything that comes later."""
    end = (window + 1) * shape.window_s
    return end if window + 1 < len(y.window_offered) else max(end, shape.simulated)


def _network(y: Tally, shape: RunShape) -> dict[str, float | None]:
    """Return the share of attempts that crossed nodes, and the connects that a request costs.

    A connect is one of a worker to a pod; on the service path one of the client.
    """
    totals = dict(zip(TOTALS, y.totals.tolist(), strict=True))
    connects = totals["connects" if shape.path == "ingress" else "connections"]
    return {
        "cross_node_fraction": _ratio(totals["cross_node"], totals["attempts"]),
        "connects_per_request": _ratio(connects, total(y.offered)),
        "connects_per_client_request": _ratio(totals["connections"], total(y.offered)),
    }


def _judged(result: Result, y: Tally, first: int, slo: Mapping[str, float]) -> Result:
    """Return ``result`` with its objectives judged.

    Attainment is the share of the requests after the warm-up that were answered within the largest
    of the latency limits (of a percentile or the maximum), without one the share answered at all.
    """
    limits = [v for k, v in slo.items() if k.startswith("latency.") and k != "latency.mean"]
    good = total(y.completed[first:])
    if limits:  # unfinished requests are in the histogram and are no answers
        good = min(at_or_below(y.latency_counts[first:].sum(axis=0), max(limits)), good)
    attained = {"attainment": _ratio(good, total(y.offered[first:]))}
    known = replace(result, slo=attained)
    objectives = []
    for name, limit in slo.items():
        value = known.metric(name)
        ok = None if value is None else (value >= limit if name == "attainment" else value <= limit)
        ci95 = result.latency_s["ci95"].get(name.removeprefix("latency."))
        objectives.append({"metric": name, "limit": limit, "value": value, "ci95": ci95, "met": ok})
    met = all(item["met"] is True for item in objectives)
    return replace(result, slo={"met": met, **attained, "objectives": objectives})


def _over_capacity(y: Tally, shape: RunShape, first: int, runs: int) -> list[int]:
    """Return the pods that are saturated, or whose queue grows by more than chance.

    A queue at capacity wanders by sqrt(2 n) in n arrivals, one below capacity by less.
    """
    elapsed = np.diff(y.segment_start)
    mean = np.diff(y.pod_flight, axis=0) / np.where(elapsed > 0.0, elapsed, np.inf)[:, None]
    growth = (mean[-1] - mean[first]) * runs
    attempts = y.pod_attempts[first:].sum(axis=0)
    grows = growth > CHANCE_GROWTH * np.sqrt(2.0 * runs * np.maximum(attempts, 1))
    span = float(y.segment_start[-1] - y.segment_start[first])
    busy = (y.pod_busy[-1] - y.pod_busy[first]) / np.maximum(shape.concurrency * span, 1e-300)
    served = np.maximum(attempts - growth, 1.0)
    over = (busy >= SATURATED) | (grows & (busy * attempts / served > 1.0))
    over &= attempts >= ENOUGH * shape.concurrency * runs
    return [int(i) for i in np.flatnonzero(over)]


def _overload(pods: Sequence[Mapping[str, Any]], over: Sequence[int]) -> list[str]:
    if not over:
        return []
    names = [f"{pods[i]['name']} ({pods[i]['utilisation']:.0%})" for i in over]
    said = (
        f"over capacity, with utilisation: {_listed(names)}; queues grow as long as the run lasts, "
        "so its latencies tell the length of the run and not the speed of the system"
    )
    return [said]


def _unsettled(change: float | None) -> list[str]:
    if change is None:
        return []
    way = "rises" if change > 0.0 else "falls"
    said = (
        f"the run has not settled: mean latency {way} by {abs(change):.0%} over the measured part; "
        "run longer, or read the windows if the load itself changes"
    )
    return [said]


def _lost(y: Tally) -> list[str]:
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


def _empty(y: Tally, shape: RunShape, first: int) -> list[str]:
    """Say when nothing came, or when the warm-up leaves next to nothing."""
    if not y.offered.any():
        return ["no request arrived: the run is too short for its rate; run longer"]
    if shape.warmup_s >= float(y.segment_start[-2]) > 0.0 and first == SEGMENTS - 1:
        stop = float(y.segment_start[-1])
        text = f"run.warmup = {shape.warmup_s:g} s leaves only the last of {SEGMENTS} segments"
        return [f"{text}: requests arrived for {stop:.4g} s; run longer"]
    return []


def _thin(
    latency: Mapping[str, Any], ci95: Mapping[str, Any], sure: float, *, correlated: bool
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
    if correlated:
        said.append(
            "intervals may be too narrow: even the largest batches of this run are correlated; run "
            "longer or use replications"
        )
    return said


def _coarse_p99(counts: np.ndarray) -> float | None:
    return quantile_ns(counts, 0.99, fine=False) / SECOND if counts.any() else None


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _listed(names: Sequence[str], most: int = 5) -> str:
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")


def _number(n: int) -> str:
    return f"{n:,}".replace(",", " ")
