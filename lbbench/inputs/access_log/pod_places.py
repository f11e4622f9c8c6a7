"""How many requests does a pod work on at a time? Told by which requests overtook which.

**Evidence.** A FIFO pod with one place ends its requests in the order in which they came: if j ends
d after i, it came after i as well, so its response time R is at most R_i + d. With c places a
request overtakes at most c - 1 others. A log of whole seconds does not tell d, but it bounds it: m
lines further in a worker's second of k lines, d is the m-th spacing of k uniform places, of the
distribution Beta(m, k - m + 1). If R_j - R_i is so large that d exceeds it with a chance of u only,
then for one place such a pair is as rare as u. Counting, over a pod's neighbours among the lines of
one worker's second, the pairs with u below a level, and comparing with the level, is a test that
needs no model of arrivals or work. For c places the next c lines have to be overtaken all, and the
level is c times as high. The least number that is not refused is a lower bound.

**Estimate.** The work of a request does not depend on whether it waited. With too few places the
work of those that waited comes out too short, part of it taken for waiting; with too many too long,
part of the waiting taken for work. So of the numbers from the bound on, the one is taken at which
the mean work of those that waited is closest to that of the others. The estimate alone is misled by
uncertain ends, which look like requests in parallel; so where nothing refuses one place, it is one.

On 34 recorded runs with 1 or 8 places and two real logs the number is right in all
(`tests/test_pod_places.py` repeats those that are shipped); with the estimate alone it is wrong in
those where the ends are least known. What it cannot see: places of pods whose requests all take
equally long, which never overtake each other, and those of a log of many workers with few requests
each: then no pair is sure.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from lbbench.inputs.access_log.fifo_pods import Pods, by_pod, work_of

MOST_PLACES = 64
"""Places per pod up to which a number is looked for."""

JUDGED = 30_000
"""Requests that the number of places is judged by, the first ones to end."""

EVIDENCE = 100
"""Requests that waited that a number of places needs: a mean known to 1/sqrt(100)."""

LEVELS = (0.1, 0.03, 0.01, 0.003, 0.001, 0.0003)
"""Chances below which a pair counts as overtaking: several, as log and load decide which tells."""

FALSE_ALARM = 1e-6
"""Chance of refusing a number of places at a level although it is the true one."""

CLOCK = 2e-3
"""Seconds that an overtaking needs at least: two steps of the milliseconds of logged durations."""


class Lines(NamedTuple):
    """Where requests ended among the lines of a log."""

    second: np.ndarray  # int64[n]
    stream: np.ndarray  # int64[n], whose lines are in the order of the ends
    rank: np.ndarray  # int64[n], lines of the same second and stream before it
    lines: np.ndarray  # int64[n], lines of that second and stream
    exact: np.ndarray  # bool[n], whether the end is known, not only its second


class Found(NamedTuple):
    """A number of places and what it rests on."""

    places: int
    bound: int  # the least number that the evidence does not refuse
    by_means: int  # what the means alone would say


def judge_places(
    end: np.ndarray, response: np.ndarray, pod: np.ndarray, lines: Lines | None = None
) -> Found:
    """Return how many requests a pod works on at a time, 1 when nothing tells.

    Parameters
    ----------
    end, response
        Float64[n], seconds, no NaN.
    pod
        Int[n], the pod of each request.
    lines
        What is known of the ends; None: they are exact.
    """
    first = np.argsort(end, kind="stable")[:JUDGED]
    end, response, pod = end[first], response[first], pod[first]
    if lines is None:
        none = np.zeros(len(end), np.int64)
        known = Lines(none, none, none, none + 1, np.ones(len(end), bool))
    else:
        known = Lines(*(column[first] for column in lines))
    bound = least_places(end, response, pod, known)
    apart: dict[int, float] = {1: math.inf}
    for c in range(1, MOST_PLACES + 1):
        found = _apart(end, response, pod, c)
        if found is None:
            break
        apart[c] = found
    by_means = min(apart, key=apart.__getitem__)
    allowed = [c for c in apart if c >= bound]
    places = bound if bound == 1 or not allowed else min(allowed, key=apart.__getitem__)
    return Found(places, bound, by_means)


def least_places(end: np.ndarray, response: np.ndarray, pod: np.ndarray, lines: Lines) -> int:
    """Return the least number of places, up to `MOST_PLACES`, that the evidence allows."""
    from scipy.stats import binom

    order = np.lexsort((end, lines.rank, pod, lines.second, lines.stream))
    chance = np.zeros(len(order))
    for c in range(1, MOST_PLACES):
        if len(order) <= c:
            return c
        first, other = order[:-c], order[c:]
        here = (lines.stream[first] == lines.stream[other]) & (pod[first] == pod[other])
        here &= lines.second[first] == lines.second[other]
        chance = np.maximum(chance[: len(first)], _chances(end, response, lines, first, other))
        pairs = int(here.sum())
        counts = [int((chance[here] < level).sum()) for level in LEVELS]
        alarms = [
            binom.sf(n - 1, pairs, c * level)
            for n, level in zip(counts, LEVELS, strict=True)
            if c * level < 1.0
        ]
        if not alarms or min(alarms) >= FALSE_ALARM:
            return c
    return MOST_PLACES


def _chances(
    end: np.ndarray, response: np.ndarray, lines: Lines, first: np.ndarray, other: np.ndarray
) -> np.ndarray:
    """Return the chance that ``other`` ended so long after ``first`` that it did not overtake."""
    from scipy.special import betainc

    longer = response[other] - response[first] - CLOCK
    exact = lines.exact[first] & lines.exact[other]
    apart = end[other] - end[first]
    # pairs of different seconds are not looked at; they only need some value
    m = np.maximum(lines.rank[other] - lines.rank[first], 1)
    k = np.maximum(lines.lines[first], m)
    told = 1.0 - betainc(m, k - m + 1, np.clip(longer, 0.0, 1.0))
    return np.where(exact, np.where(longer > apart, 0.0, 1.0), told)


def _apart(end: np.ndarray, response: np.ndarray, pod: np.ndarray, places: int) -> float | None:
    """Return how far the mean work of those that waited is from the others', as a log ratio.

    None when fewer than `EVIDENCE` waited.
    """
    waited_s = alone_s = 0.0
    n_waited = n_alone = 0
    for group in by_pod(np.arange(len(end)), pod):
        rows = group[np.argsort((end - response)[group], kind="stable")]
        begun = Pods(places, by_start=True).begun(end[rows], response[rows], pod[rows])
        work, waited = work_of(end[rows], response[rows], begun)
        waited_s += float(work[waited].sum())
        alone_s += float(work[~waited].sum())
        n_waited += int(waited.sum())
        n_alone += int((~waited).sum())
    if n_waited < EVIDENCE:
        return None
    if waited_s <= 0.0 or alone_s <= 0.0:
        return math.inf
    return abs(math.log(waited_s / n_waited / (alone_s / n_alone)))
