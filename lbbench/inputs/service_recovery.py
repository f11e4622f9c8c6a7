"""Service times out of response times: the queueing that the recorded assignment explains removed.

A log has the response time R of a pod, which contains the wait behind the requests that the pod had
already. Which requests those were is recorded: they went to the same pod and had not ended. With
the ends E of a pod's requests, a FIFO pod with one place gives for requests in the order of E

    service = E - max(E - R, end of the one before)

and with c places, for requests in the order of their arrivals E - R, the place that is free first
in the place of the one before. It is D. V. Lindley's recursion (1952) solved for the work, with c
places that of J. Kiefer and J. Wolfowitz (1955). A request that found a free place has R itself,
exact to the log's millisecond; one that waited has a difference of two ends, and those are known as
well as `log_arrivals` tells places inside whole seconds.

How sure: the ends are drawn again from what the log leaves open (uniform places, in the order of
each worker's lines) and the work is solved again. How far the two are apart estimates the error.

Measured on two real logs with known truth (`tests/test_service_recovery.py` repeats it), dead
endpoint / ewma, in ms: mean 25.0 and 29.8 true, 24.4 and 30.1 recovered, 39.6 and 117.2 logged;
p99 119 and 135 true, 106 and 126 recovered, 176 and 447 logged. With the true ends instead of
recovered ones the error per request is below the clock's millisecond: what is left is the clock.

On ten recorded runs of other balancers (1 to 8 places, load 0.5 to 0.85, up to 95 % waiting) the
mean came out within 0.4 to 6 %, and the number of places right, but for one: with four workers
writing side by side, 2 places were found for 1 and the mean was 62 % too long (given 1: -6 %).

What it cannot see: requests that reached the pods past this log (other controllers) or without a
time, and pods that share a processor (``discipline: ps``), which have no queue to remove.
"""

from __future__ import annotations

import heapq
import math
from typing import NamedTuple

import numpy as np

MOST_PLACES = 64
"""Places per pod up to which a number is looked for."""

JUDGED = 30_000
"""Requests that the number of places is judged by, the first ones."""

EVIDENCE = 100
"""Requests that waited that a number of places needs: a mean known to 1/sqrt(100)."""

ROUNDING = 1e-3  # seconds, the resolution of logged durations


class Recovered(NamedTuple):
    """Work of the requests, and how sure it is."""

    work: np.ndarray  # float64[n], seconds, NaN where no response time is known
    places: int  # requests that a pod works on at a time
    estimated: bool  # whether `places` was found here, not given
    waited: float  # share of the requests with a known time that found no free place
    error: float  # expected mean absolute error per request, seconds
    mean_error: float  # standard error of the mean that the unknown places of ends cause, seconds


def recover_work(
    end: np.ndarray,
    response: np.ndarray,
    pod: np.ndarray,
    *,
    places: int | None = None,
    redrawn: tuple[np.ndarray, ...] = (),
) -> Recovered:
    """Return the service times that explain the response times.

    Parameters
    ----------
    end
        Float64[n], seconds, when each request ended at its pod.
    response
        Float64[n], seconds, response time of the pod; NaN: unknown, it counts as not there.
    pod
        Int[n], the pod of each request.
    places
        Requests that a pod works on at a time; None: found by `judge_places`.
    redrawn
        Other ends that are as likely, each float64[n]; for the error, which is NaN without them.

    Notes
    -----
    O(n log n) time; the columns of one pod at a time are held as Python numbers.
    """
    known = np.nonzero(~np.isnan(response))[0]
    order = known[np.argsort(pod[known], kind="stable")]
    bounds = np.nonzero(np.diff(pod[order]))[0] + 1
    groups = [rows for rows in np.split(order, bounds) if len(rows)]
    found = judge_places(end, response, groups) if places is None else places
    work, waited = _solved(end, response, groups, found)
    error = mean_error = float("nan")
    if redrawn and len(known):
        others = [_solved(ends, response, groups, found)[0] for ends in redrawn]
        error = float(np.mean([np.abs(work - other)[known].mean() for other in others]))
        shifts = [float((other - work)[known].mean()) for other in others]
        mean_error = float(np.sqrt(np.mean(np.square(shifts))))
    share = float(waited[known].mean()) if len(known) else 0.0
    return Recovered(work, found, places is None, share, error, mean_error)


def judge_places(end: np.ndarray, response: np.ndarray, groups: list[np.ndarray]) -> int:
    """Return how many requests a pod works on at a time, 1 when nothing tells.

    The work of a request does not depend on whether it waited. With too few places the work of
    those that waited comes out too short, part of it taken for waiting; with too many too long,
    part of the waiting taken for work. So the number is the one at which the mean work of those
    that waited is closest to that of the others, as a ratio. Numbers with fewer than `EVIDENCE`
    requests that waited are not judged: with them almost nothing waits.

    Parameters
    ----------
    groups
        Rows of each pod, int64[rows].
    """
    judged = []
    for rows in groups:
        first = np.argsort(end[rows], kind="stable")[: max(1, JUDGED // len(groups))]
        judged.append(rows[first])
    best, least = 1, float("inf")
    for c in range(1, MOST_PLACES + 1):
        waited_s = alone_s = 0.0
        n_waited = n_alone = 0
        for rows in judged:
            took = response[rows]
            start = _several_places(end[rows], took, c)
            waited = start > end[rows] - took + ROUNDING
            waited_s += float((end[rows] - start)[waited].sum())
            alone_s += float(took[~waited].sum())
            n_waited += int(waited.sum())
            n_alone += int((~waited).sum())
        if n_waited < EVIDENCE:
            break
        if waited_s <= 0.0 or alone_s <= 0.0:
            continue
        apart = abs(math.log(waited_s / n_waited / (alone_s / n_alone)))
        if apart < least:
            best, least = c, apart
    return best


def _solved(
    end: np.ndarray, response: np.ndarray, groups: list[np.ndarray], places: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the work of every request (NaN without a response time) and whether it waited."""
    work = np.full(len(end), np.nan)
    waited = np.zeros(len(end), bool)
    for rows in groups:
        solve = _one_place if places == 1 else _several_places
        start = solve(end[rows], response[rows], places)
        took = response[rows]
        work[rows] = np.clip(end[rows] - start, 0.0, took)
        waited[rows] = start > end[rows] - took + ROUNDING
        alone = rows[~waited[rows]]
        work[alone] = response[alone]  # the logged text, not a difference of large numbers
    return work, waited


def _one_place(end: np.ndarray, response: np.ndarray, _places: int) -> np.ndarray:
    """Return when each request began at a FIFO pod that works on one at a time."""
    order = np.argsort(end, kind="stable")
    start = end - response
    start[order[1:]] = np.maximum(start[order[1:]], end[order[:-1]])
    return start


def _several_places(end: np.ndarray, response: np.ndarray, places: int) -> np.ndarray:
    """Return when each request began at a FIFO pod that works on ``places`` at a time."""
    start = end - response
    order = np.argsort(start, kind="stable")
    begun, ended = start.tolist(), end.tolist()
    free = [-float("inf")] * places
    for row in order.tolist():
        begun[row] = min(max(begun[row], free[0]), ended[row])
        heapq.heapreplace(free, ended[row])
    return np.array(begun)
