"""Parts of the model held against a recording with everything else taken from it.

*Teacher-forced ewma*: the measured picks and answers are replayed through ewma's rule, and the
score of the chosen pod must be what the real balancer logged. *Assignment-forced queues*: each
request goes to its measured pod at its measured time, and only the pod's queue is computed; what is
left of the latency is the machine's.
"""

from __future__ import annotations

import heapq
from itertools import pairwise

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.ewma import EWMA, EwmaState, done, on_endpoints, score
from lbbench.verify.reality_ensemble import Row
from lbbench.verify.reality_picks import exact
from lbbench.verify.reality_reading import MICRO, Recording

SCORE_MEDIAN, SCORE_P99 = 1e-3, 1e-2
"""Allowed relative errors of a score: clocks of 1 ms."""
NOBODY = np.zeros(0, np.int64)
BEHIND_PROXY_S = 0.2e-3
"""Seconds from the write to the pod behind a proxy."""
MS = 1e3
RESIDUALS = (
    ("p1", 1.0, -0.15, 0.25),
    ("p50", 50.0, -0.05, 0.25),
    ("p90", 90.0, -0.05, 0.75),
    ("p99", 99.0, -0.05, 6.05),
)
"""Ranges of measured - computed latency in ms, as the recordings' README states them: p1 -0.1, p50
0.0 to 0.25, p90 up to 0.7, p99 up to 6, rounded there to one digit."""


def forced(recording: Recording) -> list[Row]:
    """Return the verdicts on the parts that can be forced."""
    rows = scores(recording) if "score" in recording.seen else []
    return [*rows, *residuals(recording)]


# --- ewma -----------------------------------------------------------------------------------------


def scores(recording: Recording) -> list[Row]:
    """Return the verdicts on the scores of the chosen pods, relative to the logged ones."""
    logged = recording.seen["score"]
    mine = replayed_scores(recording)
    told = (logged > 0.0) & recording.answered
    error = np.abs(mine[told] - logged[told]) / logged[told]
    median, high = float(np.median(error)), float(np.percentile(error, 99.0))
    return [
        exact(
            recording,
            "ewma score: median relative error",
            median,
            limit=f"< {SCORE_MEDIAN:g}",
            passed=median < SCORE_MEDIAN,
            note=f"of {len(error)} picks",
        ),
        exact(
            recording,
            "ewma score: p99 relative error",
            high,
            limit=f"< {SCORE_P99:g}",
            passed=high < SCORE_P99,
        ),
    ]


def replayed_scores(recording: Recording) -> np.ndarray:
    """Return the score of each request's chosen pod by lbbench's own ewma, float64[n], seconds.

    A pick is at the time when the request was written, an answer's update when it was complete,
    with its logged ``up_ct_ms + up_rt_ms``. When pods come, the moment at which the worker took the
    new list is not logged: it is the one between the first of the timeline's changes and the first
    pick of a new pod that fits that pick's score best.
    """
    n_pods = int(recording.pod.max()) + 1
    listed = min(len(recording.scenario.resolved()["cluster"]["pods"]), n_pods)
    state = EWMA.state(EWMA.options({}), [Endpoint(str(pod)) for pod in range(n_pods)])
    on_endpoints(state, NOBODY, NOBODY, np.arange(listed), 0.0)
    taken = (recording.seen["up_ct_ms"] + recording.seen["up_rt_ms"]) / MS
    times = np.concatenate([recording.arrival + recording.latency, recording.written])
    logged = recording.seen["score"]
    change = min((float(item.at) for item in recording.scenario.timeline), default=0.0)
    possible: list[EwmaState] = []
    mine = np.full(len(recording), np.nan)
    for event in np.argsort(times, kind="stable"):
        i, now = int(event) % len(recording), float(times[event])
        pod = int(recording.pod[i])
        if pod < 0:
            continue
        if listed < n_pods and now >= change:
            possible.append(_taken_over(state, listed, n_pods, now))
        if event < len(recording):
            done(state, pod, now, float(taken[i]), True)
            continue
        if pod >= listed:
            best = min(possible, key=lambda one: abs(score(one, pod, now) - float(logged[i])))
            _copy_new(best, state, listed)
            listed = n_pods
        mine[i] = score(state, pod, now)
    return mine


def _taken_over(state: EwmaState, listed: int, n_pods: int, now: float) -> EwmaState:
    """Return the state as it would be after the change of the list at ``now``."""
    copied = EwmaState(*(column.copy() for column in state))
    on_endpoints(copied, NOBODY, np.arange(listed), np.arange(n_pods), now)
    return copied


def _copy_new(source: EwmaState, state: EwmaState, listed: int) -> None:
    """Take over what the new pods began with."""
    for name in EWMA.common:
        getattr(state, name)[listed:] = getattr(source, name)[listed:]


# --- queues ---------------------------------------------------------------------------------------


def residuals(recording: Recording) -> list[Row]:
    """Return the verdicts on measured - computed latency, whose quantiles the machine explains."""
    left = MS * (recording.latency - queued_latency(recording))[recording.answered]
    rows = []
    for name, q, low, high in RESIDUALS:
        found = float(np.percentile(left, q))
        claim = f"queues forced: {name} of measured - computed, ms"
        limit = f"{low:g} .. {high:g}"
        rows.append(exact(recording, claim, found, limit=limit, passed=low <= found <= high))
    return rows


def queued_latency(recording: Recording) -> np.ndarray:
    """Return the latency of each request by its pod's queue alone, float64[n], seconds, NaN: none.

    A pod serves in order of arrival with its places; begin = max(arrival, earliest free place).
    """
    delay = 0.0 if recording.scenario.path == "service" else BEHIND_PROXY_S
    reached = recording.written + delay
    slower = _multipliers(recording)
    work = recording.sent["svc_us"] * MICRO
    places = int(recording.summary["concurrency"])
    free: dict[int, list[float]] = {}
    computed = np.full(len(recording), np.nan)
    for i in np.argsort(reached, kind="stable"):
        pod = int(recording.pod[i])
        if pod < 0:
            continue
        queue = free.setdefault(pod, [0.0] * places)
        begin = max(float(reached[i]), queue[0])
        end = begin + float(work[i]) * slower.get(pod, 1.0)
        heapq.heapreplace(queue, end)
        computed[i] = end - recording.arrival[i]
    return computed


def _multipliers(recording: Recording) -> dict[int, float]:
    """Return what each slow pod multiplies its work by, as the run's pods were started."""
    words = [str(word) for word in recording.summary.get("pod_args", ())]
    given = [value for flag, value in pairwise(words) if flag == "-s"]
    pairs = [value.partition("=") for value in given]
    return {int(pod): float(factor) for pod, _, factor in pairs}
