"""What is counted, when: shared by both engines so that their counters are the same bytes."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.core.held import apart
from lbbench.core.histogram import HIGHEST_NS, coarse_index, fine_index
from lbbench.engines.counters import Counters
from lbbench.engines.timing import nanoseconds
from lbbench.model.tally import SEGMENTS

WAITED, OPENING, NETWORK, AT_WORKER, QUEUED, SERVED_FOR, RETRIES = range(7)  # as in STAGES


class Records(NamedTuple):
    """One row per request when a run keeps records, else empty; index = request number."""

    arrival: np.ndarray  # float64
    client: np.ndarray
    port: np.ndarray
    key: np.ndarray
    session: np.ndarray
    node: np.ndarray
    replica: np.ndarray
    worker: np.ndarray
    pod: np.ndarray
    attempts: np.ndarray
    start: np.ndarray  # float64
    end: np.ndarray  # float64
    error: np.ndarray  # index into ERRORS, -1: none, -2: unfinished


def segment_of(request: int, arrival: float, n_requests: int, duration: float) -> int:
    """Return the segment of a request: by number, or by arrival time when a duration is given."""
    if n_requests > 0:
        return request * SEGMENTS // n_requests
    return min(int(arrival / duration * SEGMENTS), SEGMENTS - 1)


def window_of(arrival: float, width: float, windows: int) -> int:
    """Return the window of a request by its arrival; the last one takes what comes later."""
    return min(int(arrival / width), windows - 1)


def count_latency(c: Counters, segment: int, ns: int) -> None:
    """Count one latency (int64 nanoseconds) of a completed or unfinished request."""
    row = c.segment[segment]
    if ns > HIGHEST_NS:
        row.clamped += 1
    row.latency_sum += ns
    row.latency_max = max(row.latency_max, ns)
    c.latency[segment, fine_index(ns)] += 1


def count_completed(
    c: Counters,
    segment: int,
    settled: int,
    window: int,
    node: int,
    worker: int,
    pod: int,
    latency: float,
    waited: float,
    opening: float,
    at_worker: float,
    queued: float,
    served: float,
    retries: float,
) -> None:
    """Count a request that was answered below 500 after ``latency`` seconds.

    ``worker`` is -1 on the service path. The other times are the parts of the latency in the order
    of STAGES, in seconds. The network's part is what they leave, so that all add up to the latency
    in nanoseconds.
    """
    ns = nanoseconds(latency)
    c.segment[segment].completed += 1
    count_latency(c, segment, ns)
    c.window_latency[window, coarse_index(ns)] += 1
    row = c.pod[segment, pod]
    row.completed += 1
    row.latency_sum += ns
    if c.pod_flow.shape[0] > 0:
        if worker >= 0:
            c.node_flow[node, worker] += 1
        c.pod_flow[worker if worker >= 0 else node, pod] += 1
    # no part is skipped when it is 0: a branch that is missed now and then costs more than counting
    waited_ns = nanoseconds(waited)
    opening_ns = nanoseconds(opening)
    worker_ns = nanoseconds(at_worker)
    queued_ns = nanoseconds(queued)
    served_ns = nanoseconds(served)
    retries_ns = nanoseconds(retries)
    network_ns = ns - waited_ns - opening_ns - worker_ns - queued_ns - served_ns - retries_ns
    c.part_sum[WAITED, segment] += waited_ns
    c.part_sum[OPENING, segment] += opening_ns
    c.part_sum[NETWORK, segment] += network_ns
    c.part_sum[AT_WORKER, segment] += worker_ns
    c.part_sum[QUEUED, segment] += queued_ns
    c.part_sum[SERVED_FOR, segment] += served_ns
    c.part_sum[RETRIES, segment] += retries_ns
    if segment < settled:
        return
    if c.pod_latency.shape[0] > 0:
        c.pod_latency[pod, coarse_index(ns)] += 1
    c.part[WAITED, coarse_index(waited_ns)] += 1
    c.part[OPENING, coarse_index(opening_ns)] += 1
    c.part[NETWORK, coarse_index(network_ns)] += 1
    c.part[AT_WORKER, coarse_index(worker_ns)] += 1
    c.part[QUEUED, coarse_index(queued_ns)] += 1
    c.part[SERVED_FOR, coarse_index(served_ns)] += 1
    c.part[RETRIES, coarse_index(retries_ns)] += 1


@apart
def count_failed(c: Counters, segment: int, window: int, error: int, latency: float) -> None:
    """Count a request that failed with the error class ``error`` after ``latency`` seconds."""
    ns = nanoseconds(latency)
    row = c.segment[segment]
    row.failed += 1
    row.failed_sum += ns
    c.errors[error] += 1
    c.failed[segment, coarse_index(ns)] += 1
    c.window[window].failed += 1


@apart
def count_dead(c: Counters, pod: int, now: float) -> None:
    """Count something that was sent to a pod which takes nothing."""
    row = c.dead[pod]
    row.count += 1
    row.first = min(row.first, now)
    row.last = max(row.last, now)


def count_stall(c: Counters, pod: int, ns: int) -> None:
    """Count that a pod stood still for ``ns`` nanoseconds because its CPU quota was used up."""
    row = c.stall[pod]
    row.count += 1
    row.total += ns
    row.longest = max(row.longest, ns)


def bring_up(queue: np.ndarray, in_system: np.ndarray, places: int, pod: int, now: float) -> None:
    """Bring the integrals of one pod (busy places, requests at the pod) up to ``now``."""
    row = queue[pod]
    dt = now - row.since
    if dt > 0.0:
        row.busy_area += min(in_system[pod], places) * dt
        row.flight_area += in_system[pod] * dt
        row.since = now


def close_segments(
    c: Counters,
    queue: np.ndarray,
    in_system: np.ndarray,
    pods: np.ndarray,
    first: int,
    last: int,
    now: float,
) -> None:
    """Write the pods' integrals at ``now`` as the start of segments ``first`` .. ``last``."""
    for segment in range(first, last + 1):
        c.start[segment] = now
        for pod in range(in_system.size):
            row = queue[pod]
            dt = max(now - row.since, 0.0)
            area = c.area[segment, pod]
            area.busy = row.busy_area + min(in_system[pod], pods[pod].places) * dt
            area.flight = row.flight_area + in_system[pod] * dt
