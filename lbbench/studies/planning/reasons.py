"""Why a value is not enough: the busiest pod, the part of the latency that dominates, the floor."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import numpy as np

from lbbench.model.scenario import Scenario
from lbbench.model.study import Row
from lbbench.stats.latency import QUANTILES
from lbbench.studies.planning import words
from lbbench.studies.planning.judging import Objective

DRAWS = 200_000
"""Service times that are drawn to find a percentile of them."""

SKEWED = 1.1
"""A stage whose largest target has so many times the mean is named."""

STAGES = {
    "azure_lb": "nodes (load balancer)",
    "kube_proxy": "endpoints (kube-proxy)",
    "reuse_port": "nginx workers",
}


def most_loaded(rows: Sequence[Row], tail: Literal["mean", "p99"] = "p99") -> dict[str, Any] | None:
    """Return the busiest pod over the replications, what stages do to it, where latency comes from.

    Utilisation and share are means over the replications; percentiles are the middle ones of
    theirs, because those of parts do not add up to one of the whole. The part of the latency that
    dominates has the largest ``tail``.
    """
    documents = [json.loads(row.result or "{}") for row in rows]
    pods: dict[str, list[Mapping[str, Any]]] = {}
    for document in documents:
        for pod in document["pods"]:
            pods.setdefault(pod["name"], []).append(pod)
    if not pods:
        return None
    busy = {name: _mean([pod["utilisation"] for pod in found]) for name, found in pods.items()}
    shares = {name: _mean([pod["share"] for pod in found]) for name, found in pods.items()}
    name = max(pods, key=lambda pod: (busy[pod] or 0.0, shares[pod] or 0.0))
    known = [share for share in shares.values() if share is not None]
    mean = sum(known) / len(known) if known else 0.0
    tails = [pod["latency_s"]["p99"] for pod in pods[name]]
    tails = [value for value in tails if value is not None]
    parts = parts_of(documents)
    dominating = max(parts, key=lambda part: parts[part][tail]) if parts else None
    return {
        "pod": name,
        "utilisation": busy[name],
        "share_over_mean": (shares[name] or 0.0) / mean if mean else None,
        "p99_s": statistics.median_low(tails) if tails else None,
        "stages": skews(documents),
        "parts_s": parts,
        "dominating": dominating,
    }


def parts_of(documents: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, float]]:
    """Return mean and p99 of every part of the latency that takes time, seconds."""
    found: dict[str, dict[str, float]] = {}
    for name in documents[0]["latency_by_stage_s"]:
        each = [document["latency_by_stage_s"][name] for document in documents]
        mean = _mean([part["mean"] for part in each])
        tails = [part["p99"] for part in each if part["p99"] is not None]
        if mean and tails:
            found[name] = {"mean": mean, "p99": statistics.median_low(tails)}
    return found


def skews(documents: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return by stage its largest target over the mean one, a mean over the runs."""
    found = []
    for i, stage in enumerate(documents[0]["stages"]):
        ratios = [document["stages"][i]["balance"]["max_over_mean"] for document in documents]
        found.append({"name": stage["name"], "max_over_mean": _mean(ratios)})
    return found


def errors_of(rows: Sequence[Row]) -> dict[str, int]:
    """Return the failed requests by class over the replications, the most frequent first."""
    found: dict[str, int] = {}
    for row in rows:
        for name, n in json.loads(row.result or "{}")["requests"]["by_error"].items():
            found[name] = found.get(name, 0) + n
    return {name: n for name, n in sorted(found.items(), key=lambda item: -item[1]) if n}


def floor_of(scenario: Scenario, objective: Objective) -> float | None:
    """Return what the latency cannot fall below: the service time alone, and the client's RTT.

    Of a percentile the same percentile of the service time, on the fastest pod without a queue.
    None where no such figure is known (a recording, other metrics).
    """
    from lbbench.model.topology import topology
    from lbbench.traffic.columns import columns_of
    from lbbench.traffic.streams import Streams

    name = objective.metric.removeprefix("latency.")
    if scenario.traffic.trace is not None or not (name == "mean" or name in QUANTILES):
        return None
    work = columns_of(scenario).work
    fastest = max(pod.speed for pod in topology(scenario).pods)
    value = work.mean
    if name in QUANTILES:
        drawn = work.start(Streams(scenario.run.seed, 0))(DRAWS)
        value = float(np.quantile(drawn, QUANTILES[name]))
    return value / fastest + float(scenario.cluster.network.client_rtt)


def why(rows: Sequence[Row], objective: Objective, *, is_full: bool = False) -> str:
    """Return in words what makes the runs of a value miss an objective.

    ``is_full``: the runs say that pods are over capacity.
    """
    if objective.metric == "error_rate" and not is_full:
        classes = errors_of(rows)
        if not classes:
            return "no request failed in the runs"
        of = sum(classes.values())
        return "requests fail: " + ", ".join(
            f"{name} {100.0 * n / of:.3g} %" for name, n in list(classes.items())[:3]
        )
    tail: Literal["mean", "p99"] = "mean" if objective.metric == "latency.mean" else "p99"
    found = most_loaded(rows, tail)
    if found is None:
        return "no pod was there"
    said = ["pods are over capacity in its runs"] if is_full else []
    if found["dominating"] is not None:
        parts = sorted(found["parts_s"].items(), key=lambda item: -item[1][tail])[:2]
        each = [f"{name.replace('_', ' ')} {words.time(part[tail])}" for name, part in parts]
        said.append(f"{tail} of the parts of the latency: {', '.join(each)}")
    if found["utilisation"] is not None:
        share = found["share_over_mean"]
        beside = f", {share:.2f} times the mean share" if share and share > 1.01 else ""
        said.append(
            f"the busiest is {found['pod']}, {100.0 * found['utilisation']:.0f} % busy{beside}"
        )
    skewed = [
        f"{STAGES[stage['name']]} {stage['max_over_mean']:.2f}"
        for stage in found["stages"]
        if stage["name"] in STAGES and (stage["max_over_mean"] or 0.0) >= SKEWED
    ]
    if skewed:
        said.append(f"largest over mean: {', '.join(skewed)}")
    return "; ".join(said)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
