"""Whether objectives are met, with confidence: 95 % for the whole decision, not for each look.

A value is looked at after 4, 8, 16, 32 and 64 replications until it is decided. It is met when the
upper end of the interval of every objective is within its limit, and not met when the lower end of
one is beyond it. The chance of a wrong decision is spent on the looks, more of it on later ones
(`SPENT`), and in equal parts on the objectives and clusters of a look (Bonferroni), so that the
answer is right with 95 %: it can be
wrong on two sides, a value below it that was called not met, and its own "met", and each side gets
half. Values further off err in the same replications, if at all, because every value meets the
same requests; their errors lie inside those of the nearest.

Two figures have no interval of their own and are judged by their spread over the replications: the
largest latency (which grows with the length of a run) and the busiest pod's utilisation.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np

from lbbench.model.objectives import flattened, parse_objective
from lbbench.stats.evidence import common_warmup
from lbbench.stats.intervals import (
    LEVEL,
    decorrelated,
    drift,
    estimate,
    interval,
    is_enough,
    student,
    units_of,
)
from lbbench.stats.latency import QUANTILES, Units
from lbbench.studies.planning.sample import Sample

LOOKS = (4, 8, 16, 32, 64)
"""Replications after which a value is looked at."""

SPENT = (1, 1, 3, 3, 4)
"""Parts of the chance of a wrong decision that the looks may take.

Few replications decide what is clear at any level; those at the last look are dear, and what they
leave open stays so.
"""

BY_SPREAD = ("latency.max", "utilisation.max")
"""Metrics that are judged by the spread of the replications' own values."""

Outcome = Literal["met", "not met", "undecided", "likely met", "likely not met"]
"""The likely ones go by the estimate of few replications: a search has passed by there."""


class Objective(NamedTuple):
    """One thing that is asked for."""

    metric: str
    limit: float  # seconds, or a share

    @property
    def is_least(self) -> bool:
        """Whether the limit is a least value: attainment is to be high, all others low."""
        return self.metric == "attainment"


class Reading(NamedTuple):
    """One figure of a value, against its limit."""

    metric: str
    limit: float
    estimate: float | None
    low: float | None  # of the interval that decides; None: the replications carry none
    high: float | None
    verdict: Outcome
    ci95: tuple[float, float] | None = None  # the 95 % interval of the figure alone, for reading


class Judged(NamedTuple):
    """What the replications of one cluster say."""

    verdict: Outcome
    readings: tuple[Reading, ...]
    overloaded: bool  # its runs say that pods are over capacity
    replications: int
    counted: int  # requests after the warm-up
    level: float | None = None  # of the intervals that decide
    drift: float | None = None  # of the mean latency over the measured part, if it is no chance


def objectives_of(given: Mapping[str, object]) -> tuple[Objective, ...]:
    """Return objectives from limits by metric, as a file or a caller writes them.

    Raises
    ------
    ValueError
        With the metric and what is wrong with it.
    """
    made = []
    flat = flattened(given)
    assert isinstance(flat, dict)
    for metric, limit in flat.items():
        try:
            made.append(Objective(metric, parse_objective(metric, limit)))
        except ValueError as error:
            raise ValueError(f"{metric} = {limit}: {error}") from None
    return tuple(made)


def level_of(look: int, objectives: int, clusters: int, confidence: float = LEVEL) -> float:
    """Return the level of one interval at one look, so that the decision has ``confidence``.

    ``look``: the replications that are looked at; those of no look count as the first.
    """
    spent = SPENT[LOOKS.index(look) if look in LOOKS else 0] / sum(SPENT)
    return 1.0 - (1.0 - confidence) * spent / (objectives * clusters)


def judge(
    samples: Sequence[Sample],
    objectives: Sequence[Objective],
    level: float,
    *,
    can_overload: bool = True,
) -> Judged:
    """Return what finished replications say of the objectives.

    Parameters
    ----------
    samples
        The first replications of one scenario, at least two.
    level
        Of each interval, see `level_of`.
    can_overload
        Whether a run that says "over capacity" is to be believed: not where all is deterministic,
        because full is not too full there.
    """
    first = common_warmup([[sample.evidence for sample in samples]])
    whole = [sample.behind(first) for sample in samples]
    units, sure = units_of(whole, first), decorrelated(whole, first)
    threshold = _threshold(objectives)
    readings = tuple(
        _reading(item, samples, units, sure, level, threshold=threshold) for item in objectives
    )
    overloaded = can_overload and _is_overloaded(samples)
    if overloaded or any(item.verdict == "not met" for item in readings):
        verdict: Outcome = "not met"
    elif all(item.verdict == "met" for item in readings):
        verdict = "met"
    else:
        verdict = "undecided"
    return Judged(
        verdict, readings, overloaded, len(samples), int(units.n.sum()), level, drift(whole, first)
    )


def _threshold(objectives: Sequence[Objective]) -> float | None:
    """Return the latency that counts for attainment: the largest limit, as a result has it."""
    limits = [
        item.limit
        for item in objectives
        if item.metric.startswith("latency.") and item.metric != "latency.mean"
    ]
    return max(limits, default=None)


def _reading(
    item: Objective,
    samples: Sequence[Sample],
    units: Units,
    sure: float,
    level: float,
    *,
    threshold: float | None,
) -> Reading:
    found = []
    for each in (level, LEVEL):
        value, ends = _figure(item.metric, samples, units, sure, each, threshold=threshold)
        found.append(ends)
    decides, read = found
    low, high = decides if decides is not None else (None, None)
    verdict = verdict_of(item, value, low, high)
    return Reading(item.metric, item.limit, value, low, high, verdict, read)


def _figure(
    metric: str,
    samples: Sequence[Sample],
    units: Units,
    sure: float,
    level: float,
    *,
    threshold: float | None,
) -> tuple[float | None, tuple[float, float] | None]:
    """Return a figure and its interval at ``level``; None: there is none."""
    if metric in BY_SPREAD:
        return _by_spread(metric, samples, level)
    if metric in ("error_rate", "attainment"):
        name = metric if metric == "error_rate" or threshold is None else f"{metric}:{threshold!r}"
        value, found = estimate(units, name), interval(units, name, level)
        return value, _share_interval(value, int(units.offered.sum()), found, level)
    name = metric.removeprefix("latency.")
    found = interval(units, name, level) if is_enough(sure, name) else None
    return estimate(units, name), found


def verdict_of(
    item: Objective, value: float | None, low: float | None, high: float | None
) -> Outcome:
    """Return what a figure and its interval say of an objective; None: there is none."""
    if value is None or low is None or high is None:
        return "undecided"
    if item.is_least:
        if low >= item.limit or (item.limit == value == 1.0):
            return "met"
        return "not met" if high < item.limit else "undecided"
    # No number of requests shows that nothing ever fails: a limit of 0 is met when nothing did.
    if high <= item.limit or (item.limit == value == 0.0):
        return "met"
    return "not met" if low > item.limit else "undecided"


def _by_spread(
    metric: str, samples: Sequence[Sample], level: float
) -> tuple[float | None, tuple[float, float] | None]:
    """Return mean and interval of what each replication found for itself."""
    values = [_own(metric, sample) for sample in samples]
    known = np.array([value for value in values if value is not None])
    if len(known) < 2:
        return (float(known[0]) if len(known) else None), None
    mean = float(known.mean())
    half = student(len(known) - 1, level) * float(known.std(ddof=1)) / math.sqrt(len(known))
    return mean, (mean - half, mean + half)


def _own(metric: str, sample: Sample) -> float | None:
    if metric == "latency.max":
        return sample.largest
    return float(sample.utilisation.max()) if len(sample.utilisation) else None


def _share_interval(
    share: float | None, n: int, found: tuple[float, float] | None, level: float
) -> tuple[float, float] | None:
    """Return the interval of a share, at least as wide as that of ``n`` independent requests.

    Where nothing (or everything) failed the replications do not differ, and yet the share may be
    above 0: then it is Clopper and Pearson's interval alone.
    """
    if share is None or found is None or n == 0:
        return None
    from scipy.special import betaincinv

    hits, tail = round(share * n), 0.5 * (1.0 - level)
    low = float(betaincinv(hits, n - hits + 1, tail)) if hits else 0.0
    high = float(betaincinv(hits + 1, n - hits, 1.0 - tail)) if hits < n else 1.0
    return max(min(low, found[0]), 0.0), min(max(high, found[1]), 1.0)


def _is_overloaded(samples: Sequence[Sample]) -> bool:
    """Tell whether most replications say that pods are over capacity: one may do so by chance."""
    return 2 * sum(sample.overloaded for sample in samples) > len(samples)


def needs(metric: str) -> float:
    """Return how many decorrelated requests a metric needs for an interval."""
    name = metric.removeprefix("latency.")
    return 5.0 / (1.0 - QUANTILES[name]) if name in QUANTILES else 2.0
