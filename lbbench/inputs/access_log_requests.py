"""Which requests of an access log reached the pods of one service, and how a trace of them is kept.

A trace is a CSV file with the columns ``arrival_s, client, key, work_s``: times in seconds from the
first arrival, the client's address, the URI, and the service time as far as a log tells it.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lbbench.errors import InputError
from lbbench.inputs.access_log import AccessLog
from lbbench.inputs.calibration import FEW
from lbbench.inputs.log_arrivals import Arrivals, redraw
from lbbench.inputs.service_recovery import Recovered, recover_work

DRAWS = 2
"""How often the ends are drawn again to tell the error of recovered work."""

SEED = 1  # of these draws, so that the same log gives the same figures


class Requests(NamedTuple):
    """The requests of one backend that reached a pod, in order of arrival."""

    rows: np.ndarray  # int64[n], rows of the log
    arrival: np.ndarray  # float64[n], seconds from the first one
    work: np.ndarray  # float64[n], seconds, without the queueing if recovered, gaps filled
    filled: int  # requests without a usable time
    backend: str
    logged: float  # mean logged response time, seconds, NaN without any
    recovered: Recovered | None  # how `work` was found; None: it is the logged response time


def select(
    log: AccessLog, arrivals: Arrivals, backend: str | None = None, places: int | None = None
) -> Requests:
    """Return the requests of ``backend`` (None: the most frequent) that reached a pod.

    With `FEW` requests or more their work is recovered from the response times; ``places`` is what
    a pod works on at a time, None: found from the log.

    Raises
    ------
    InputError
        When there are none.
    """
    by_backend = log.requests_by_backend()
    if not by_backend:
        raise InputError(
            f"{log.files[0]}: no request reached a pod ({log.default_backend_lines} went to the "
            f"default backend, {len(log) - log.default_backend_lines} to no upstream); "
            "give a log of requests that an ingress rule serves"
        )
    name = next(iter(by_backend)) if backend is None else backend
    if name not in by_backend:
        raise InputError(
            f"{log.files[0]}: no request for backend {name!r}; the log has {', '.join(by_backend)}"
        )
    wanted = (log.backend == log.backends.index(name)) & (log.upstream >= 0)
    rows = np.nonzero(wanted)[0]
    rows = rows[np.argsort(arrivals.time[rows], kind="stable")]
    time = arrivals.time[rows]
    work, recovered = log.service[rows].copy(), None
    if len(rows) >= FEW:
        recovered = _recovered(log, arrivals, rows, places)
        work = recovered.work
    missing = np.isnan(work)
    logged = float("nan") if missing.all() else float(log.service[rows][~missing].mean())
    if missing.any():
        work[missing] = float(np.median(work[~missing])) if not missing.all() else 0.0
    return Requests(rows, time - time[0], work, int(missing.sum()), name, logged, recovered)


def _recovered(
    log: AccessLog, arrivals: Arrivals, rows: np.ndarray, places: int | None
) -> Recovered:
    """Return the work of ``rows``; requests of other backends to the same pods queue there too."""
    pods = np.zeros(len(log.upstreams), bool)
    pods[log.upstream[rows]] = True
    there = np.nonzero((log.upstream >= 0) & pods[log.upstream])[0]
    second, stream = log.end[there], arrivals.stream[there]
    end = arrivals.time[there] + np.nan_to_num(log.request_time[there])
    rng = np.random.default_rng(SEED)
    found = recover_work(
        end,
        log.service[there],
        log.upstream[there],
        places=places,
        redrawn=tuple(redraw(second, stream, rng) for _ in range(DRAWS)),
    )
    return found._replace(work=found.work[np.searchsorted(there, rows)])


def write_trace(log: AccessLog, chosen: Requests, path: Path) -> None:
    """Write the requests as CSV, gzip: arrival_s, client, key, work_s; the same bytes every time.

    There is no column for the connection: the log does not tell it.
    """
    with (
        path.open("wb") as raw,
        gzip.GzipFile(filename="", mode="wb", fileobj=raw, mtime=0) as packed,
    ):
        for part in _csv(log, chosen):
            packed.write(part.encode())


def _csv(log: AccessLog, chosen: Requests) -> Iterator[str]:
    class Line:
        text = ""

        def write(self, text: str) -> None:
            self.text = text

    line = Line()
    writer = csv.writer(line, lineterminator="\n")
    yield "arrival_s,client,key,work_s\n"
    for row, arrival, work in zip(chosen.rows, chosen.arrival, chosen.work, strict=True):
        client, key = log.clients[log.client[row]], log.keys[log.key[row]]
        writer.writerow((f"{arrival:.6f}", client, key, f"{work:.6f}"))
        yield line.text
