"""What was observed, in one form: counts per target, and per client where the input tells it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.likely import log_or_flows
from lbbench.inputs.source import STDIN, lines, named
from lbbench.studies.run import Progress

if TYPE_CHECKING:
    from lbbench.inputs.access_log.log import AccessLog

KINDS = ("counts", "access-log", "conntrack")
SNIFFED = 20
"""Lines that are looked at to tell what a file is."""


class Pairs(NamedTuple):
    """Counts by client and target, one entry per pair that occurs."""

    client: np.ndarray  # int64[k]
    target: np.ndarray  # int64[k], index of the target
    hits: np.ndarray  # int64[k]


@dataclass(frozen=True)
class Observed:
    """Counts of one group (a run, a backend, a service)."""

    group: str  # "" without groups
    place: str  # file, or file:line
    unit: str  # requests, connections, counts
    counts: dict[str, int]
    pairs: Pairs | None
    stage: str | None  # where such counts usually come from
    notes: list[str] = field(default_factory=list)
    refused: dict[str, int] = field(default_factory=dict)  # attempts at targets without an answer


def read_observed(
    path: str,
    *,
    kind: str | None = None,
    group: str | None = None,
    progress: Progress | None = None,
) -> list[Observed]:
    """Return what was counted in ``path``, every group by itself.

    Parameters
    ----------
    kind
        One of `KINDS`; None finds out (standard input is taken for counts).
    group
        A group of counts, a backend of a log, a service of a connection table; None takes all
        groups, the most frequent backend, the most frequent service.

    Raises
    ------
    LbbenchError
        When the file cannot be read, holds none of it, or has no such group.
    """
    if kind is not None and kind not in KINDS:
        raise LbbenchError(f"--kind {kind}: is none of {', '.join(KINDS)}")
    return READERS[kind or _kind_of(path)](path, group, progress)


def _kind_of(path: str) -> str:
    """Return what a file is by its first lines."""
    if named(path) == STDIN:
        return "counts"
    written = (line for line in lines(path) if line.strip())
    return log_or_flows(islice(written, SNIFFED)) or "counts"


def _counts(path: str, group: str | None, _progress: Progress | None) -> list[Observed]:
    from lbbench.inputs.counts import read_counts

    counts = read_counts(path)
    wanted = [counts.chosen(group)] if group is not None else list(counts.groups)
    notes = list(counts.notes)
    if counts.n_skipped:
        shown = ", ".join(f"{place}:{line} ({why})" for place, line, why in counts.skipped[:3])
        notes.append(f"{counts.n_skipped} lines hold no count and are left out: {shown}")
    return [
        Observed(
            group=name,
            place=":".join(map(str, counts.places[name])),
            unit="counts",
            counts=counts.groups[name],
            pairs=None,
            stage=None,
            notes=notes,
        )
        for name in wanted
    ]


def _access_log(path: str, group: str | None, progress: Progress | None) -> list[Observed]:
    from lbbench.inputs.access_log.reader import read_access_log

    log = read_access_log(path, progress)
    by_backend = log.requests_by_backend()
    if group is not None and group not in by_backend:
        raise InputError(
            f"{log.files[0]}:1: no request for backend {group!r}; the log has "
            f"{', '.join(by_backend) or 'none that reached a pod'}"
        )
    if not by_backend:
        raise InputError(f"{log.files[0]}:1: no request reached a pod; nothing to compare")
    name = group or next(iter(by_backend))
    counts = {pod: log.answered[name, pod] for pod in log.upstreams if (name, pod) in log.answered}
    pairs = _pairs_of(log, name, list(counts))
    notes, refused = list(log.notes), dict[str, int]()
    for (backend, address), tries in log.tried.items():
        if backend == name and address not in counts:
            counts[address], refused[address] = 0, tries
            notes.append(f"{address} was tried {tries} times and answered nothing: it counts 0")
    others = [f"{other} ({n})" for other, n in by_backend.items() if other != name]
    if others:
        notes.append(f"the counts are of backend {name}; --group chooses: {', '.join(others)}")
    return [Observed(name, log.files[0], "requests", counts, pairs, "ingress", notes, refused)]


def _pairs_of(log: AccessLog, backend: str, pods: list[str]) -> Pairs:
    """Return the pairs of clients and ``pods``; 16 bytes of memory per request."""
    target_of = np.full(len(log.upstreams) + 1, -1)  # the last one for requests without any
    target_of[[log.upstreams.index(pod) for pod in pods]] = np.arange(len(pods))
    number = log.backends.index(backend)
    clients, targets = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for client, upstream, of in log.blocks("client", "upstream", "backend"):
        rows = (of == number) & (upstream >= 0)
        clients.append(log.clients.identity(client[rows]))
        targets.append(target_of[upstream[rows]])
    dense = np.unique(np.concatenate(clients), return_inverse=True)[1]
    key, count = np.unique(dense * len(pods) + np.concatenate(targets), return_counts=True)
    return Pairs(key // len(pods), key % len(pods), count)


def _conntrack(path: str, group: str | None, _progress: Progress | None) -> list[Observed]:
    from lbbench.inputs.conntrack.reader import read_conntrack

    found = read_conntrack(path)
    service = found.chosen(group)
    counts = found.pods(service)
    clients: dict[str, int] = {}
    targets = {pod: i for i, pod in enumerate(counts)}
    rows = [
        (clients.setdefault(client, len(clients)), targets[pod], n)
        for (name, client, pod), n in found.pairs.items()
        if name == service
    ]
    apart = f"{found.probes} health probes and {found.unreplied} unreplied ones"
    notes = [f"{found.lines} flows: {apart} are left out"]
    refused = {
        pod: n
        for (name, pod), n in found.unanswered.items()
        if name == service and not counts.get(pod)
    }
    if found.n_skipped:
        notes.append(f"{found.n_skipped} lines are no flows and are left out")
    others = [f"{name} ({n})" for name, n in found.services().items() if name != service]
    if others:
        notes.append(f"the counts are of {service}; --group chooses: {', '.join(others[:10])}")
    columns = np.array(rows, np.int64).reshape(-1, 3).T
    return [
        Observed(
            service,
            found.files[0],
            "connections",
            counts,
            Pairs(*columns),
            "kube_proxy",
            notes,
            refused,
        )
    ]


READERS: dict[str, Callable[[str, str | None, Progress | None], list[Observed]]] = {
    "counts": _counts,
    "access-log": _access_log,
    "conntrack": _conntrack,
}
