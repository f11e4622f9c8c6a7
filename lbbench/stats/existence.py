"""How long pods exist: what their utilisation and their shares are measured against (rule E6)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lbbench.model.tally import RunShape

Span = tuple[float, float]


def existence(shapes: Sequence[RunShape], spans: Sequence[Span]) -> np.ndarray:
    """Return how many seconds each pod exists within a span per replication, float64[P], summed.

    A pod exists from its creation until it is killed, whether it serves or not. Replications may
    differ in how many pods a rollout has made by the end; numbers go to the same pods in all.
    """
    seconds = np.zeros(max(len(shape.pods) for shape in shapes))
    for shape, (begin, end) in zip(shapes, spans, strict=True):
        lasted = np.minimum(shape.gone, end) - np.maximum(shape.born, begin)
        seconds[: len(lasted)] += np.maximum(lasted, 0.0)
    return seconds


def lifetimes(shapes: Sequence[RunShape], stops: Sequence[float]) -> list[dict[str, float | None]]:
    """Return ``from_s`` and ``to_s`` of every pod that is not there the whole run, else nothing.

    The earliest birth and the latest end of all replications; ``to_s`` is None for a pod that is
    still there when arrivals stop, at ``stops`` seconds.
    """
    born = np.full(max(len(shape.pods) for shape in shapes), np.inf)
    gone = np.zeros(len(born))
    for shape, stop in zip(shapes, stops, strict=True):
        n = len(shape.pods)
        born[:n] = np.minimum(born[:n], shape.born)
        gone[:n] = np.maximum(gone[:n], np.where(shape.gone > stop, np.inf, shape.gone))
    found: list[dict[str, float | None]] = []
    for begin, end in zip(born.tolist(), gone.tolist(), strict=True):
        to = None if end == np.inf else end
        found.append({"from_s": begin, "to_s": to} if begin > 0.0 or to is not None else {})
    return found
