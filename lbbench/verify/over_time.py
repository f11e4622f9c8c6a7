"""What the cases measure about a cluster that changes: who moves, who waits, what is lost.

Each metric takes a finished run (`Ran`) and the parameters of the gallery. Times are in seconds,
shares 0 .. 1.
"""

from __future__ import annotations

import math

import numpy as np

from lbbench.verify.ran import Ran, Requests

# --- shares over time -----------------------------------------------------------------------------


def share_of(run: Ran, *, pod: str, since: float = 0.0, until: float = math.inf) -> float:
    """Return the share of the requests that came from ``since`` to ``until`` and went to ``pod``.

    ``pod`` may end in ``*``: all pods whose names begin so.
    """
    wanted = _pods(run, pod)
    got, all_ = 0, 0
    for requests in run.tables():
        here = _within(requests, since, until)
        got += int(np.isin(requests["pod"][here], wanted).sum())
        all_ += int(here.sum())
    return got / all_


def share_of_replica(run: Ran, *, replica: str, at: float, width: float) -> float:
    """Return the share of ``replica`` of the requests within ``width`` / 2 of the time ``at``."""
    number = run.number("replica", replica)
    got, all_ = 0, 0
    for requests in run.tables():
        here = _within(requests, at - width / 2.0, at + width / 2.0)
        got += int((requests["replica"][here] == number).sum())
        all_ += int(here.sum())
    return got / all_


def first_attempt_share(run: Ran, *, pod: str) -> float:
    """Return the share of ``pod`` of the first attempts, wherever they were answered in the end."""
    first = sum(outcome.tally.pod_first.sum(axis=0) for outcome in run.outcomes)
    return float(first[run.number("pod", pod)] / np.sum(first))


def share_until_first_answer(run: Ran, *, pod: str, since: float) -> float:
    """Return the share of ``pod`` of the requests from ``since`` until its first answer."""
    number = run.number("pod", pod)
    got, all_ = 0, 0
    for requests in run.tables():
        own = (requests["pod"] == number) & requests.answered
        here = _within(requests, since, float(requests["end"][own].min()))
        got += int((requests["pod"][here] == number).sum())
        all_ += int(here.sum())
    return got / all_


def lost_since(run: Ran, *, since: float) -> float:
    """Return how many requests that came after ``since`` failed, per replication."""
    lost = [
        (~requests.answered & (requests["arrival"] >= since)).sum() for requests in run.tables()
    ]
    return float(np.mean(lost))


def _pods(run: Ran, name: str) -> list[int]:
    if name.endswith("*"):
        return [i for i, pod in enumerate(run.pods) if pod.startswith(name[:-1])]
    return [run.number("pod", name)]


def _within(requests: Requests, since: float, until: float) -> np.ndarray:
    arrival = requests["arrival"]
    here: np.ndarray = (arrival >= since) & (arrival < until)
    return here


# --- sessions and connections ---------------------------------------------------------------------


def moved(run: Ran, *, at: float, settled: float = 2.0) -> float:
    """Return the share of the sessions whose pod is another one after a change at ``at``.

    Compared are the last answer to a request before it and the first one to a request ``settled``
    after it, when every worker knows.
    """
    changed, all_ = 0, 0
    for requests in run.tables():
        known = requests.answered & (requests["session"] >= 0)
        before = np.flatnonzero(known & (requests["arrival"] < at))
        after = np.flatnonzero(known & (requests["arrival"] >= at + settled))
        session, pod = requests["session"], requests["pod"]
        place = np.full(session.max() + 1, -1)
        place[session[before]] = pod[before]  # of several the last one stays
        seen, first = np.unique(session[after], return_index=True)
        both = place[seen] >= 0
        changed += int((place[seen] != pod[after[first]])[both].sum())
        all_ += int(both.sum())
    return changed / all_


def connections_at_end(run: Ran) -> list[float]:
    """Return how many clients have their connection at each pod in the end, mean of replications.

    A client's last answered request tells where its connection is.
    """
    counted = []
    for requests in run.tables():
        rows = np.flatnonzero(requests.answered)
        place = np.full(requests["client"].max() + 1, -1)
        place[requests["client"][rows]] = requests["pod"][rows]
        counted.append(np.bincount(place[place >= 0], minlength=len(run.pods)))
    return [float(count) for count in np.mean(counted, axis=0)]


def excess_of_new(run: Ran, *, pod: str, since: float) -> float:
    """Return how many new connections since ``since`` went to ``pod`` beyond its turn.

    Of x new ones over n pods its turn is ceil(x / n); nothing else reaches it.
    """
    number, n = run.number("pod", pod), len(run.pods)
    excess = []
    for requests in run.tables():
        units = requests.units("connection")
        first = np.unique(units, return_index=True)[1]
        new = first[(requests["arrival"][first] >= since) & (requests["pod"][first] >= 0)]
        excess.append(int((requests["pod"][new] == number).sum()) - math.ceil(len(new) / n))
    return float(max(excess))


# --- waiting, retries, failures -------------------------------------------------------------------


def delayed_share(run: Ran, *, by: float) -> float:
    """Return the share of the requests that took ``by`` seconds or more, a timeout at least."""
    late, all_ = 0, 0
    for requests in run.tables():
        rows = np.flatnonzero(requests.answered)
        late += int((requests["end"][rows] - requests["arrival"][rows] >= by).sum())
        late += int(requests.failed_with("connect_timeout", "read_timeout").sum())
        all_ += len(requests)
    return late / all_


def attempts_per_request(run: Ran) -> float:
    """Return the mean number of attempts."""
    return float(run.result.requests["attempts"] / run.result.requests["offered"])


def request_time(run: Ran) -> float:
    """Return the mean time that a request took, answered or failed."""
    blocks = [run.result.latency_s, run.result.failed_latency_s]
    total = sum(block["n"] * block["mean"] for block in blocks if block["n"])
    return float(total / sum(block["n"] for block in blocks))


def beside_its_attempts(run: Ran) -> float:
    """Return the most by which a request's time differs from the sum of its attempts.

    All attempts but the last lasted the read timeout, the last one what its service took.
    """
    read = float(run.scenario.stages.ingress.timeouts.read)
    apart = []
    for requests in run.tables():
        rows = np.flatnonzero(requests.answered)
        served = requests["end"][rows] - requests["start"][rows]
        summed = (requests["attempts"][rows] - 1) * read + served
        apart += np.abs(requests["end"][rows] - requests["arrival"][rows] - summed).tolist()
    return float(max(apart, default=math.nan))


def failed(run: Ran, *, per: float = 1.0) -> float:
    """Return the failed requests of a replication over ``per``."""
    return float(run.result.requests["failed"] / len(run.outcomes) / per)


def detection_range(run: Ran) -> list[float]:
    """Return the shortest and the longest time from a failure to its last failed connection."""
    times = _detections(run)[0]
    return [min(times), max(times)]


def mean_detection(run: Ran) -> float:
    """Return the mean time from a failure of a pod to the last connection that failed for it."""
    return float(np.mean(_detections(run)[0]))


def lost_per_failure(run: Ran) -> float:
    """Return how many connections failed for one failure of a pod, on average."""
    return float(np.mean(_detections(run)[1]))


def _detections(run: Ran) -> tuple[list[float], list[int]]:
    """Return, by failure of the timeline, the time to its last failed request and their number."""
    times, lost = [], []
    for requests in run.tables():
        arrival = requests["arrival"][~requests.answered]
        for change in run.scenario.timeline:
            if change.fail is None or change.until is None:
                continue
            own = arrival[(arrival >= change.at) & (arrival < change.until)]
            if len(own):
                times.append(float(own.max()) - float(change.at))
            lost.append(len(own))
    return times, lost


def p_two_in_a_row(run: Ran) -> float:
    """Return the probability that two given probes in a row fail, from how long nodes stay up.

    A node that gets no connection for an interval is down. While it is up it is taken out by the
    first two failures in a row: after (1 + p) / p^2 probes on average, if each fails with p. That
    is solved for p^2.
    """
    interval = float(run.scenario.stages.azure_lb.probe.interval)
    up, times = 0.0, 0
    for requests in run.tables():
        for node in range(requests.targets("node")):
            seen = requests["arrival"][requests["node"] == node]
            gaps = np.diff(seen)
            down = gaps > interval
            up += float(gaps[~down].sum())
            times += int(down.sum())
    probes = up / interval / times
    p = (1.0 + math.sqrt(1.0 + 4.0 * probes)) / (2.0 * probes)
    return p * p


# --- capacity -------------------------------------------------------------------------------------


def throughput_ratio(run: Ran, *, pods: list[str]) -> float:
    """Return the requests of the first pod over those of the second."""
    got = {pod["name"]: pod["requests"] for pod in run.result.pods}
    return float(got[pods[0]] / got[pods[1]])


def flight_ratio(run: Ran, *, pods: list[str]) -> float:
    """Return the mean requests in flight at the first pod over those at the second."""
    got = {pod["name"]: pod["in_flight"]["mean"] for pod in run.result.pods}
    return float(got[pods[0]] / got[pods[1]])


def run_per_period(run: Ran) -> float:
    """Return for how many milliseconds of a CFS period each place of the first pod works."""
    period, places = _cfs(run), run.outcomes[0].shape.concurrency[0]
    worked = []
    for requests, people in zip(run.tables(), run.done.populations, strict=True):
        ends = requests["end"][requests.answered]
        lasted = ends.max() - ends.min()
        worked.append(len(ends) * people.mean_work / places / lasted * period)
    return 1e3 * float(np.mean(worked))


def max_stall(run: Ran) -> float:
    """Return the milliseconds that a request stood still at most while it was being served."""
    longest = []
    for requests, people in zip(run.tables(), run.done.populations, strict=True):
        rows = np.flatnonzero(requests.answered)
        served = requests["end"][rows] - requests["start"][rows]
        longest.append(served.max() - people.mean_work)
    return 1e3 * float(max(longest))


def _cfs(run: Ran) -> float:
    return float(getattr(run.scenario.cluster.pod.cfs, "period", math.nan))
