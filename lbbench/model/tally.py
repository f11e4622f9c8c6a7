"""The raw counts of one run: what both engines fill and `stats` turns into a Result.

One place lists every array with its type, shape and unit. S segments (64), N nodes, R ingress
replicas, W workers (of all replicas, replica by replica), P pods, H buckets of the fine histogram,
C buckets of the coarse one (`core/histogram.py`), V windows, E error classes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

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

(
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    RESET,
    READ_TIMEOUT,
    ERROR_5XX,
    NO_ENDPOINT,
    LB_DROP,
    IDLE_RESET,
    QUEUE_REJECT,
    CLIENT_TIMEOUT,
) = range(len(ERRORS))

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


TOTALS = (
    "attempts",
    "retried",
    "connects",
    "cross_node",
    "connections",
    "lost_syns",
    "lost_connections",
    "snat",
    "no_port",
    "dropped_samples",
    "saved",
)
"""Whole-run numbers, in the order of `Tally.totals`: attempts, requests with more than one,
upstream connects, attempts (service path: requests) that crossed nodes, client connections, SYNs
without an answer, connections whose first SYN was one, masqueraded connections, SYNs without a free
source port for that, samples that a lock dropped, requests that a retry saved."""

(
    ATTEMPTS,
    RETRIED,
    CONNECTS,
    CROSS_NODE,
    CONNECTIONS,
    LOST_SYNS,
    LOST_CONNECTIONS,
    SNAT,
    NO_PORT,
    DROPPED_SAMPLES,
    SAVED,
) = range(len(TOTALS))

AFFINITY = (
    "requests", "kept", "session_loss", "forced_loss", "compared", "moved", "moved_by_force",
)  # fmt: skip
"""Requests of sessions that were answered before: in all, by the same pod, by another one while the
first was there, by another one because it was not. Answers after a change of the list, compared
with the last before it: in all, by another pod, by another one because the first was gone."""


class Tally(NamedTuple):
    """Counts of one replication; all int64 unless said."""

    offered: np.ndarray  # [S] requests that arrived in the segment
    completed: np.ndarray  # [S] answered below 500
    failed: np.ndarray  # [S]
    unfinished: np.ndarray  # [S]
    errors: np.ndarray  # [E] failed requests by class
    totals: np.ndarray  # [11] see TOTALS
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
    affinity: np.ndarray  # [7] see AFFINITY
    pod_dead: np.ndarray  # [P] attempts and connections sent to the pod when it took none
    pod_dead_first: np.ndarray  # float64[P] when the first of them was sent, inf: none
    pod_dead_last: np.ndarray  # float64[P]
    pod_stalls: np.ndarray  # [P] times that the pod stood still for its CPU quota
    pod_stalled: np.ndarray  # [P] nanoseconds in all
    pod_stall_max: np.ndarray  # [P] nanoseconds
    flow_area: np.ndarray  # float64[4] with records: integrals of what is in a stage, seconds
    flow_spent: np.ndarray  # [4] with records: the stays, nanoseconds; see engines/flow.py
    snat_peak: np.ndarray  # [1] most masqueraded connections from one node to one target
    node_flow: np.ndarray  # [N, W] completed requests by node and worker; [N, 0]: no workers
    pod_flow: np.ndarray  # [W, P] by worker and pod, without workers [N, P]; [0, 0]: too many


class RunShape(NamedTuple):
    """Names and numbers that `stats` needs beside the counts."""

    path: str  # "ingress" | "service"
    nodes: tuple[str, ...]
    replicas: tuple[str, ...]
    workers: tuple[str, ...]
    pods: tuple[str, ...]
    pod_node: tuple[int, ...]
    concurrency: np.ndarray  # int64[P]
    born: np.ndarray  # float64[P] seconds; 0: there from the start
    gone: np.ndarray  # float64[P] seconds; infinite: there to the end
    settled: int  # first segment of part_counts and pod_latency_counts
    window_s: float
    simulated: float  # seconds until the last answer
    expected: dict[str, np.ndarray]  # stage name -> expected shares of its targets
    random: frozenset[str]  # stages whose picks are independent draws (chi-square applies)
    balancers: dict[str, str]  # stage name -> balancer name
    lists_change: bool = False  # endpoints come and go: `expected` holds for the start alone
    changes: tuple[Any, ...] = ()  # what happened, with `at`, `text`, when views followed
    warmup_s: float = -1.0  # given warm-up, to be rounded up to a segment; -1: none
