"""One replication as a plan keeps it: the evidence, and a few figures that say why.

A plan looks at thousands of replications once and stores none, so they are spared the document and
the text of a result: it is a third of what a short run costs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from lbbench.core.histogram import FINE, row_quantiles_ns
from lbbench.model.scenario import Scenario
from lbbench.model.study import Row
from lbbench.model.tally import ATTEMPTS, ERRORS, STAGES, RunShape, Tally
from lbbench.stats.evidence import Evidence, evidence_of
from lbbench.stats.existence import existence
from lbbench.stats.intervals import warmup_of
from lbbench.stats.latency import SECOND
from lbbench.stats.pods import over_capacity, spans_of, stopped_on_purpose
from lbbench.studies.point import Task, guarded, scenario_of
from lbbench.studies.run import replication

SKEWS = ("node", "replica", "worker")


class Part(NamedTuple):
    """One part of the latency, seconds."""

    mean: float
    p99: float


class Sample(NamedTuple):
    """One finished replication.

    Attributes
    ----------
    content, replication, status
        Of which point, and that it is done.
    evidence
        Numbers by segment; its histograms are kept as the three arrays that follow.
    group, bucket, held
        int64: the latencies of a group of segments in a bucket of the fine histogram.
    pods, utilisation, share, tail
        Names, and float64[P] after the replication's own warm-up: busy share, share of the
        attempts, p99 in seconds (NaN: none).
    skews
        By kind of target the most requests over the mean.
    parts
        Mean and p99 of the parts of the latency that take time.
    errors
        Failed requests by class.
    largest
        The largest latency, seconds; None: no request was answered.
    attempts
        Attempts per request, retries included.
    overloaded
        Pods were over capacity.
    """

    content: str
    replication: int
    status: Literal["done"]
    evidence: Evidence
    group: np.ndarray
    bucket: np.ndarray
    held: np.ndarray
    pods: tuple[str, ...]
    utilisation: np.ndarray
    share: np.ndarray
    tail: np.ndarray
    skews: dict[str, float]
    parts: dict[str, Part]
    errors: dict[str, int]
    largest: float | None
    attempts: float
    overloaded: bool

    def behind(self, first: int) -> Evidence:
        """Return the evidence with one histogram, that of the segments from ``first`` on.

        Raises
        ------
        ValueError
            When the histograms of segments on both sides of ``first`` have been added up.
        """
        edges = self.evidence.edges
        if first not in edges:
            raise ValueError(f"the histograms cannot be cut at segment {first}, only at {edges}")
        kept = edges[self.group] >= first
        counts = np.zeros((1, FINE), np.int64)
        counts[0] = np.bincount(self.bucket[kept], self.held[kept], minlength=FINE)
        last = int(edges[-1])
        return self.evidence._replace(edges=np.array([first, last]), latency_counts=counts)


def sample(task: Task) -> Sample | Row:
    """Run one replication; return what a plan needs of it, or the row of what went wrong.

    Raises
    ------
    WrongWorkerError
        When the worker sees other files than the planner did.
    """
    return guarded(task, _sample)


def _sample(task: Task, _started: float) -> Sample:
    scenario = scenario_of(task)
    done = replication(scenario, task.replication, engine=task.engine)
    outcome = done.outcomes[0]
    return sample_of(outcome.tally, outcome.shape, scenario, task)


def sample_of(y: Tally, shape: RunShape, scenario: Scenario, task: Task) -> Sample:
    """Return what is kept of a finished run."""
    evidence = evidence_of(y, shape)
    group, bucket = np.nonzero(evidence.latency_counts)
    held = evidence.latency_counts[group, bucket]
    first, runs = warmup_of([y], shape), [(y, shape)]
    lasted = existence([shape], spans_of(runs, first))
    attempts = y.pod_attempts[first:].sum(axis=0)
    busy = y.pod_busy[-1] - y.pod_busy[first]
    places = np.maximum(shape.concurrency * lasted, 1e-300)
    tail = row_quantiles_ns(y.pod_latency_counts, [0.99], fine=False)[:, 0] / SECOND
    largest = int(y.latency_max[first:].max())
    excused = stopped_on_purpose(scenario.resolved()) if scenario.timeline else frozenset()
    return Sample(
        content=task.content,
        replication=task.replication,
        status="done",
        evidence=evidence._replace(latency_counts=np.zeros((0, FINE), np.int64)),
        group=group,
        bucket=bucket,
        held=held,
        pods=shape.pods,
        utilisation=np.where(lasted > 0.0, busy / places, 0.0),
        share=attempts / max(int(attempts.sum()), 1),
        tail=np.where(tail < 0.0, np.nan, tail) if len(tail) else np.full(len(busy), np.nan),
        skews=_skews(y, first),
        parts=_parts(y, first),
        errors={name: n for name, n in zip(ERRORS, y.errors.tolist(), strict=True) if n},
        largest=largest / SECOND if largest else None,
        attempts=int(y.totals[ATTEMPTS]) / max(int(y.offered.sum()), 1),
        overloaded=bool(over_capacity(y, shape, runs, first, excused)),
    )


def _skews(y: Tally, first: int) -> dict[str, float]:
    found = {}
    for kind in SKEWS:
        requests = getattr(y, f"{kind}_requests")[first:].sum(axis=0)
        if len(requests) > 1 and requests.any():
            found[kind] = float(requests.max() / requests.mean())
    return found


def _parts(y: Tally, first: int) -> dict[str, Part]:
    completed = int(y.completed[first:].sum())
    means = y.part_sum[:, first:].sum(axis=1) / SECOND / max(completed, 1)
    tails = row_quantiles_ns(y.part_counts, [0.99], fine=False)[:, 0] / SECOND
    return {
        name: Part(float(means[i]), float(tails[i]))
        for i, name in enumerate(STAGES)
        if means[i] > 0.0 and tails[i] >= 0.0
    }
