"""What the checks read of a run: means and tails of what is after the warm-up, shares, integrals.

The unit of time is one mean service time. Everything is read as a result reads it: the warm-up is
cut by `stats`, means come from sums of whole nanoseconds, tails from the histogram.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from lbbench.core.histogram import fine_index
from lbbench.engines.recording import QUEUED
from lbbench.model.tally import Tally
from lbbench.stats.intervals import warmup_of
from lbbench.stats.latency import SECOND
from lbbench.verify.experiment import Numbers, Ran


def first_kept(run: Ran) -> int:
    """Return the first segment after the warm-up."""
    return warmup_of([run.outcome.tally], run.outcome.shape)


@dataclass(frozen=True)
class Queue:
    """Reads how long requests stay, and how full the pods are.

    Gives ``kept`` (requests after the warm-up), ``mean`` (response), ``wait``, ``no_wait`` (share
    that is served at once), ``inside`` (requests at a pod, average over time), ``busy`` (share of
    the places that work), ``rate`` (arrivals at a pod per service time), ``refused`` (share of the
    requests), ``pods`` (requests by pod) and, for each of ``tails``, ``above`` and ``reach``: the
    share of the answers in places above that of the threshold, and in those or its own.

    Attributes
    ----------
    service
        Mean service time, seconds.
    tails
        Thresholds in units of it.
    """

    service: float
    tails: Sequence[float] = field(default=())

    def __call__(self, run: Ran) -> Numbers:
        """Return the numbers of one run."""
        y, first = run.outcome.tally, first_kept(run)
        n = int(y.completed[first:].sum() + y.unfinished[first:].sum())
        counts = y.latency_counts[first:].sum(axis=0)
        places = [fine_index(round(t * self.service * SECOND)) for t in self.tails]
        return {
            "kept": n,
            "mean": y.latency_sum[first:].sum() / n / SECOND / self.service,
            "wait": y.part_sum[QUEUED, first:].sum() / n / SECOND / self.service,
            "no_wait": y.part_counts[QUEUED, 0] / y.part_counts[QUEUED].sum(),
            "inside": _over_time(y, y.pod_flight, first),
            "busy": _over_time(y, y.pod_busy, first) / run.outcome.shape.concurrency[0],
            "rate": y.offered[first:].sum() * self.service / _length(y, first) / len(y.pod_busy[0]),
            "refused": y.failed[first:].sum() / y.offered[first:].sum(),
            "above": np.array([counts[place + 1 :].sum() / n for place in places]),
            "reach": np.array([counts[place:].sum() / n for place in places]),
            "pods": y.pod_first.sum(axis=0),
        }


def _over_time(y: Tally, areas: np.ndarray, first: int) -> float:
    """Return the average of a pod's integral over the time after the warm-up, mean of the pods."""
    return float((areas[-1] - areas[first]).mean() / _length(y, first))


def _length(y: Tally, first: int) -> float:
    return float(y.segment_start[-1] - y.segment_start[first])
