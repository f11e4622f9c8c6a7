"""What an engine returns, and the arrays that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lbbench.core.histogram import COARSE, FINE
from lbbench.engines.plan import MANY_PODS, Plan, restored
from lbbench.engines.world import Records
from lbbench.model.tally import ERRORS, SEGMENTS, STAGES, TOTALS, RunShape, Tally

_BY_POD = (
    "pod_attempts", "pod_first", "pod_errors", "pod_completed", "pod_latency_sum", "pod_busy",
    "pod_flight", "pod_flight_max", "window_pods",
)  # fmt: skip
_INT_RECORDS = (
    "client", "port", "key", "session", "node", "replica", "worker", "pod", "attempts", "error",
)  # fmt: skip


@dataclass(frozen=True)
class Outcome:
    """One replication: its counts, the names that go with them, its records when asked for."""

    tally: Tally
    shape: RunShape
    records: Mapping[str, np.ndarray] | None
    compile_s: float


def new_tally(plan: Plan) -> Tally:
    """Return a tally of zeros for ``plan``."""
    s, e, v = SEGMENTS, len(ERRORS), plan.windows
    nodes, pods = len(plan.shape.nodes), len(plan.shape.pods)
    replicas, workers = len(plan.shape.replicas), len(plan.shape.workers)
    few = pods <= MANY_PODS

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, np.int64)

    return Tally(
        offered=zeros(s),
        completed=zeros(s),
        failed=zeros(s),
        unfinished=zeros(s),
        errors=zeros(e),
        totals=zeros(len(TOTALS)),
        segment_start=np.zeros(s + 1),
        latency_counts=zeros(s, FINE),
        latency_sum=zeros(s),
        latency_max=zeros(s),
        clamped=zeros(s),
        failed_counts=zeros(s, COARSE),
        failed_sum=zeros(s),
        part_sum=zeros(len(STAGES), s),
        part_counts=zeros(len(STAGES), COARSE),
        node_connections=zeros(s, nodes),
        node_requests=zeros(s, nodes),
        replica_connections=zeros(s, replicas),
        replica_requests=zeros(s, replicas),
        worker_connections=zeros(s, workers),
        worker_requests=zeros(s, workers),
        pod_connections=zeros(s, pods),
        pod_attempts=zeros(s, pods),
        pod_first=zeros(s, pods),
        pod_errors=zeros(s, pods),
        pod_completed=zeros(s, pods),
        pod_latency_sum=zeros(s, pods),
        pod_latency_counts=zeros(pods if few else 0, COARSE),
        pod_busy=np.zeros((s + 1, pods)),
        pod_flight=np.zeros((s + 1, pods)),
        pod_flight_max=zeros(pods),
        window_offered=zeros(v),
        window_failed=zeros(v),
        window_counts=zeros(v, COARSE),
        window_pods=zeros(v, pods if few else 0),
        affinity=zeros(4),
    )


def new_records(rows: int) -> Records:
    """Return records with room for ``rows`` requests."""
    columns = {name: np.zeros(rows, np.int64) for name in _INT_RECORDS}
    return Records(
        arrival=np.zeros(rows), start=np.zeros(rows), end=np.zeros(rows), **columns
    )


def grown_records(records: Records, rows: int) -> Records:
    """Return records with room for at least ``rows`` requests; the rows written are kept."""
    if rows <= len(records.arrival):
        return records
    made = new_records(max(rows, 2 * len(records.arrival)))
    for old, new in zip(records, made, strict=True):
        new[: len(old)] = old
    return made


def finish(
    plan: Plan, tally: Tally, records: Records | None, *, simulated: float, rows: int, compile_s: float
) -> Outcome:
    """Return the outcome with pods and replicas back in the scenario's order."""
    order, replicas = plan.pod_order, plan.replica_order
    changed = {name: restored(getattr(tally, name), order) for name in _BY_POD
               if getattr(tally, name).shape[-1]}  # fmt: skip
    if len(tally.pod_latency_counts):
        changed["pod_latency_counts"] = restored(tally.pod_latency_counts, order, axis=0)
    if plan.facts.ingress:
        changed["replica_connections"] = restored(tally.replica_connections, replicas)
        changed["replica_requests"] = restored(tally.replica_requests, replicas)
        workers = _worker_order(plan)
        changed["worker_connections"] = restored(tally.worker_connections, workers)
        changed["worker_requests"] = restored(tally.worker_requests, workers)
    else:
        changed["pod_connections"] = restored(tally.pod_connections, order)
    columns = None
    if records is not None:
        columns = {name: getattr(records, name)[:rows] for name in Records._fields}
        columns["pod"] = _named(columns["pod"], order)
        if plan.facts.ingress:
            columns["replica"] = _named(columns["replica"], replicas)
            columns["worker"] = _named(columns["worker"], _worker_order(plan))
    return Outcome(
        tally=tally._replace(**changed),
        shape=plan.shape._replace(simulated=simulated),
        records=columns,
        compile_s=compile_s,
    )


def _worker_order(plan: Plan) -> np.ndarray:
    each = plan.facts.replica_workers
    return (plan.replica_order[:, None] * each + np.arange(each)[None, :]).ravel()


def _named(column: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.where(column >= 0, order[np.maximum(column, 0)], column)
