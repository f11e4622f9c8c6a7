"""The requests of a log put in order of time, and their work told from their response times.

Everything goes through `SortedRows`, so memory does not depend on the length of the log: by the
second of the end, where ends are placed; by what the pods' queues are solved by; by arrival.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from lbbench.inputs.access_log.arrivals import Placed, Streams, Survey, place_ends, redraw, survey
from lbbench.inputs.access_log.fifo_pods import Pods, work_of
from lbbench.inputs.access_log.log import AccessLog
from lbbench.inputs.access_log.pod_places import Lines
from lbbench.inputs.access_log.service_recovery import Recovered, recover_work
from lbbench.inputs.access_log.sorted_rows import SortedRows

DRAWS = 2
"""How often the ends are drawn again to tell the error of recovered work."""

SEED = 1  # of these draws, so that the same log gives the same figures

TAKEN = ("end", "fraction", "request_time", "service", "upstream", "backend", "client", "key")
LINE = np.dtype(
    [
        ("end", "i8"),
        ("row", "i8"),
        ("request_time", "f8"),
        ("service", "f8"),
        ("stream", "i4"),
        ("upstream", "i4"),
        ("backend", "i4"),
        ("client", "i4"),
        ("key", "i4"),
        ("fraction", "f4"),
    ]
)
"""A line of the log: its columns and its stream."""

REQUEST = np.dtype(
    [
        ("arrival", "f8"),  # seconds since 1970
        ("finish", "f8"),  # end at the pod, seconds since 1970
        ("order", "f8"),  # by which the queue is solved
        ("service", "f8"),  # response time, seconds, NaN: unknown
        ("work", "f8"),  # service time, seconds, NaN: unknown
        ("request_time", "f8"),
        ("row", "i8"),
        ("upstream", "i4"),
        ("client", "i4"),
        ("key", "i4"),
        ("wanted", "?"),  # of the backend that was asked for
    ]
)
"""A request that reached a pod."""


class Sorted(NamedTuple):
    """The requests of one backend in order of arrival, and what was found on the way."""

    requests: SortedRows  # of `REQUEST`, by arrival
    recovered: Recovered | None  # without the work of each; None: it is the response time
    error: float  # of the arrivals of all lines, expected mean absolute error, seconds
    writers: int  # streams of lines


def in_order(
    log: AccessLog,
    backend: str,
    places: int | None,
    *,
    recover: bool,
    progress: Callable[[str, int, int | None], None] | None = None,
) -> Sorted:
    """Return the requests of ``backend`` that reached a pod, by arrival, with their work.

    Requests of other backends to the same pods queue there too, and are part of the solution.

    Parameters
    ----------
    places
        Requests that a pod works on at a time; None: found from the first lines.
    recover
        Whether to remove the queueing; False: the work is the response time.
    progress
        Called with what is done, how many of the lines, and of how many.
    """
    done = 0
    facts = survey((end for (end,) in log.blocks("end")), log.starts.tolist())
    lines, writers = _by_second(log, facts)
    pods = np.zeros(len(log.upstreams) + 1, bool)  # the last one for -1
    pods[[log.upstreams.index(name) for of, name in log.answered if of == backend]] = True
    number = log.backends.index(backend)
    found: Recovered | None = None
    if recover:
        found = _judged(next(lines.slices()), facts, pods, places)
    queue = Pods(found.places if found else 1)
    waiting, errors = SortedRows(REQUEST, "order"), 0.0
    arrived = SortedRows(REQUEST, "arrival")
    for part in lines.slices():
        requests, placed = _placed(part, facts)
        errors += float(placed.error.sum())
        done += len(part)
        if progress is not None:
            progress("solving the queues of the pods", done, len(log))
        requests = requests[pods[part["upstream"]]]
        requests["wanted"] = part["backend"][pods[part["upstream"]]] == number
        unknown = np.isnan(requests["service"])
        if found is None:
            unknown[:] = True
            requests["work"] = requests["service"]
        arrived.add(requests[unknown & requests["wanted"]])
        known = requests[~unknown]
        known["order"] = queue.order(known["finish"], known["service"])
        waiting.add(known)
    if found is not None:
        found = _solved(waiting, queue, arrived, found)
    return Sorted(arrived, found, errors / max(1, facts.n), writers)


def _by_second(log: AccessLog, facts: Survey) -> tuple[SortedRows, int]:
    """Return the lines by the second of their end, and the number of streams."""
    streams = Streams(log.starts.tolist(), facts.ordered)
    lines, row = SortedRows(LINE, "end"), 0
    for block in log.blocks(*TAKEN):
        part = np.empty(len(block[0]), LINE)
        for name, values in zip(TAKEN, block, strict=True):
            part[name] = values
        part["stream"] = streams.assign(block[0])
        part["row"] = np.arange(row, row + len(part))
        row += len(part)
        lines.add(part)
    return lines, streams.writers


def _placed(part: np.ndarray, facts: Survey) -> tuple[np.ndarray, Placed]:
    """Return the lines of whole seconds as `REQUEST`, and where they were placed."""
    placed = place_ends(part["end"], part["fraction"], part["stream"], facts)
    requests = np.empty(len(part), REQUEST)
    for name in ("service", "request_time", "row", "upstream", "client", "key"):
        requests[name] = part[name]
    requests["work"] = np.nan
    # the end of the request by two sums, as `arrivals.recover` gives it to who has no log
    requests["arrival"] = part["end"] + placed.place - np.nan_to_num(part["request_time"])
    requests["finish"] = requests["arrival"] + np.nan_to_num(part["request_time"])
    return requests, placed


def _judged(part: np.ndarray, facts: Survey, pods: np.ndarray, places: int | None) -> Recovered:
    """Return places and expected errors by the first lines, as many as are in memory at once."""
    part = np.sort(part, order="row")
    there = pods[part["upstream"]]
    requests, placed = _placed(part, facts)
    requests = requests[there]
    columns = (part["end"], part["stream"], placed.rank, placed.lines, placed.exact)
    lines = Lines(*(column[there] for column in columns))
    rng = np.random.default_rng(SEED)
    second, stream = part["end"][there], part["stream"][there]
    finish, service = requests["finish"], requests["service"]
    again = tuple(np.where(lines.exact, finish, redraw(second, stream, rng)) for _ in range(DRAWS))
    return recover_work(
        finish, service, requests["upstream"], places=places, lines=lines, redrawn=again
    )


def _solved(waiting: SortedRows, queue: Pods, arrived: SortedRows, found: Recovered) -> Recovered:
    """Move the requests to ``arrived`` with their work; return ``found`` with who waited."""
    n_waited, n_known = 0, max(1, len(waiting))
    for part in waiting.slices():
        begun = queue.begun(part["finish"], part["service"], part["upstream"])
        part["work"], waited = work_of(part["finish"], part["service"], begun)
        n_waited += int(waited.sum())
        arrived.add(part[part["wanted"]])
    return found._replace(work=np.empty(0), waited=n_waited / n_known)


def by_arrival(requests: SortedRows) -> Iterator[np.ndarray]:
    """Yield slices of `REQUEST` in order of arrival, equal arrivals in the order of the log."""
    for part in requests.slices():
        yield part[np.lexsort((part["row"], part["arrival"]))]
