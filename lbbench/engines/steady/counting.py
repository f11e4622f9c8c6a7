"""What a steady run counts of a request: all of it as soon as its end is known."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.parts import INGRESS
from lbbench.engines.recording import Records, count_completed, segment_of, window_of
from lbbench.engines.steady.world import N_NEXT_SEGMENT, N_SEGMENT, Steady
from lbbench.engines.world import Facts
from lbbench.model.tally import SEGMENTS


def arrive(f: Facts, w: Steady, c: Counters, slot: int, now: float) -> None:
    """Count an arrival; a session whose life is over begins anew."""
    request = w.request[slot]
    segment = w.number[N_SEGMENT] - 1
    if f.n_requests == 0 or request.number >= w.number[N_NEXT_SEGMENT]:
        segment = segment_of(request.number, now, f.n_requests, f.duration)
        if f.n_requests > 0:  # the first number n with n SEGMENTS // n_requests > segment
            w.number[N_NEXT_SEGMENT] = ((segment + 1) * f.n_requests + SEGMENTS - 1) // SEGMENTS
    request.segment = segment
    request.window = window_of(now, f.window, c.window.size)
    c.segment[segment].offered += 1
    c.window[request.window].offered += 1
    if request.session >= 0:
        jar = w.jar[request.session]
        if now >= jar.expires:
            jar.expires = now + request.life
            jar.cookie = -1
            if f.by_key == 0:
                w.unit[request.session].last = -1
                w.unit[request.session].pod = -1
                w.unit[request.session].before = -1


def count(
    f: Facts, w: Steady, c: Counters, slot: int, at_pod: float, start: float, end: float
) -> None:
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
        request.pod,
        request.ends - request.arrival,
        request.sent - request.arrival,
        opening,
        at_worker,
        start - at_pod,
        end - start,
        0.0,
    )


def record(w: Steady, records: Records, slot: int, start: float, end: float) -> None:
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
    records.start[row] = start
    records.end[row] = end
    records.error[row] = -1
