"""What shall be compared is measured in turns, so that a slow minute meets all of it."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping

ROUNDS = 5


def interleaved(
    measures: Mapping[str, Callable[[], float]], rounds: int = ROUNDS
) -> dict[str, list[float]]:
    """Return ``rounds`` figures of every measure by its name.

    Every other round goes backwards, so that none always comes after the same other one.
    """
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(rounds):
        names = list(measures) if number % 2 == 0 else list(reversed(list(measures)))
        for name in names:
            found[name].append(measures[name]())
    return found


def medians(found: Mapping[str, list[float]]) -> dict[str, float]:
    """Return the median of every measure."""
    return {name: statistics.median(values) for name, values in found.items()}


def spread(values: list[float]) -> float:
    """Return half the range between the smallest and the largest figure, relative to the median."""
    return (max(values) - min(values)) / 2.0 / statistics.median(values)
