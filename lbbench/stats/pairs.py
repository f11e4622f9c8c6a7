"""How two runs of the same traffic differ: paired differences, their intervals, Holm's correction.

What both runs owe to the traffic cancels before a spread is taken (common random numbers).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from lbbench.stats.batching import batch_size
from lbbench.stats.intervals import (
    Interval,
    decorrelated,
    estimate,
    half_width,
    influence,
    is_enough,
    standard_error,
    student,
    two_sided,
)
from lbbench.stats.latency import Counted, Units, batches, is_whole, replications


@dataclass(frozen=True)
class Difference:
    """How one figure differs between two runs of the same traffic: b against a.

    The intervals hold at 95 % each; ``p_value`` is for "no difference", to be corrected with `holm`
    when several pairs are looked at. None: cannot be said (nothing counted, too few units).
    """

    metric: str
    a: float | None
    b: float | None
    difference: float | None
    difference_ci95: Interval | None
    ratio: float | None
    ratio_ci95: Interval | None
    p_value: float | None
    units: int
    source: Literal["replications", "batches"]

    @property
    def told_apart(self) -> bool:
        """Tell whether the interval of the difference leaves out zero."""
        ci = self.difference_ci95
        return ci is not None and (ci[0] > 0.0 or ci[1] < 0.0)


class Side(NamedTuple):
    """One of two variants that are compared."""

    units: Units
    sure: float  # decorrelated requests


def paired(a: Sequence[Counted], b: Sequence[Counted], name: str, *, first: int = 0) -> Difference:
    """Return how ``b`` differs from ``a`` in ``name`` (see `influence`) under the same traffic.

    Units of the same replication or segment met the same arrivals, so their pulls are subtracted
    before the spread is taken: what both runs owe to the traffic cancels. The interval of the ratio
    is symmetric in its logarithm. ``a`` and ``b`` have equally many replications.
    """
    if len(a) > 1 or not (is_whole(a[0]) and is_whole(b[0])):
        return paired_sides(side_of(a, first), side_of(b, first), name)
    size = max(batch_size(a[0], first), batch_size(b[0], first))
    left, right = (Side(batches(run[0], first, size), decorrelated(run, first)) for run in (a, b))
    return paired_sides(left, right, name)


def side_of(tallies: Sequence[Counted], first: int) -> Side:
    """Return what a comparison needs of the replications of one variant."""
    return Side(replications(tallies, first), decorrelated(tallies, first))


def paired_sides(a: Side, b: Side, name: str) -> Difference:
    """Return `paired` of two sides whose units belong together one by one."""
    left, right = a.units, b.units
    x, y = estimate(left, name), estimate(right, name)
    pull_x, pull_y = influence(left, name), influence(right, name)
    n = len(left.sum_ns)
    nothing = Difference(name, x, y, None, None, None, None, None, n, left.source)
    if x is None or y is None or pull_x is None or pull_y is None:
        return nothing
    gap, ratio = y - x, y / x if x > 0.0 else None
    found = replace(nothing, difference=gap, ratio=ratio)
    error = standard_error(left, pull_y - pull_x)
    if error is None or not is_enough(min(a.sure, b.sure), name):
        return found
    half, p_value = student(n - 1) * error, two_sided(gap, error, n - 1)
    found = replace(found, difference_ci95=(gap - half, gap + half), p_value=p_value)
    relative = half_width(left, pull_y / y - pull_x / x) if x > 0.0 and y > 0.0 else None
    if ratio is None or relative is None:
        return found
    return replace(found, ratio_ci95=(ratio * math.exp(-relative), ratio * math.exp(relative)))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return Holm's corrected p-values: below 5 %, the whole family errs once in twenty.

    S. Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979.
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected = [0.0] * len(p_values)
    floor = 0.0
    for rank, i in enumerate(order):
        floor = max(floor, min((len(p_values) - rank) * p_values[i], 1.0))
        corrected[i] = floor
    return corrected
