"""Import of a connection table: who is connected to which pod, through which service.

A flow whose destination was replaced is a connection to a service; its reply tells the pod. Azure's
health probes (from 168.63.129.16) and flows that nobody has answered are counted apart: they say
nothing about how clients are spread.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lbbench.errors import InputError
from lbbench.inputs.conntrack.line import Entry, parse
from lbbench.inputs.source import MOST_FOREIGN, Skipped, lines, listed, named

PROBES = "168.63.129.16"
"""Where Azure's health probes (and its DNS and DHCP) come from, in every virtual network."""

SHOWN = 10
MOST_PAIRS = 4_000_000
"""Different (service, client, pod) and flows to no service that are kept; more is refused: a table
of a node has fewer."""

ESTABLISHED_S = (86_400, 432_000)
"""How long an idle connection is kept: kube-proxy's setting, the kernel's default."""

TIME_WAIT_S = 120.0
"""How long a closed connection is kept."""

_TRAILER = ("conntrack v", "tcp      6 flow entries")


@dataclass(slots=True)
class Connections:
    """What a connection table holds, summed up.

    Attributes
    ----------
    pairs
        Answered connections by (service, client address, pod); service and pod are ``ip:port``.
    direct
        Answered connections that were not translated, by (client address, destination).
    idle
        For how many seconds the open TCP connections of a service had been silent.
    """

    files: list[str] = field(default_factory=list)
    lines: int = 0
    protocols: Counter[str] = field(default_factory=Counter)
    states: Counter[str] = field(default_factory=Counter)
    assured: int = 0
    unreplied: int = 0
    stale: int = 0  # unreplied, and the destination was not replaced
    probes: int = 0
    portless: int = 0  # translated, of a protocol without ports: to no service
    repeated: int = 0  # updates and ends in a log of events
    pairs: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    direct: Counter[tuple[str, str]] = field(default_factory=Counter)
    masqueraded: Counter[str] = field(default_factory=Counter)  # by service
    open: Counter[str] = field(default_factory=Counter)  # by service
    closed: Counter[str] = field(default_factory=Counter)  # by service: in TIME_WAIT
    left: dict[str, list[int]] = field(default_factory=dict)  # by service: seconds left, if open
    unanswered: Counter[tuple[str, str]] = field(default_factory=Counter)  # (service, pod)
    skipped: list[Skipped] = field(default_factory=list)  # the first ten
    n_skipped: int = 0

    def services(self) -> dict[str, int]:
        """Return answered connections by service, the most frequent first."""
        counts: Counter[str] = Counter()
        for (service, _, _), n in self.pairs.items():
            counts[service] += n
        return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))

    def chosen(self, service: str | None = None) -> str:
        """Return ``service`` if it is there, the most frequent one for None.

        Raises
        ------
        InputError
            When there is none, or not this one.
        """
        found = self.services()
        if not found:
            raise InputError(
                f"{self.files[0]}:1: no answered connection to a service in {self.lines} lines "
                f"({self.probes} health probes, {self.unreplied} unreplied, "
                f"{self.direct.total()} not translated); take it on a node that clients reach, "
                "with: sudo conntrack -L > node.conntrack"
            )
        if service is None:
            return next(iter(found))
        if service not in found:
            some = ", ".join(list(found)[:SHOWN])
            raise InputError(
                f"{self.files[0]}:1: no answered connection to service {service!r}; "
                f"there are connections to {some}"
            )
        return service

    def pods(self, service: str) -> dict[str, int]:
        """Return answered connections to a service by pod, in the order of addresses as text.

        A pod that was chosen and has answered nobody is there with 0.
        """
        counts: Counter[str] = Counter()
        for (name, _, pod), n in self.pairs.items():
            if name == service:
                counts[pod] += n
        for name, pod in self.unanswered:
            if name == service:
                counts.setdefault(pod, 0)
        return dict(sorted(counts.items()))

    def clients(self, service: str) -> dict[str, int]:
        """Return answered connections to a service by client address."""
        counts: Counter[str] = Counter()
        for (name, client, _), n in self.pairs.items():
            if name == service:
                counts[client] += n
        return dict(counts)

    def idle(self, service: str) -> np.ndarray:
        """Return float64[n]: for how many seconds each open connection has been silent."""
        left = np.array(self.left.get(service, []), np.float64)
        if not len(left):
            return left
        limit = next((limit for limit in ESTABLISHED_S if left.max() <= limit), left.max())
        return np.asarray(limit - left)


def read_conntrack(paths: str | Path | Sequence[str | Path]) -> Connections:
    """Return what the connection tables ``paths`` hold; ``-`` is standard input.

    Raises
    ------
    InputError
        When a file cannot be read, or none of its lines is a flow.
    """
    found = Connections()
    for path in listed(paths):
        name = named(path)
        found.files.append(name)
        before, skipped = found.lines, found.n_skipped
        first: Skipped | None = None
        number = 0
        for number, raw in enumerate(lines(path), 1):
            text = raw.decode("utf-8", "backslashreplace").strip()
            if not text or text.startswith("#") or text.startswith(_TRAILER):
                continue
            entry = parse(text)
            if isinstance(entry, Entry):
                _add(found, entry)
                if len(found.pairs) + len(found.direct) + len(found.unanswered) > MOST_PAIRS:
                    raise InputError(
                        f"{name}:{number}: more than {MOST_PAIRS} different clients and pods; "
                        "give a part of the table"
                    )
                continue
            first = first or (name, number, entry)
            found.n_skipped += 1
            if found.lines == before and found.n_skipped - skipped >= MOST_FOREIGN:
                break
            if len(found.skipped) < SHOWN:
                found.skipped.append((name, number, entry))
        if found.lines == before and not found.repeated:
            line, why = (first[1], first[2]) if first else (max(number, 1), "it is empty")
            raise InputError(
                f"{name}:{line}: no flow in it ({why}, {found.n_skipped - skipped} lines); write "
                "it with: sudo conntrack -L > node.conntrack"
            )
    return found


def _add(found: Connections, entry: Entry) -> None:
    """Count one flow."""
    if entry.event in {"update", "destroy"}:
        found.repeated += 1
        return
    found.lines += 1
    found.protocols[entry.protocol] += 1
    if entry.state:
        found.states[entry.state] += 1
    found.assured += entry.assured
    found.unreplied += entry.unreplied
    service, pod = entry.original.target, entry.reply.source
    if entry.original.src == PROBES:
        found.probes += 1
        return
    if entry.translated and entry.original.dport is None:
        found.portless += 1
        return
    if entry.unreplied and entry.event != "new":
        found.stale += not entry.translated
        if entry.translated:
            found.unanswered[service, pod] += 1
        return
    if not entry.translated:
        found.direct[entry.original.src, service] += 1
        return
    found.pairs[service, entry.original.src, pod] += 1
    found.masqueraded[service] += entry.masqueraded
    if entry.state == "ESTABLISHED":
        found.open[service] += 1
        if entry.left_s is not None:
            found.left.setdefault(service, []).append(entry.left_s)
    elif entry.state == "TIME_WAIT":
        found.closed[service] += 1
