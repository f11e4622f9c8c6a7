"""The counters that both engines fill, as records; `tally_of` shows them as a `Tally`."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.core.histogram import COARSE, FINE
from lbbench.engines.flow import FLOW, STAGES_IN_FLOW
from lbbench.engines.tables import FLOAT, INT, table
from lbbench.model.tally import AFFINITY, ERRORS, SEGMENTS, STAGES, TOTALS, Tally

SEGMENT = np.dtype(
    [
        (name, INT)
        for name in (
            "offered",
            "completed",
            "failed",
            "unfinished",
            "latency_sum",
            "latency_max",
            "clamped",
            "failed_sum",
        )
    ]
)
VISITS = np.dtype([("connections", INT), ("requests", INT)])
SERVED = np.dtype(
    [
        (name, INT)
        for name in ("connections", "attempts", "first", "errors", "completed", "latency_sum")
    ]
)
AREA = np.dtype([("busy", FLOAT), ("flight", FLOAT)])
STALL = np.dtype([("count", INT), ("total", INT), ("longest", INT)])
DEAD = np.dtype([("count", INT), ("first", FLOAT), ("last", FLOAT)])
MOST_FLOWS = 10**6
"""Pairs of a node and a worker, or of a worker and a pod, that are counted: 8 MB."""

WINDOW = np.dtype([("offered", INT), ("failed", INT)])


class Counters(NamedTuple):
    """S segments, N nodes, R replicas, W workers, P pods, V windows; H fine, C coarse buckets."""

    segment: np.ndarray  # SEGMENT[S]
    start: np.ndarray  # float64[S + 1]
    errors: np.ndarray  # int64[E]
    totals: np.ndarray  # int64[11]
    affinity: np.ndarray  # int64[7]
    dead: np.ndarray  # DEAD[P] what was sent to the pod when it took nothing
    snat_peak: np.ndarray  # int64[1]
    stall: np.ndarray  # STALL[P] nanoseconds that the pod stood still for its CPU quota
    flow: np.ndarray  # FLOW[4] with records only
    latency: np.ndarray  # int64[S, H]
    failed: np.ndarray  # int64[S, C]
    part_sum: np.ndarray  # int64[7, S]
    part: np.ndarray  # int64[7, C]
    node: np.ndarray  # VISITS[S, N]
    replica: np.ndarray  # VISITS[S, R]
    worker: np.ndarray  # VISITS[S, W]
    pod: np.ndarray  # SERVED[S, P]
    area: np.ndarray  # AREA[S + 1, P]
    pod_latency: np.ndarray  # int64[P, C], or [0, C]
    window: np.ndarray  # WINDOW[V]
    window_latency: np.ndarray  # int64[V, C]
    window_pods: np.ndarray  # int64[V, P], or [V, 0]
    node_flow: np.ndarray  # int64[N, W], or [0, 0]
    pod_flow: np.ndarray  # int64[W, P], without workers [N, P], or [0, 0]


def new_counters(
    *, nodes: int, replicas: int, workers: int, pods: int, windows: int, by_pod: bool
) -> Counters:
    """Return counters of zeros; ``by_pod`` False leaves out what is large with many pods."""
    s, few = SEGMENTS, pods if by_pod else 0
    drawn = by_pod and nodes * workers + (workers or nodes) * pods <= MOST_FLOWS

    def zeros(*shape: int) -> np.ndarray:
        return np.zeros(shape, INT)

    return Counters(
        segment=table(SEGMENT, s),
        start=np.zeros(s + 1),
        errors=zeros(len(ERRORS)),
        totals=zeros(len(TOTALS)),
        affinity=zeros(len(AFFINITY)),
        dead=_nothing_sent(pods),
        snat_peak=zeros(1),
        stall=table(STALL, pods),
        flow=table(FLOW, len(STAGES_IN_FLOW)),
        latency=zeros(s, FINE),
        failed=zeros(s, COARSE),
        part_sum=zeros(len(STAGES), s),
        part=zeros(len(STAGES), COARSE),
        node=table(VISITS, s, nodes),
        replica=table(VISITS, s, replicas),
        worker=table(VISITS, s, workers),
        pod=table(SERVED, s, pods),
        area=table(AREA, s + 1, pods),
        pod_latency=zeros(few, COARSE),
        window=table(WINDOW, windows),
        window_latency=zeros(windows, COARSE),
        window_pods=zeros(windows, few),
        node_flow=zeros(*((nodes, workers) if drawn else (0, 0))),
        pod_flow=zeros(*((workers or nodes, pods) if drawn else (0, 0))),
    )


def _nothing_sent(pods: int) -> np.ndarray:
    rows = table(DEAD, pods)
    rows["first"] = np.inf
    rows["last"] = -np.inf
    return rows


def tally_of(c: Counters, highest: np.ndarray) -> Tally:
    """Return the counters as a `Tally`; ``highest`` int64[P]: most requests at a pod at once."""
    return Tally(
        **{name: c.segment[name] for name in SEGMENT.names or ()},
        errors=c.errors,
        totals=c.totals,
        segment_start=c.start,
        latency_counts=c.latency,
        failed_counts=c.failed,
        part_sum=c.part_sum,
        part_counts=c.part,
        node_connections=c.node["connections"],
        node_requests=c.node["requests"],
        replica_connections=c.replica["connections"],
        replica_requests=c.replica["requests"],
        worker_connections=c.worker["connections"],
        worker_requests=c.worker["requests"],
        pod_connections=c.pod["connections"],
        pod_attempts=c.pod["attempts"],
        pod_first=c.pod["first"],
        pod_errors=c.pod["errors"],
        pod_completed=c.pod["completed"],
        pod_latency_sum=c.pod["latency_sum"],
        pod_latency_counts=c.pod_latency,
        pod_busy=c.area["busy"],
        pod_flight=c.area["flight"],
        pod_flight_max=highest,
        window_offered=c.window["offered"],
        window_failed=c.window["failed"],
        window_counts=c.window_latency,
        window_pods=c.window_pods,
        affinity=c.affinity,
        pod_dead=c.dead["count"],
        pod_dead_first=c.dead["first"],
        pod_dead_last=c.dead["last"],
        snat_peak=c.snat_peak,
        node_flow=c.node_flow,
        pod_flow=c.pod_flow,
        pod_stalls=c.stall["count"],
        pod_stalled=c.stall["total"],
        pod_stall_max=c.stall["longest"],
        flow_area=c.flow["area"],
        flow_spent=c.flow["spent"],
    )
