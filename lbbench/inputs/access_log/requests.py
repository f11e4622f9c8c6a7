"""Which requests of an access log reached the pods of one service, and how a trace of them is kept.

A trace is a CSV file with the columns ``arrival_s, client, key, work_s``: times in seconds from the
first arrival, the client's address, the URI, and the service time as far as a log tells it.
"""

from __future__ import annotations

import csv
import gzip
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from lbbench.errors import InputError
from lbbench.inputs.access_log.log import AccessLog
from lbbench.inputs.access_log.queue import by_arrival, in_order
from lbbench.inputs.access_log.service_recovery import Recovered
from lbbench.inputs.access_log.sorted_rows import SortedRows
from lbbench.inputs.calibration import FEW

Progress = Callable[[str, int, int | None], None]
"""Called as progress(what, lines done, lines in all)."""

LEVEL = 6  # of gzip: a third of the time of 9 for a hundredth more bytes


@dataclass(frozen=True)
class Requests:
    """The requests of one backend that reached a pod; `slices` gives them in order of arrival."""

    rows: SortedRows  # of `queue.REQUEST`
    backend: str
    first: float  # arrival of the first one, seconds since 1970
    span: float  # seconds from there to the last one
    filled: int  # requests without a usable time
    fill: float  # seconds of work of the first one with a usable time, 0 without any
    logged: float  # mean logged response time, seconds, NaN without any
    mean: float  # mean work, seconds
    recovered: Recovered | None  # how the work was found; None: it is the logged response time
    error: float  # expected mean absolute error of the log's arrivals, seconds
    writers: int  # streams of lines (workers with buffers) that were told apart, at least

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.rows)

    def slices(self) -> Iterator[np.ndarray]:
        """Yield the requests, arrivals in seconds from the first one, work without gaps.

        A request without a usable time gets the work of the one before it: it is as likely as any,
        so mean and quantiles stay, which a constant would change.
        """
        before = self.fill
        for part in by_arrival(self.rows):
            part["arrival"] -= self.first
            known = np.append(before, part["work"])
            latest = np.maximum.accumulate(np.where(np.isnan(known), 0, np.arange(len(known))))
            part["work"] = known[latest[1:]]
            before = float(part["work"][-1])
            yield part


def select(
    log: AccessLog,
    backend: str | None = None,
    places: int | None = None,
    progress: Progress | None = None,
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
    recover = by_backend[name] >= FEW
    found = in_order(log, name, places, recover=recover, progress=progress)
    fill, n_known = math.nan, 0
    bounds: list[float] = []
    logged = 0.0
    for part in by_arrival(found.requests):
        bounds = [bounds[0] if bounds else float(part["arrival"][0]), float(part["arrival"][-1])]
        known = part[~np.isnan(part["work"])]
        logged += float(known["service"].sum())
        n_known += len(known)
        if math.isnan(fill) and len(known):
            fill = float(known["work"][0])
    chosen = Requests(
        rows=found.requests,
        backend=name,
        first=bounds[0],
        span=bounds[1] - bounds[0],
        filled=len(found.requests) - n_known,
        fill=0.0 if math.isnan(fill) else fill,
        logged=logged / n_known if n_known else math.nan,
        mean=math.nan,
        recovered=found.recovered,
        error=found.error,
        writers=found.writers,
    )
    total = sum(float(part["work"].sum()) for part in chosen.slices())
    return replace(chosen, mean=total / len(chosen))


def write_trace(log: AccessLog, chosen: Requests, path: Path) -> None:
    """Write the requests as CSV, gzip: arrival_s, client, key, work_s; the same bytes every time.

    There is no column for the connection: the log does not tell it.
    """
    with (
        path.open("wb") as raw,
        gzip.GzipFile("", "wb", LEVEL, fileobj=raw, mtime=0) as packed,
    ):
        for part in _csv(log, chosen):
            packed.write(part)


def _csv(log: AccessLog, chosen: Requests) -> Iterator[bytes]:
    class Lines:
        def __init__(self) -> None:
            self.texts: list[str] = []

        def write(self, text: str) -> None:
            self.texts.append(text)

    yield b"arrival_s,client,key,work_s\n"
    for part in chosen.slices():
        lines = Lines()
        writer = csv.writer(lines, lineterminator="\n")
        columns = [part[name].tolist() for name in ("arrival", "client", "key", "work")]
        for arrival, client, key, work in zip(*columns, strict=True):
            row = (f"{arrival:.6f}", log.clients[client], log.keys[key], f"{work:.6f}")
            writer.writerow(row)
        yield "".join(lines.texts).encode()
        log.clients.release()
        log.keys.release()
