"""What an engine returns, and the arrays that it fills."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from lbbench.engines.counters import Counters, new_counters
from lbbench.engines.expected import restored
from lbbench.engines.plan import MANY_PODS, Plan
from lbbench.engines.recording import Records
from lbbench.model.tally import RunShape, Tally

_BY_POD = (
    "pod_connections", "pod_attempts", "pod_first", "pod_errors", "pod_completed",
    "pod_latency_sum", "pod_busy", "pod_flight", "pod_flight_max", "window_pods",
    "pod_dead", "pod_dead_first", "pod_dead_last",
    "pod_stalls", "pod_stalled", "pod_stall_max",
)  # fmt: skip
_BY_REPLICA = ("replica_connections", "replica_requests")
_BY_WORKER = ("worker_connections", "worker_requests")
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


def counters_for(plan: Plan) -> Counters:
    """Return counters of zeros for ``plan``."""
    shape = plan.shape
    return new_counters(
        nodes=len(shape.nodes),
        replicas=len(shape.replicas),
        workers=len(shape.workers),
        pods=len(shape.pods),
        windows=plan.windows,
        by_pod=len(shape.pods) <= MANY_PODS,
    )


def new_records(rows: int) -> Records:
    """Return records with room for ``rows`` requests."""
    columns = {name: np.zeros(rows, np.int64) for name in _INT_RECORDS}
    return Records(arrival=np.zeros(rows), start=np.zeros(rows), end=np.zeros(rows), **columns)


def grown_records(records: Records, rows: int) -> Records:
    """Return records with room for at least ``rows`` requests; the rows written are kept."""
    if rows <= len(records.arrival):
        return records
    made = new_records(max(rows, 2 * len(records.arrival)))
    for old, new in zip(records, made, strict=True):
        new[: len(old)] = old
    return made


def finish(
    plan: Plan,
    tally: Tally,
    records: Records | None,
    *,
    simulated: float,
    rows: int,
    compile_s: float,
) -> Outcome:
    """Return the outcome with pods and replicas back in the scenario's order."""
    pods, replicas = plan.pod_order, plan.replica_order
    workers = _worker_order(plan)
    orders = dict.fromkeys(_BY_POD, pods)
    if plan.facts.ingress:
        orders |= dict.fromkeys(_BY_REPLICA, replicas) | dict.fromkeys(_BY_WORKER, workers)
    changed = {
        name: restored(getattr(tally, name), order)
        for name, order in orders.items()
        if getattr(tally, name).shape[-1]
    }
    if len(tally.pod_latency_counts):
        changed["pod_latency_counts"] = restored(tally.pod_latency_counts, pods, axis=0)
    if len(tally.pod_flow):
        changed["pod_flow"] = restored(tally.pod_flow, pods)
        if plan.facts.ingress:
            changed["pod_flow"] = restored(changed["pod_flow"], workers, axis=0)
            changed["node_flow"] = restored(tally.node_flow, workers)
    columns = None
    if records is not None:
        columns = {name: getattr(records, name)[:rows] for name in Records._fields}
        columns["pod"] = _renumbered(columns["pod"], pods)
        if plan.facts.ingress:
            columns["replica"] = _renumbered(columns["replica"], replicas)
            columns["worker"] = _renumbered(columns["worker"], workers)
    return Outcome(
        tally=tally._replace(**changed),
        shape=plan.shape._replace(simulated=simulated),
        records=columns,
        compile_s=compile_s,
    )


def _worker_order(plan: Plan) -> np.ndarray:
    each = plan.facts.replica_workers
    return (plan.replica_order[:, None] * each + np.arange(each)[None, :]).ravel()


def _renumbered(column: np.ndarray, order: np.ndarray) -> np.ndarray:
    return np.where(column >= 0, order[np.maximum(column, 0)], column)
