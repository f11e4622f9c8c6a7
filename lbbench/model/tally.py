"""The raw counts of one run: what both engines fill and `stats` turns into a Result.

One place lists every array with its type, shape and unit. S segments (64), N nodes, R ingress
replicas, W workers (of all replicas, replica by replica), P pods, H buckets of the fine histogram,
C buckets of the coarse one (`core/histogram.py`), V windows, E error classes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

SEGMENTS = 64
MAX_WINDOWS = 600

ERRORS = (
    "connect_refused",
    "connect_timeout",
    "reset",
    "read_timeout",
    "error_5xx",
    "no_endpoint",
    "lb_drop",
    "idle_reset",
    "queue_reject",
    "client_timeout",
)
"""Error classes, in the order of `Tally.errors`."""

STAGES = (
    "client_wait",
    "connect",
    "network",
    "worker_queue",
    "pod_queue",
    "service",
    "retries",
)
"""Parts of a request's latency, in the order of `Tally.part_*`; they add up to the latency."""


TOTALS = ("attempts", "retried", "connects", "cross_node", "connections")
"""Whole-run numbers, in the order of `Tally.totals`: attempts, requests with more than one,
upstream connects, attempts (service path: requests) that crossed nodes, client connections."""


class Tally(NamedTuple):
    """Counts of one replication; all int64 unless said."""

    offered: np.ndarray  # [S] requests that arrived in the segment
    completed: np.ndarray  # [S] answered below 500
    failed: np.ndarray  # [S]
    unfinished: np.ndarray  # [S]
    errors: np.ndarray  # [E] failed requests by class
    totals: np.ndarray  # [5] see TOTALS
    segment_start: np.ndarray  # float64[S + 1] first arrival of the segment; last: arrivals stop
    latency_counts: np.ndarray  # [S, H] completed (and unfinished, with their elapsed time)
    latency_sum: np.ndarray  # [S] nanoseconds, completed and unfinished
    latency_max: np.ndarray  # [S] nanoseconds
    clamped: np.ndarray  # [S] values outside the histogram's range
    failed_counts: np.ndarray  # [S, C]
    failed_sum: np.ndarray  # [S] nanoseconds
    part_sum: np.ndarray  # [7, S] nanoseconds by STAGES, completed
    part_counts: np.ndarray  # [7, C] by STAGES, completed, from segment `settled` on
    node_connections: np.ndarray  # [S, N]
    node_requests: np.ndarray  # [S, N]
    replica_connections: np.ndarray  # [S, R]
    replica_requests: np.ndarray  # [S, R]
    worker_connections: np.ndarray  # [S, W]
    worker_requests: np.ndarray  # [S, W]
    pod_connections: np.ndarray  # [S, P] service path: connections that kube-proxy sent there
    pod_attempts: np.ndarray  # [S, P] picks, retries included
    pod_first: np.ndarray  # [S, P] first attempts
    pod_errors: np.ndarray  # [S, P] failed attempts
    pod_completed: np.ndarray  # [S, P] completed requests by the pod that answered
    pod_latency_sum: np.ndarray  # [S, P] nanoseconds
    pod_latency_counts: np.ndarray  # [P, C] from segment `settled` on; [0, C] above 1024 pods
    pod_busy: np.ndarray  # float64[S + 1, P] integral of min(q, concurrency) dt up to segment_start
    pod_flight: np.ndarray  # float64[S + 1, P] integral of the requests at the pod, seconds
    pod_flight_max: np.ndarray  # [P]
    window_offered: np.ndarray  # [V] by arrival time
    window_failed: np.ndarray  # [V]
    window_counts: np.ndarray  # [V, C] latency of completed requests
    window_pods: np.ndarray  # [V, P] first attempts; [V, 0] above 1024 pods
    affinity: np.ndarray  # [4] requests of known sessions, kept, session loss, forced loss


class RunShape(NamedTuple):
    """Names and numbers that `stats` needs beside the counts."""

    path: str  # "ingress" | "service"
    nodes: tuple[str, ...]
    replicas: tuple[str, ...]
    workers: tuple[str, ...]
    pods: tuple[str, ...]
    pod_node: tuple[int, ...]
    concurrency: np.ndarray  # int64[P]
    settled: int  # first segment of part_counts and pod_latency_counts
    warmup_segments: int  # -1: auto (MSER, at most 16), unless `warmup_s` is given
    window_s: float
    simulated: float  # seconds until the last answer
    expected: dict[str, np.ndarray]  # stage name -> expected shares of its targets
    random: frozenset[str]  # stages whose picks are independent draws (chi-square applies)
    balancers: dict[str, str]  # stage name -> balancer name
    warmup_s: float = -1.0  # given warm-up, to be rounded up to a segment; -1: none
