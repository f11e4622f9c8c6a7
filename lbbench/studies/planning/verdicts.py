"""The verdict of one value, and how far its figures are beyond their limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from lbbench.studies.planning.case import Case, Cluster
from lbbench.studies.planning.judging import Judged, Objective, Outcome, Reading, verdict_of


class Decided(NamedTuple):
    """One value with its verdict."""

    case: Case
    verdict: Outcome
    parts: tuple[tuple[Cluster, Judged], ...]

    @property
    def number(self) -> int:
        """The value."""
        return self.case.number


def is_within(reading: Reading) -> bool:
    """Tell whether the estimate is within the limit."""
    return reading.estimate is not None and badness(reading) <= 0.0


def joined(verdicts: Sequence[Outcome]) -> Outcome:
    """Return the verdict of a value from those of its clusters."""
    if "not met" in verdicts:
        return "not met"
    return "undecided" if "undecided" in verdicts else "met"


def seemingly(clusters: Sequence[Sequence[Reading]]) -> Outcome:
    """Return the verdict by 95 % intervals of one look: an objective is missed, or all is open."""
    return "likely not met" if any(_is_beyond(i) for row in clusters for i in row) else "undecided"


def _is_beyond(reading: Reading) -> bool:
    """Tell whether the whole 95 % interval of the figure alone is beyond the limit."""
    low, high = reading.ci95 or (None, None)
    objective = Objective(reading.metric, reading.limit)
    return verdict_of(objective, reading.estimate, low, high) == "not met"


def readings_of(decided: Decided) -> list[Reading]:
    """Return the readings of a value by objective: of the cluster that comes off worst."""
    of_each = zip(*(judged.readings for _, judged in decided.parts), strict=True)
    return [max(readings, key=badness) for readings in of_each]


def worst(decided: Decided) -> Reading:
    """Return the reading of a value that is furthest beyond its limit."""
    return max(readings_of(decided), key=badness)


def badness(reading: Reading) -> float:
    """Return how far a reading is beyond its limit, relative to it; negative: within."""
    if reading.estimate is None:
        return 0.0
    gap = reading.estimate - reading.limit
    if reading.metric == "attainment":
        gap = -gap
    return gap / (abs(reading.limit) or 1e-9)
