"""Why a value is not enough: the busiest pod, the part of the latency that dominates, the floor."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from lbbench.model.scenario import Scenario
from lbbench.stats.latency import QUANTILES
from lbbench.studies.planning import words
from lbbench.studies.planning.judging import Objective
from lbbench.studies.planning.sample import Sample

DRAWS = 200_000
"""Service times that are drawn to find a percentile of them."""

SKEWED = 1.1
"""A stage whose largest target has so many times the mean is named."""

STAGES = {"node": "nodes", "replica": "ingress replicas", "worker": "nginx workers"}


def most_loaded(
    samples: Sequence[Sample], tail: Literal["mean", "p99"] = "p99"
) -> dict[str, Any] | None:
    """Return the busiest pod over the replications, what stages do to it, where latency comes from.

    Utilisation and share are means over the replications; percentiles are the middle ones of
    theirs, because those of parts do not add up to one of the whole. The part of the latency that
    dominates has the largest ``tail``.
    """
    pods = min((sample.pods for sample in samples), key=len)
    if not pods:
        return None
    n = len(pods)  # a rollout may come further in one replication than in another
    busy = np.mean([sample.utilisation[:n] for sample in samples], axis=0)
    shares = np.mean([sample.share[:n] for sample in samples], axis=0)
    at = int(np.argmax(busy))
    tails = [float(sample.tail[at]) for sample in samples if np.isfinite(sample.tail[at])]
    parts = parts_of(samples)
    return {
        "pod": pods[at],
        "utilisation": float(busy[at]),
        "share_over_mean": float(shares[at] / shares.mean()) if shares.any() else None,
        "p99_s": statistics.median_low(tails) if tails else None,
        "attempts_per_request": sum(sample.attempts for sample in samples) / len(samples),
        "stages": [
            {"name": STAGES[kind], "max_over_mean": value} for kind, value in skews(samples).items()
        ],
        "parts_s": parts,
        "dominating": max(parts, key=lambda part: parts[part][tail]) if parts else None,
    }


def parts_of(samples: Sequence[Sample]) -> dict[str, dict[str, float]]:
    """Return mean and p99 of every part of the latency that takes time, seconds."""
    found: dict[str, dict[str, float]] = {}
    for name in dict.fromkeys(name for sample in samples for name in sample.parts):
        each = [sample.parts[name] for sample in samples if name in sample.parts]
        mean = sum(part.mean for part in each) / len(samples)
        found[name] = {"mean": mean, "p99": statistics.median_low([part.p99 for part in each])}
    return found


def skews(samples: Sequence[Sample]) -> dict[str, float]:
    """Return by kind of target the most requests over the mean: the mean over the replications."""
    return {
        kind: sum(sample.skews.get(kind, 1.0) for sample in samples) / len(samples)
        for kind in samples[0].skews
    }


def errors_of(samples: Sequence[Sample]) -> dict[str, int]:
    """Return the failed requests by class over the replications, the most frequent first."""
    found: dict[str, int] = {}
    for sample in samples:
        for name, n in sample.errors.items():
            found[name] = found.get(name, 0) + n
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def floor_of(scenario: Scenario, objective: Objective) -> float | None:
    """Return what the latency cannot fall below: the service time alone, and the client's RTT.

    Of a percentile the same percentile of the service time, on the fastest pod without a queue.
    None where no such figure is known: a recording, other metrics, pods whose speed changes, and
    requests that are given up before (their service time counts in no latency).
    """
    from lbbench.model.topology import topology
    from lbbench.traffic.columns import columns_of
    from lbbench.traffic.streams import Streams

    name = objective.metric.removeprefix("latency.")
    if scenario.traffic.trace is not None or not (name == "mean" or name in QUANTILES):
        return None
    if any(change.speed is not None for change in scenario.timeline):
        return None
    work = columns_of(scenario).work
    fastest = max(pod.speed for pod in topology(scenario).pods)
    value = work.mean
    if name in QUANTILES:
        drawn = work.start(Streams(scenario.run.seed, 0))(DRAWS)
        value = float(np.quantile(drawn, QUANTILES[name]))
    floor = value / fastest + float(scenario.cluster.network.client_rtt)
    is_cut = scenario.path == "ingress" and scenario.stages.ingress.timeouts.read <= floor
    return None if is_cut else floor


def why(samples: Sequence[Sample], objective: Objective, *, is_full: bool = False) -> str:
    """Return in words what makes the runs of a value miss an objective.

    ``is_full``: the runs say that pods are over capacity.
    """
    if objective.metric == "error_rate" and not is_full:
        classes = errors_of(samples)
        if not classes:
            return "no request failed in the runs"
        of = sum(classes.values())
        return "requests fail: " + ", ".join(
            f"{name} {100.0 * n / of:.3g} %" for name, n in list(classes.items())[:3]
        )
    tail: Literal["mean", "p99"] = "mean" if objective.metric == "latency.mean" else "p99"
    found = most_loaded(samples, tail)
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
        f"{stage['name']} {stage['max_over_mean']:.2f}"
        for stage in found["stages"]
        if stage["max_over_mean"] >= SKEWED
    ]
    if skewed:
        said.append(f"largest over mean: {', '.join(skewed)}")
    return "; ".join(said)
