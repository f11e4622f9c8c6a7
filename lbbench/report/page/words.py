"""Sentences of the summary: which one, why, how sure; from figures, without adjectives."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from lbbench.model.result import Result
from lbbench.report.units import percent, percentile, ratio, seconds

PARTS = {
    "client_wait": "waiting at the client for its busy connection",
    "connect": "opening connections",
    "network": "time on the network",
    "worker_queue": "waiting for an nginx worker",
    "pod_queue": "waiting in the queues of the pods",
    "service": "work in the pods",
    "retries": "attempts that failed before one was answered",
}
"""The parts of a latency, as the end of a sentence."""

EVEN = 1.03
"""Busiest over mean below which shares are called even."""

LOAD_GAP = 0.02
"""Difference in utilisation that is worth a sentence."""


class Trait(NamedTuple):
    """What explains the latency of one variant."""

    name: str
    mean: float | None
    parts: Mapping[str, float]  # mean seconds by part of the latency
    busiest: float | None  # utilisation of the busiest pod
    unevenness: float | None  # largest over mean share of the pods


def trait_of(name: str, results: Sequence[Result], mean: float | None = None) -> Trait:
    """Return the traits of a variant from its replications, each weighing as it has requests.

    ``mean`` is its mean latency where that is known better: behind a warm-up common to all.
    """
    weights = [result.latency_s["n"] or 0 for result in results]
    names = results[0].latency_by_stage_s if results else {}
    return Trait(
        name,
        _mean([r.latency_s["mean"] for r in results], weights) if mean is None else mean,
        {
            part: _mean([r.latency_by_stage_s.get(part, {}).get("mean") for r in results], weights)
            or 0.0
            for part in names
        },
        _mean([result.metric("utilisation.max") for result in results], weights),
        _mean([result.stages[-1]["balance"]["max_over_mean"] for result in results], weights),
    )


def why(best: Trait, other: Trait) -> list[str]:
    """Return why ``other`` takes longer than ``best``: which part of the latency, which load."""
    if best.mean is None or other.mean is None or other.mean <= best.mean:
        return []
    gap = other.mean - best.mean
    text = f"A request takes {seconds(gap)} longer with {other.name} than with {best.name} on "
    text += f"average ({seconds(other.mean)} against {seconds(best.mean)}){_most(best, other)}."
    said = [text]
    if (
        best.busiest is not None
        and other.busiest is not None
        and (abs(other.busiest - best.busiest) > LOAD_GAP)
    ):
        said.append(
            f"Its busiest pod is at work {percent(other.busiest)} % of the time, that of "
            f"{best.name} {percent(best.busiest)} %."
        )
    elif best.unevenness is not None and other.unevenness is not None:
        if max(best.unevenness, other.unevenness) < EVEN:
            shares = f"{ratio(other.unevenness)} and {ratio(best.unevenness)} times the mean"
            said.append(
                f"Both hand out even shares (the busiest pod gets {shares}): what differs is when "
                "requests reach a pod, not how many do."
            )
        else:
            said.append(
                f"Its busiest pod gets {ratio(other.unevenness)} times the mean share, that of "
                f"{best.name} {ratio(best.unevenness)} times."
            )
    return said


def _most(best: Trait, other: Trait) -> str:
    """Return which parts make up most of the gap between two means, as the rest of a sentence."""
    gaps = {part: other.parts[part] - best.parts.get(part, 0.0) for part in other.parts}
    gap = sum(gaps.values())
    ranked = sorted((part for part in gaps if gaps[part] > 0.0), key=lambda part: -gaps[part])
    if not ranked or gap <= 0.0:
        return ""
    kept = ranked[:1] if gaps[ranked[0]] >= 0.8 * gap else ranked[:2]
    told = [
        f"{_share(gaps[part] / gap)}{'' if i else ' of it'} {PARTS.get(part, part)}"
        for i, part in enumerate(kept)
        if gaps[part] >= 0.05 * gap
    ]
    return f", {' and '.join(told)}" if told else ""


def _share(value: float) -> str:
    return "all" if value >= 0.995 else f"{percent(value, 0)} %"


def listed(names: Sequence[str], most: int = 6) -> str:
    """Return names as a sentence has them: a, b and c; of many the first ones."""
    if len(names) > most:
        return f"{', '.join(names[:most])} and {len(names) - most:,} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def figure_name(metric: str) -> str:
    """Return a metric as people say it: p99.9 for latency.p999, error rate."""
    return percentile(metric.removeprefix("latency.")).replace("_", " ")


def limit_text(metric: str, limit: float) -> str:
    """Return the limit or value of an objective with its unit."""
    if metric.startswith("latency."):
        return seconds(limit)
    return f"{100 * limit:.3g} %"


def between(interval: Sequence[float] | None) -> str:
    """Return an interval of times in parentheses, with a space in front; nothing for None."""
    if interval is None:
        return ""
    return f" (95 % {seconds(max(interval[0], 0.0))} to {seconds(interval[1])})"


def times(value: float, interval: Sequence[float] | None = None) -> str:
    """Return a ratio as people say it: "1.07 times", with its interval."""
    if interval is None:
        return f"{value:.2g} times" if value < 100 else f"{value:,.0f} times"
    low, high = interval
    width = high - low
    digits = 0 if width >= 10.0 else 1 if width >= 0.2 else 2 if width >= 0.02 else 3
    return f"{value:.{digits}f} times (95 % {low:.{digits}f} to {high:.{digits}f})"


def warned(n: int) -> str:
    """Return the sentence that leads to the warnings."""
    if not n:
        return ""
    return (
        "One warning qualifies this; it stands below."
        if n == 1
        else (f"{n:,} warnings qualify this; they stand below.")
    )


def runs_text(results: Sequence[Result]) -> str:
    """Return from what the intervals come: replications, or batches of one run."""
    first = results[0]
    runs = int(first.scenario.get("run", {}).get("replications", 1))
    source = first.latency_s["ci95"].get("from")
    if source == "replications":
        return f"intervals at 95 % from {runs} replications"
    return "intervals at 95 % from batches of one run" if source else "no intervals"


def _mean(values: Sequence[Any], weights: Sequence[float]) -> float | None:
    known = [(v, w) for v, w in zip(values, weights, strict=True) if v is not None]
    whole = sum(w for _, w in known)
    if not known:
        return None
    return sum(v * w for v, w in known) / whole if whole else sum(v for v, _ in known) / len(known)
