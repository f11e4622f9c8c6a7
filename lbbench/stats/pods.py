"""What the pods of a run did: requests, load over the time that they existed, overload."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.model.tally import RunShape, Tally
from lbbench.stats.existence import existence, lifetimes
from lbbench.stats.latency import SECOND, latency_blocks, total

SATURATED = 0.999
ENOUGH = 100  # attempts per place: fewer may keep a pod busy all the time by chance
CHANCE_GROWTH = 3.0  # standard deviations that a queue at capacity may grow by chance

Run = tuple[Tally, RunShape]


def spans_of(runs: Sequence[Run], first: int) -> list[tuple[float, float]]:
    """Return from when to when each replication is measured: without warm-up, until arrivals stop.

    In seconds.
    """
    return [(float(y.segment_start[first]), float(y.segment_start[-1])) for y, _ in runs]


def pod_blocks(
    y: Tally, shape: RunShape, runs: Sequence[Run], first: int
) -> tuple[dict[str, Any], ...]:
    """Return the pods of the merged tally ``y``.

    Utilisation is busy time over places times the seconds of existence, and the requests in flight
    are their mean over these. Percentiles start at segment `settled` (16 if the warm-up is auto).
    """
    attempts = y.pod_attempts[first:].sum(axis=0)
    busy, flight = (part[-1] - part[first] for part in (y.pod_busy, y.pod_flight))
    spans, shapes = spans_of(runs, first), [shape for _, shape in runs]
    lasted = existence(shapes, spans)
    lives = lifetimes(shapes, [end for _, end in spans])
    latency = latency_blocks(
        y.pod_latency_counts,
        [total(y.pod_latency_sum[first:, i]) for i in range(len(shape.pods))],
        y.pod_completed[first:].sum(axis=0).tolist(),
        fine=False,
    )
    columns = (y.pod_attempts, y.pod_first, y.pod_errors)
    requests, first_attempts, errors = (column.sum(axis=0).tolist() for column in columns)
    every = int(attempts.sum())
    pods = []
    for i, name in enumerate(shape.pods):
        pods.append(
            {
                "name": name,
                "node": shape.nodes[shape.pod_node[i]],
                "requests": requests[i],
                "first_attempts": first_attempts[i],
                "share": _ratio(int(attempts[i]), every),
                "errors": errors[i],
                "utilisation": _ratio(float(busy[i]), int(shape.concurrency[i]) * float(lasted[i])),
                "in_flight": {
                    "mean": _ratio(float(flight[i]), float(lasted[i])),
                    "max": int(y.pod_flight_max[i]),
                },
                "latency_s": latency[i],
                **_stalls(y, i),
                **lives[i],
            }
        )
    return tuple(pods)


def _stalls(y: Tally, pod: int) -> dict[str, Any]:
    """Return how often and how long a pod stood still for its CPU quota; nothing if it did not."""
    if not y.pod_stalls[pod]:
        return {}
    stalls = {
        "count": int(y.pod_stalls[pod]),
        "total_s": int(y.pod_stalled[pod]) / SECOND,
        "longest_s": int(y.pod_stall_max[pod]) / SECOND,
    }
    return {"stalls": stalls}


def over_capacity(
    y: Tally, shape: RunShape, runs: Sequence[Run], first: int, excused: frozenset[str]
) -> list[int]:
    """Return the pods that are saturated, or whose queue grows by more than chance.

    A queue at capacity wanders by sqrt(2 n) in n arrivals, one below capacity by less. The pods
    named in ``excused`` stood still on purpose, so that their queues tell nothing of the load.
    """
    elapsed = np.diff(y.segment_start)
    mean = np.diff(y.pod_flight, axis=0) / np.where(elapsed > 0.0, elapsed, np.inf)[:, None]
    growth = (mean[-1] - mean[first]) * len(runs)
    attempts = y.pod_attempts[first:].sum(axis=0)
    grows = growth > CHANCE_GROWTH * np.sqrt(2.0 * len(runs) * np.maximum(attempts, 1))
    lasted = existence([shape for _, shape in runs], spans_of(runs, first))
    busy = (y.pod_busy[-1] - y.pod_busy[first]) / np.maximum(shape.concurrency * lasted, 1e-300)
    served = np.maximum(attempts - growth, 1.0)
    over = (busy >= SATURATED) | (grows & (busy * attempts / served > 1.0))
    over &= (lasted > 0.0) & (attempts >= ENOUGH * shape.concurrency * len(runs))
    return [int(i) for i in np.flatnonzero(over) if shape.pods[i] not in excused]


def stopped_on_purpose(scenario: Mapping[str, Any]) -> frozenset[str]:
    """Return the pods that the timeline of a resolved scenario pauses or lets fail."""
    return frozenset(
        str(change["pod"])
        for change in scenario.get("timeline") or ()
        if change.get("fail") is not None or change.get("pause") is not None
    )


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
