"""From raw counts to the Result: merges replications, cuts the warm-up, fills every block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from lbbench.core.histogram import row_quantiles_ns
from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.tally import AFFINITY, ERRORS, STAGES, TOTALS, RunShape, Tally
from lbbench.stats.balance import (
    largest_over_mean,
    rows_largest_over_mean,
    stage_blocks,
    why_changed,
)
from lbbench.stats.changes import change_blocks
from lbbench.stats.existence import existence
from lbbench.stats.intervals import all_intervals, drift, warmup_of
from lbbench.stats.latency import (
    SECOND,
    at_or_below,
    latency_block,
    spectrum,
    total,
)
from lbbench.stats.pods import over_capacity, pod_blocks, spans_of, stopped_on_purpose
from lbbench.stats.remarks import doubt, empty, is_closed, lost, overload, thin, unsettled

_LARGEST = ("latency_max", "pod_flight_max", "pod_dead_last", "snat_peak", "pod_stall_max")
_LEAST = ("pod_dead_first",)
_NOTHING = {"pod_dead_first": np.inf, "pod_dead_last": -np.inf}  # else 0


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
    unit: Literal["session", "key"] = "session",
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
    unit
        Whose pods the affinity counts follow.

    Raises
    ------
    RunError
        When there is no run, or a run lost count of its requests.
    """
    if not runs:
        raise RunError("there is no run to summarise: run.replications must be at least 1")
    tallies, shapes = [tally for tally, _ in runs], [shape for _, shape in runs]
    shape = max(shapes, key=lambda shape: len(shape.pods))  # names what the others have, too
    for number, tally in enumerate(tallies):
        check_counts(tally, number)
    first = warmup_of(tallies, shape) if warmup_segments is None else warmup_segments
    y = merged(tallies)
    units, sure, found = all_intervals(tallies, first)
    latency = latency_block(
        units.merged,
        total(y.latency_sum[first:]),
        clamped=total(y.clamped[first:]),
        max_ns=int(y.latency_max[first:].max()),
    )
    ci95: dict[str, Any] = {name: None if ci is None else list(ci) for name, ci in found.items()}
    ci95["from"] = units.source if any(found.values()) else None
    pods = pod_blocks(y, shape, runs, first)
    over = over_capacity(y, shape, runs, first, stopped_on_purpose(scenario))
    warmup_s = float(y.segment_start[first]) / len(runs) if first else 0.0
    result = Result(
        name=str(scenario.get("name", "")),
        version=version,
        engine=engine,
        seed=seed,
        scenario=scenario,
        time_s={
            "simulated": sum(s.simulated for _, s in runs) / len(runs),
            "warmup": warmup_s,
        },
        requests=_requests(y),
        stages=stage_blocks(y, shape, first, existence(shapes, spans_of(runs, first))),
        pods=pods,
        latency_s={**latency, "ci95": ci95, "spectrum": spectrum(units.merged)},
        latency_by_stage_s=_parts(y, first),
        failed_latency_s=latency_block(
            y.failed_counts[first:].sum(axis=0), total(y.failed_sum[first:]), fine=False
        ),
        affinity=_affinity(y, unit),
        windows=tuple(_windows(y, shape, shapes)),
        changes=change_blocks(y, shapes, warmup_s),
        warnings=(
            *overload(pods, over, closed=is_closed(scenario)),
            *unsettled(drift(tallies, first), changes=bool(shape.changes)),
            *lost(y),
            *empty(y, shape, first),
            *thin(
                latency,
                ci95,
                sure,
                doubt=doubt(units, changes=bool(shape.changes)),
            ),
        ),
        network=_network(y, shape),
        flows=_flows(y, shape),
        observed=observed,
    )
    if slo:
        result = _judged(result, y, first, units.merged, slo)
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
    """Return the sum of the tallies (the larger of maxima).

    Where one has fewer windows than the others, or fewer pods because a rollout came less far
    before the end, it counted nothing there.
    """
    if len(tallies) == 1:
        return tallies[0]
    columns = {}
    for name in Tally._fields:
        arrays = [getattr(tally, name) for tally in tallies]
        whole = tuple(np.max([a.shape for a in arrays], axis=0))
        arrays = [_filled(a, whole, _NOTHING.get(name, 0)) for a in arrays]
        join = np.maximum if name in _LARGEST else np.minimum if name in _LEAST else np.add
        columns[name] = join.reduce(arrays)
    return Tally(**columns)


def _filled(values: np.ndarray, shape: tuple[int, ...], nothing: float) -> np.ndarray:
    """Return ``values`` at the beginning of an array of ``shape``, the rest is ``nothing``."""
    if values.shape == shape:
        return values
    made = np.full(shape, nothing, values.dtype)
    made[tuple(slice(n) for n in values.shape)] = values
    return made


def _requests(y: Tally) -> dict[str, Any]:
    totals = dict(zip(TOTALS, y.totals.tolist(), strict=True))
    return {
        "offered": total(y.offered),
        "completed": total(y.completed),
        "failed": total(y.failed),
        "unfinished": total(y.unfinished),
        "attempts": totals["attempts"],
        "attempts_per_request": _ratio(totals["attempts"], total(y.offered)),
        "retried": totals["retried"],
        "saved": totals["saved"],
        "by_error": dict(zip(ERRORS, y.errors.tolist(), strict=True)),
    }


def _parts(y: Tally, first: int) -> dict[str, dict[str, float | None]]:
    """Return mean and p99 of the parts of the latency; the means add up to that of the answered.

    A part that took no time at all has a p99 of 0, not the upper end of the lowest place.
    """
    completed = total(y.completed[first:])
    parts = {}
    p99 = _coarse_p99(y.part_counts)
    for i, name in enumerate(STAGES):
        mean = _ratio(total(y.part_sum[i, first:]) / SECOND, completed)
        parts[name] = {"mean": mean, "p99": p99[i] if mean else mean}
    return parts


def _affinity(y: Tally, unit: str) -> dict[str, Any]:
    found = dict(zip(AFFINITY, y.affinity.tolist(), strict=True))
    compared, moved = found.pop("compared"), found.pop("moved")
    unforced = moved - found.pop("moved_by_force")
    return {
        "unit": unit,
        **found,
        "remap_fraction": _ratio(moved, compared),
        "excess_remap": _ratio(unforced, compared),
    }


def _windows(y: Tally, shape: RunShape, shapes: Sequence[RunShape]) -> list[dict[str, Any]]:
    """Return the windows up to the last one in which something arrived.

    Where the list of pods changes, max/mean is relative to their time in existence.
    """
    used = int(np.flatnonzero(y.window_offered)[-1]) + 1 if y.window_offered.any() else 0
    stage = "ingress" if shape.path == "ingress" else "kube_proxy"
    fixed = None if why_changed(shape, stage) else shape.expected.get(stage)
    few = y.window_pods.shape[1] > 0
    spread: list[float | None] = [None] * used
    if few and fixed is not None:
        spread = rows_largest_over_mean(y.window_pods[:used], fixed)
    elif few:
        for i in range(used):
            span = (i * shape.window_s, _window_end(y, shape, i))
            lasted = existence(shapes, [span] * len(shapes))
            spread[i] = largest_over_mean(y.window_pods[i], lasted)
    p99 = _coarse_p99(y.window_counts[:used])
    return [
        {
            "start_s": round(i * shape.window_s, 9),
            "end_s": round(_window_end(y, shape, i), 9),
            "requests": int(y.window_offered[i]),
            "failed": int(y.window_failed[i]),
            "latency_p99_s": p99[i],
            "max_over_mean": spread[i],
            "per_pod": y.window_pods[i].tolist() if few else None,
        }
        for i in range(used)
    ]


def _window_end(y: Tally, shape: RunShape, window: int) -> float:
    """Return where a window ends; the last one that there is takes everything that comes later."""
    end = (window + 1) * shape.window_s
    return end if window + 1 < len(y.window_offered) else max(end, shape.simulated)


def _network(y: Tally, shape: RunShape) -> dict[str, Any]:
    """Return the share of attempts that crossed nodes, the connects that a request costs, losses.

    A connect is one of a worker to a pod; on the service path one of the client. ``lost_syns`` had
    no answer, ``lost_connections`` are those whose first SYN was one. ``snat`` counts masqueraded
    connections, the most at once from one node to one target, and SYNs that found no source port.
    ``dropped_samples`` are updates of ewma that a lock kept out.
    """
    totals = dict(zip(TOTALS, y.totals.tolist(), strict=True))
    connects = totals["connects" if shape.path == "ingress" else "connections"]
    return {
        "cross_node_fraction": _ratio(totals["cross_node"], totals["attempts"]),
        "connects_per_request": _ratio(connects, total(y.offered)),
        "connects_per_client_request": _ratio(totals["connections"], total(y.offered)),
        "lost_syns": totals["lost_syns"],
        "lost_connections": totals["lost_connections"],
        "snat": {
            "connections": totals["snat"],
            "peak_per_target": int(y.snat_peak[0]),
            "no_port": totals["no_port"],
        },
        "dropped_samples": totals["dropped_samples"],
    }


def _judged(
    result: Result, y: Tally, first: int, counts: np.ndarray, slo: Mapping[str, float]
) -> Result:
    """Return ``result`` with its objectives judged.

    Attainment is the share of the requests after the warm-up that were answered within the largest
    of the latency limits (of a percentile or the maximum), without one the share answered at all;
    ``counts`` is their histogram.
    """
    limits = [v for k, v in slo.items() if k.startswith("latency.") and k != "latency.mean"]
    good = total(y.completed[first:])
    if limits:  # unfinished requests are in the histogram and are no answers
        good = min(at_or_below(counts, max(limits)), good)
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


def _coarse_p99(counts: np.ndarray) -> list[float | None]:
    """Return the p99 of every row of coarse ``counts``; None: nothing was counted."""
    found = row_quantiles_ns(counts, [0.99], fine=False)[:, 0].tolist()
    return [ns / SECOND if ns >= 0 else None for ns in found]


def _flows(y: Tally, shape: RunShape) -> tuple[dict[str, Any], ...]:
    """Return how many answered requests went from which target of a stage to which of the next."""
    if not len(y.pod_flow):
        return ()
    if shape.path != "ingress":
        ways = [("azure_lb", shape.nodes, "kube_proxy", shape.pods, y.pod_flow)]
    else:
        ways = [
            ("azure_lb", shape.nodes, "reuse_port", shape.workers, y.node_flow),
            ("reuse_port", shape.workers, "ingress", shape.pods, y.pod_flow),
        ]
    return tuple(
        {
            "from_stage": stage,
            "to_stage": following,
            "from": list(sources),
            "to": list(targets),
            "requests": counts.tolist(),
        }
        for stage, sources, following, targets, counts in ways
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
