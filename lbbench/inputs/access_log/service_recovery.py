"""Service times out of response times: the queueing that the recorded assignment explains removed.

A log has the response time R of a pod, which contains the wait behind the requests that the pod had
already. Which requests those were is recorded: they went to the same pod and had not ended. Pods
are taken for FIFO queues (`fifo_pods`) with as many places as the log tells (`pod_places`). A
request that found a free place has its R as work, exact to the log's millisecond; one that waited
has a difference of two ends, and those are known as well as `arrivals` tells places inside
whole seconds.

How sure: the ends are drawn again from what the log leaves open (uniform places, in the order of
each worker's lines) and the work is solved again. How far the two are apart estimates the error.

Measured on two real logs with known truth (`tests/test_service_recovery.py` repeats it), dead
endpoint / ewma, in ms: mean 25.0 and 29.8 true, 24.4 and 30.1 recovered, 39.6 and 117.2 logged;
p99 119 and 135 true, 106 and 126 recovered, 176 and 447 logged. With the true ends instead of
recovered ones the error per request is below the clock's millisecond: what is left is the clock.

On 34 recorded runs of other balancers (1 or 8 places, load 0.5 to 0.85, up to 95 % waiting) see
docs/how-to/import.md.

What it cannot see: requests that reached the pods past this log (other controllers) or without a
time, and pods that share a processor (``discipline: ps``), which have no queue to remove.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.inputs.access_log.fifo_pods import Pods, work_of
from lbbench.inputs.access_log.pod_places import Found, Lines, judge_places


class Recovered(NamedTuple):
    """Work of the requests, and how sure it is."""

    work: np.ndarray  # float64[n], seconds, NaN where no response time is known
    places: int  # requests that a pod works on at a time
    found: Found | None  # what `places` rests on; None: it was given
    waited: float  # share of the requests with a known time that found no free place
    error: float  # expected mean absolute error per request, seconds
    mean_error: float  # standard error of the mean that the unknown places of ends cause, seconds


def recover_work(
    end: np.ndarray,
    response: np.ndarray,
    pod: np.ndarray,
    *,
    places: int | None = None,
    lines: Lines | None = None,
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
    lines
        What a log tells of the ends, for that; None: they are exact.
    redrawn
        Other ends that are as likely, each float64[n]; for the error, which is NaN without them.

    Notes
    -----
    O(n log n) time; with several places those of one pod at a time are held as Python numbers.
    """
    known = np.nonzero(~np.isnan(response))[0]
    found = None
    if places is None:
        told = lines and Lines(*(column[known] for column in lines))
        found = judge_places(end[known], response[known], pod[known], told)
    at_a_time = found.places if found else places or 1
    work, waited = _solved(end, response, pod, known, at_a_time)
    error = mean_error = float("nan")
    if redrawn and len(known):
        others = [_solved(ends, response, pod, known, at_a_time)[0] for ends in redrawn]
        error = float(np.mean([np.abs(work - other)[known].mean() for other in others]))
        shifts = [float((other - work)[known].mean()) for other in others]
        mean_error = float(np.sqrt(np.mean(np.square(shifts))))
    share = float(waited[known].mean()) if len(known) else 0.0
    return Recovered(work, at_a_time, found, share, error, mean_error)


def _solved(
    end: np.ndarray, response: np.ndarray, pod: np.ndarray, known: np.ndarray, places: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the work of every request (NaN without a response time) and whether it waited."""
    work = np.full(len(end), np.nan)
    waited = np.zeros(len(end), bool)
    pods = Pods(places)
    rows = known[np.argsort(pods.order(end, response)[known], kind="stable")]
    begun = pods.begun(end[rows], response[rows], pod[rows])
    work[rows], waited[rows] = work_of(end[rows], response[rows], begun)
    return work, waited
