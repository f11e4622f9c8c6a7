"""From an access log to a calibrated scenario and a trace.

The scenario has the log's pods, rate, irregularity, popularity of clients and keys, and service
times; what was observed stands in it too, to be printed beside what is simulated. The trace has
every request that reached a pod. What a log cannot tell is said in the notes.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lbbench.inputs.access_log.log import AccessLog
from lbbench.inputs.access_log.population import set_population
from lbbench.inputs.access_log.requests import Progress, Requests, select, write_trace
from lbbench.inputs.access_log.service_recovery import Recovered
from lbbench.inputs.access_log.sorted_rows import SortedRows, only, values_at
from lbbench.inputs.calibration import (
    FEW,
    Bursts,
    bursts_of,
    representatives_of,
)
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, ordered, plain, put
from lbbench.inputs.placement import place
from lbbench.model.units import write_rate, write_time

BUSIEST = 0.8
"""Share of a pod's places that may be busy on average before the scenario gives it more places."""

BUSIEST_RECOVERED = 0.95
"""The same for times without queueing, which are no upper bound: pods may really be that busy."""

SEED_WORKERS = 2
"""nginx takes one worker per CPU; the nodes of the preset seed have two."""

QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}

MEASURED = (
    "on two real logs with known truth (121/s and 109/s, two buffered workers) the recovered "
    "arrivals were off by 0.041 and 0.044 s on average, the rate by less than 0.04 %, the CV of "
    "the gaps by -4 and -9 %, the shares per pod by nothing"
)
"""What `tests/test_access_log.py` finds; printed because a user's log has no truth beside it."""

RECOVERED = (
    "on the same logs, 38 and 74 % waited: mean off by -2 and +1 %, p50 +4 and +4 %, p90 -6 and "
    "-6 %, p99 -11 and -7 %, correlation per request 0.61 and 0.51"
)
"""What `tests/test_service_recovery.py` finds."""


def from_log(
    log: AccessLog,
    backend: str | None = None,
    places: int | None = None,
    progress: Progress | None = None,
) -> Imported:
    """Return the scenario and the trace of one backend of ``log``.

    Parameters
    ----------
    backend
        ``namespace-service-port``; None takes the one with most requests.
    places
        Requests that a pod works on at a time; None: found from the log.

    Raises
    ------
    InputError
        When no request reached a pod, or there is no such backend.
    """
    chosen = select(log, backend, places, progress)
    few = len(chosen) < FEW
    imported = Imported({}, list(log.notes), list(log.skipped))
    imported.scenario |= {"schema": SCHEMA, "name": plain(chosen.backend), "path": "ingress"}
    _say_choice(imported, log, chosen)
    _pods(imported, log, chosen)
    pace = bursts_of((part["arrival"] for part in chosen.slices()), len(chosen), chosen.span)
    _times(imported, chosen)
    if few:
        put(imported.scenario, "traffic.utilisation", UTILISATION)
        imported.notes.append(
            f"{len(chosen)} requests are a handful, too few for a rate (it takes {FEW}): "
            f"utilisation {UTILISATION} is set; clients and keys keep their defaults"
        )
    else:
        _arrivals(imported, chosen, pace)
        _places(imported, log, chosen, pace)
        set_population(imported, log, chosen)
    _workers(imported, log, chosen)
    imported.notes.append("connections are not logged: one request per connection is assumed")
    _observed(imported, log, chosen)
    where = log.files[0] if len(log.files) == 1 else f"{log.files[0]} and {len(log.files) - 1} more"
    for key in ("cluster", "traffic", "observed", "preset"):
        imported.sources[key] = where
    imported.scenario = ordered(imported.scenario)
    imported.write_trace = lambda path: write_trace(log, chosen, path)
    return imported


def _say_choice(imported: Imported, log: AccessLog, chosen: Requests) -> None:
    others = [
        f"{name} ({n})" for name, n in log.requests_by_backend().items() if name != chosen.backend
    ]
    left_out = len(log) - len(chosen)
    if left_out:
        imported.notes.append(
            f"the scenario is of backend {chosen.backend}, {len(chosen)} requests; "
            f"{left_out} others are left out"
            + (f", to be chosen with --backend: {', '.join(others)}" if others else "")
        )


def _pods(imported: Imported, log: AccessLog, chosen: Requests) -> None:
    counts = _by_pod(log, chosen)
    placement = place(list(counts), others=[host for _, host in log.tried])
    imported.notes.append(placement.note)
    put(imported.scenario, "cluster.nodes", [{"name": name} for name in placement.nodes])
    pods = [
        {"name": f"pod-{i}", "node": placement.node_of[address], "address": address}
        for i, address in enumerate(counts)
    ]
    put(imported.scenario, "cluster.pods", pods)
    for (backend, address), n in log.tried.items():
        failed = log.failed.get((backend, address), 0)
        if backend == chosen.backend and address not in counts:
            imported.notes.append(
                f"{address} was tried {n} times and answered nothing: it is left out of the pods"
            )
        elif backend == chosen.backend and failed:
            imported.notes.append(f"{address}: {failed} of {n} attempts failed")


def _by_pod(log: AccessLog, chosen: Requests) -> dict[str, int]:
    """Return the requests of every pod, by address in text order, which is the balancers'."""
    found = {pod: n for (backend, pod), n in log.answered.items() if backend == chosen.backend}
    return dict(sorted(found.items()))


def _times(imported: Imported, chosen: Requests) -> None:
    """Set the service time: the logged values, or slices of their distribution."""
    work = SortedRows([("work", "f8")], "work")
    for part in chosen.slices():
        work.add(only(part, "work"))
    values, shares = representatives_of((part["work"] for part in work.slices()), len(work))
    if values[-1] <= 0.0:
        told = (
            "every upstream time is 0.000: the pods answer within the log's resolution of 1 ms"
            if chosen.filled < len(work)
            else "no answered request has a logged upstream time"
        )
        imported.notes.append(f"{told}; 0.5 ms is assumed")
        short = {"distribution": "deterministic", "mean": "0.5ms"}
        put(imported.scenario, "traffic.service_time", short)
        return
    measured = {
        "distribution": "bimodal",  # any number of values with their shares
        "values": [f"{1e3 * value:.6g}ms" for value in values],
        "shares": [round(float(share), 12) for share in shares],
    }
    put(imported.scenario, "traffic.service_time", measured)
    note = _told(chosen)
    if chosen.filled:
        note += f"; {chosen.filled} requests without an answer take the time of the one before"
    imported.notes.append(note)


def _told(chosen: Requests) -> str:
    """Return how the service times were found and how sure they are."""
    found, mean = chosen.recovered, chosen.mean
    if found is None:
        return (
            f"service times are the upstream response times, mean {mean:.4f} s: an upper bound, "
            f"they contain the queueing at the pods (too few requests to remove it, it takes {FEW})"
        )
    how = _places_told(found)
    place = "one request" if found.places == 1 else f"{found.places} requests"
    return (
        f"service times are the upstream response times without the queueing that the requests "
        f"already at the same pod explain (FIFO, {place} at a time, {how}): mean {mean:.4f} s for "
        f"{chosen.logged:.4f} s logged; {100 * found.waited:.1f} % of the requests had waited, "
        f"theirs are inferred, the others' exact to 1 ms; expected error {1e3 * found.error:.1f} "
        f"ms per request, {1e3 * found.mean_error:.1f} ms of the mean, both from the unknown "
        f"places of ends inside their seconds, if a pod works on {found.places} at a time; "
        f"{RECOVERED}; requests that reached the pods past this log (other controllers) are not "
        "seen: their part of the queueing stays in the times"
    )


def _places_told(found: Recovered) -> str:
    """Return what the number of places rests on."""
    if found.found is None:
        return "as given"
    if found.places > 1:
        return f"found from the log: some surely overtook {found.found.bound - 1} others at once"
    told = "found from the log: none surely overtook another"
    if found.found.by_means > 1:
        told += (
            f", though the mean times would suggest {found.found.by_means}; if you know better, "
            "give --concurrency"
        )
    return told


def _arrivals(imported: Imported, chosen: Requests, pace: Bursts) -> None:
    process: dict[str, Any] = {"process": "poisson", "rate": write_rate(float(f"{pace.rate:.6g}"))}
    if math.isnan(pace.dispersion):
        told = "the log is too short to tell bursts: Poisson is assumed"
    else:
        told = (
            f"counts per {pace.window:.3g} s have a variance of {pace.dispersion:.2f} times their "
            f"mean ({pace.windows} windows; 1 is Poisson)"
        )
        if not pace.is_poisson and pace.cv > 0.0:
            process = {**process, "process": "gamma", "cv": round(min(max(pace.cv, 0.05), 20.0), 3)}
            told += f": gamma gaps of CV {process['cv']}, or a rate that changes slowly"
        else:
            told += ": Poisson fits"
    put(imported.scenario, "traffic.arrivals", process)
    imported.notes.append(
        f"rate {pace.rate:.4g}/s; arrivals = end - request time, the ends have whole seconds and "
        f"are spread inside them by rank: expected error {chosen.error:.3f} s per request, never "
        f"above 1 s; {MEASURED}"
    )
    imported.notes.append(
        f"inter-arrival CV {pace.gap_cv:.2f} by the recovered gaps (too low: ranks smooth); whole "
        f"seconds tell irregularity above 1 s only; {told}"
    )


def _places(imported: Imported, log: AccessLog, chosen: Requests, pace: Bursts) -> None:
    """Give the pods the places that were found, or enough for what was busy (Little's law)."""
    pods = len(_by_pod(log, chosen))
    busy = pace.rate * chosen.mean / pods
    known = chosen.recovered
    places = known.places if known else 1
    if busy > (BUSIEST if known is None else BUSIEST_RECOVERED) * places:
        places = math.ceil(busy / BUSIEST)
        imported.notes.append(
            f"{busy:.2f} requests were in service per pod on average by these times: with fewer "
            f"places the scenario would be over capacity, so pods get concurrency {places}; set "
            "the real one together with real service times"
        )
    if places > 1 or known is not None:  # one place that the log tells is no default
        put(imported.scenario, "cluster.pod.concurrency", places)


def _workers(imported: Imported, log: AccessLog, chosen: Requests) -> None:
    if log.older_lines > len(log) // 2:
        put(imported.scenario, "preset", "seed")
        put(imported.scenario, "cluster.ingress.workers", SEED_WORKERS)
        imported.notes.append(
            "the lines are those of a controller of 2018/19: the preset seed is set (keepalive of "
            f"that time, {SEED_WORKERS} workers as on nodes with {SEED_WORKERS} CPUs); the number "
            "of workers is not logged, set cluster.ingress.workers to the CPUs of your nodes"
        )
    elif chosen.writers > 1:
        put(imported.scenario, "cluster.ingress.workers", chosen.writers)
        imported.notes.append(
            f"the lines come in blocks of {chosen.writers} buffers: at least so many workers"
        )
    else:
        imported.notes.append("the number of workers is not logged: the default holds")


def _observed(imported: Imported, log: AccessLog, chosen: Requests) -> None:
    took, total = SortedRows([("request_time", "f8")], "request_time"), 0.0
    for part in chosen.slices():
        known = part[~np.isnan(part["request_time"])]
        total += float(known["request_time"].sum())
        took.add(only(known, "request_time"))
    latency: dict[str, str] = {}
    if n := len(took):
        ranks = [max(0, math.ceil(p * n) - 1) for p in QUANTILES.values()]
        *quantiles, longest = values_at(took, [*ranks, n - 1]).tolist()
        latency["mean"] = write_time(round(total / n, 6))
        for name, value in zip(QUANTILES, quantiles, strict=True):
            latency[name] = write_time(value)
        latency["max"] = write_time(longest)
    put(
        imported.scenario,
        "observed",
        {
            "pods": _by_pod(log, chosen),
            "latency": latency,
            "requests": len(chosen),
            "note": f"access log, backend {chosen.backend}; latency is nginx's request time",
        },
    )
