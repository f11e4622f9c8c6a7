"""What a steady run counts of a request: all of it as soon as its end is known."""

from __future__ import annotations

from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.parts import INGRESS
from lbbench.engines.recording import Records, count_completed, segment_of, window_of
from lbbench.engines.steady.world import N_NEXT_SEGMENT, N_REQUEST, N_SEGMENT, Steady
from lbbench.engines.world import Facts
from lbbench.model.tally import ATTEMPTS, CONNECTIONS, SEGMENTS, SNAT


def arrive(f: Facts, w: Steady, c: Counters, number: int, now: float) -> tuple[int, int]:
    """Count an arrival; return its segment and window."""
    segment = w.number[N_SEGMENT] - 1
    if f.n_requests == 0 or number >= w.number[N_NEXT_SEGMENT]:
        segment = segment_of(number, now, f.n_requests, f.duration)
        if f.n_requests > 0:  # the first number n with n SEGMENTS // n_requests > segment
            w.number[N_NEXT_SEGMENT] = ((segment + 1) * f.n_requests + SEGMENTS - 1) // SEGMENTS
    window = window_of(now, f.window, c.window.size)
    c.segment[segment].offered += 1
    c.window[window].offered += 1
    return segment, window


def count(f: Facts, w: Steady, c: Counters, slot: int) -> None:
    """Count a request whose answer reaches the client at its ``ends``."""
    request = w.request[slot]
    opening = request.written - request.sent
    at_worker = 0.0
    if INGRESS:
        left = request.picked + f.worker_cpu
        opening += request.connected - left
        at_worker = left - request.at_worker
    count_completed(
        c,
        request.segment,
        f.settled,
        request.window,
        request.node,
        request.worker if INGRESS else -1,
        request.pod,
        request.ends - request.arrival,
        request.sent - request.arrival,
        opening,
        at_worker,
        request.start - request.at_pod,
        request.end - request.start,
        0.0,
    )


@apart
def fill_attempts(c: Counters) -> None:
    """Fill in at the end that every attempt was a first one and has been answered."""
    for segment in range(c.pod.shape[0]):
        for pod in range(c.pod.shape[1]):
            row = c.pod[segment, pod]
            row.attempts = row.completed
            row.first = row.completed


@apart
def fill_single(f: Facts, w: Steady, c: Counters) -> None:
    """Fill in at the end that every request had a connection of its own."""
    fill_attempts(c)
    n = w.number[N_REQUEST]
    c.totals[CONNECTIONS] = n
    c.totals[ATTEMPTS] = n
    c.totals[SNAT] = n * (1 - f.local)
    for segment in range(SEGMENTS):
        for node in range(c.node.shape[1]):
            c.node[segment, node].requests = c.node[segment, node].connections
        for worker in range(c.worker.shape[1]):
            connections = c.worker[segment, worker].connections
            c.worker[segment, worker].requests = connections
            replica = worker // f.replica_workers
            c.replica[segment, replica].connections += connections
            c.replica[segment, replica].requests += connections


@apart
def record(w: Steady, records: Records, slot: int) -> None:
    """Write the row of a request."""
    request = w.request[slot]
    row = request.number
    records.arrival[row] = request.arrival
    records.client[row] = request.client
    records.port[row] = request.port
    records.key[row] = request.key
    records.session[row] = request.session
    records.node[row] = request.node
    records.replica[row] = request.target if INGRESS else -1
    records.worker[row] = request.worker if INGRESS else -1
    records.pod[row] = request.pod
    records.attempts[row] = 1
    records.start[row] = request.start
    records.end[row] = request.end
    records.error[row] = -1
