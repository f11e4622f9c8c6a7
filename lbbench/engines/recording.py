"""What is counted, when: shared by both engines so that their tallies are the same bytes."""

from __future__ import annotations

import numpy as np

from lbbench.core.histogram import HIGHEST_NS, coarse_index, fine_index
from lbbench.engines.timing import nanoseconds
from lbbench.model.tally import SEGMENTS, Tally


def segment_of(request: int, arrival: float, n_requests: int, duration: float) -> int:
    """Return the segment of a request: by number, or by arrival time when a duration is given."""
    if n_requests > 0:
        return request * SEGMENTS // n_requests
    return min(int(arrival / duration * SEGMENTS), SEGMENTS - 1)


def window_of(arrival: float, width: float, windows: int) -> int:
    """Return the window of a request by its arrival; the last one takes what comes later."""
    return min(int(arrival / width), windows - 1)


def count_latency(y: Tally, segment: int, ns: int) -> None:
    """Count one latency (int64 nanoseconds) of a completed or unfinished request."""
    if ns > HIGHEST_NS:
        y.clamped[segment] += 1
    y.latency_counts[segment, fine_index(ns)] += 1
    y.latency_sum[segment] += ns
    y.latency_max[segment] = max(y.latency_max[segment], ns)


def count_part(y: Tally, part: int, segment: int, settled: int, ns: int) -> None:
    """Count one part of a completed request's latency."""
    y.part_sum[part, segment] += ns
    if segment >= settled:
        y.part_counts[part, coarse_index(ns)] += 1


def count_completed(
    y: Tally,
    segment: int,
    settled: int,
    window: int,
    pod: int,
    latency: float,
    client_wait: float,
    connect: float,
    worker_queue: float,
    pod_queue: float,
    service: float,
    retries: float,
) -> None:
    """Count a request that was answered below 500; times in seconds.

    The network part is what is left, so that the parts add up to the latency in nanoseconds.
    """
    ns = nanoseconds(latency)
    y.completed[segment] += 1
    count_latency(y, segment, ns)
    y.window_counts[window, coarse_index(ns)] += 1
    y.pod_completed[segment, pod] += 1
    y.pod_latency_sum[segment, pod] += ns
    if segment >= settled and y.pod_latency_counts.shape[0] > 0:
        y.pod_latency_counts[pod, coarse_index(ns)] += 1
    a = nanoseconds(client_wait)
    b = nanoseconds(connect)
    c = nanoseconds(worker_queue)
    d = nanoseconds(pod_queue)
    e = nanoseconds(service)
    g = nanoseconds(retries)
    count_part(y, 0, segment, settled, a)
    count_part(y, 1, segment, settled, b)
    count_part(y, 2, segment, settled, ns - (((((a + b) + c) + d) + e) + g))
    count_part(y, 3, segment, settled, c)
    count_part(y, 4, segment, settled, d)
    count_part(y, 5, segment, settled, e)
    count_part(y, 6, segment, settled, g)


def count_failed(y: Tally, segment: int, window: int, error: int, latency: float) -> None:
    """Count a request that failed with the error class ``error`` after ``latency`` seconds."""
    ns = nanoseconds(latency)
    y.failed[segment] += 1
    y.errors[error] += 1
    y.failed_counts[segment, coarse_index(ns)] += 1
    y.failed_sum[segment] += ns
    y.window_failed[window] += 1


def bring_up(
    busy_area: np.ndarray,
    flight_area: np.ndarray,
    since: np.ndarray,
    in_system: np.ndarray,
    places: np.ndarray,
    pod: int,
    now: float,
) -> None:
    """Bring the integrals of one pod (busy places, requests at the pod) up to ``now``."""
    dt = now - since[pod]
    if dt > 0.0:
        busy_area[pod] += min(in_system[pod], places[pod]) * dt
        flight_area[pod] += in_system[pod] * dt
        since[pod] = now


def close_segments(
    y: Tally,
    busy_area: np.ndarray,
    flight_area: np.ndarray,
    since: np.ndarray,
    in_system: np.ndarray,
    places: np.ndarray,
    first: int,
    last: int,
    now: float,
) -> None:
    """Write the pods' integrals at ``now`` as the start of segments ``first`` .. ``last``."""
    for segment in range(first, last + 1):
        y.segment_start[segment] = now
        for pod in range(in_system.size):
            dt = max(now - since[pod], 0.0)
            y.pod_busy[segment, pod] = busy_area[pod] + min(in_system[pod], places[pod]) * dt
            y.pod_flight[segment, pod] = flight_area[pod] + in_system[pod] * dt
