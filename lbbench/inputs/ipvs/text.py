"""The virtual services in what ipvsadm prints: ``-Ln``, ``-L``, ``--stats``, ``--rate``, ``-S``.

ipvsadm(8) has the columns and options. A listing has a head that names its columns; a save has one
command per line (``-A`` a service, ``-a`` a destination). Several listings of one node are put
together: shares from ``-Ln``, counted connections from ``--stats``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from lbbench.inputs.iptables.listing import count_of
from lbbench.inputs.source import Place, Skipped, named, read_filled

PROTOCOLS = {"-t": "TCP", "-u": "UDP", "-f": "FWM", "--tcp-service": "TCP", "--udp-service": "UDP",
             "--fwmark-service": "FWM", "--sctp-service": "SCTP"}  # fmt: skip
PERSISTENT = 300
"""Seconds of persistence when ipvsadm is given none."""

_SERVICE = re.compile(r"^(TCP|UDP|SCTP|FWM)\s+(\S+)(?:\s+(.*))?$")
_DESTINATION = re.compile(r"^->\s*(\S*)\s*(.*)$")
_SAVED = re.compile(r"(?:^|\s)(-A|-a|--add-service|--add-server)\s")
_HEAD = re.compile(r"^(?:IP Virtual Server version|Prot(?:ocol)?\s+LocalAddress|-> RemoteAddress)")
_STATS = re.compile(r"\bConns\b")
_RATE = re.compile(r"\bCPS\b")
_WEIGHT = re.compile(r"^\S+\s+(\d{1,9})\s+(\d{1,18})\s+(\d{1,18})\b")


@dataclass(slots=True)
class Destination:
    """One real server of a virtual service."""

    address: str
    place: Place
    weight: int | None = None
    active: int | None = None  # connections open now
    inactive: int | None = None
    connections: int | None = None  # counted since the service was made (--stats)


@dataclass(slots=True)
class Virtual:
    """One virtual service."""

    protocol: str  # TCP, UDP, SCTP, FWM
    address: str  # ip:port, name:port, or the number of a firewall mark
    place: Place
    scheduler: str | None = None
    persistent_s: int | None = None
    flags: str = ""
    destinations: dict[str, Destination] = field(default_factory=dict)


@dataclass(slots=True)
class IpvsText:
    """What one file holds: virtual services by (protocol, address), and what was not used."""

    path: str
    services: dict[tuple[str, str], Virtual] = field(default_factory=dict)
    skipped: list[Skipped] = field(default_factory=list)
    repeated: int = 0
    current: Virtual | None = None
    stats: bool = False
    rate: bool = False


def read_ipvs(path: str | Path) -> IpvsText:
    """Return the virtual services in the file ``path``.

    Raises
    ------
    InputError
        When the file cannot be read, is empty or binary.
    """
    text = read_filled(path, ":1: is empty; write it with: sudo ipvsadm -Ln > node.ipvs")
    return parse_ipvs(text, named(path))


def parse_ipvs(text: Sequence[str], path: str) -> IpvsText:
    """Return the virtual services in the lines of ``text``, which messages call ``path``."""
    found = IpvsText(path)
    for number, raw in enumerate(text, 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        if _HEAD.match(line):
            if line.startswith("Prot"):
                found.stats, found.rate = bool(_STATS.search(line)), bool(_RATE.search(line))
            continue
        reason = _line(found, line, (path, number))
        if reason:
            found.skipped.append((path, number, reason))
    return found


def _line(found: IpvsText, line: str, place: Place) -> str:
    """Read one line; return "" or why it was not used."""
    service = _SERVICE.match(line)
    if service:
        virtual = _virtual(found, service[1], service[2], place)
        if not (found.stats or found.rate):
            _flags(virtual, (service[3] or "").split())
        found.current = virtual
        return ""
    destination = _DESTINATION.match(line)
    if destination:
        return _destination(found, destination, place)
    saved = _SAVED.search(line)
    if saved:
        return _saved(found, line[saved.start(1) :].split(), place)
    return "not a line of ipvsadm"


def _virtual(found: IpvsText, protocol: str, address: str, place: Place) -> Virtual:
    key = (protocol, address)
    return found.services.setdefault(key, Virtual(protocol, address, place))


def _flags(virtual: Virtual, words: list[str]) -> None:
    if words:
        virtual.scheduler = words[0]
    if "persistent" in words:
        after = words[words.index("persistent") + 1 :]
        virtual.persistent_s = _number(after[0]) if after else PERSISTENT
        virtual.persistent_s = virtual.persistent_s or PERSISTENT
    virtual.flags = " ".join(word for word in words[1:] if word.startswith("("))


def _destination(found: IpvsText, match: re.Match[str], place: Place) -> str:
    if found.current is None:
        return "a destination without its virtual service"
    if not match[2]:
        return "a destination without its columns: cut off?"
    item = _server(found, found.current, match[1], place)
    if found.rate:
        return ""
    if found.stats:
        item.connections = count_of(match[2].split()[0])
        return "" if item.connections is not None else "no counter of connections"
    columns = _WEIGHT.match(match[2])
    if columns is None:
        return "a destination without weight and connections: cut off?"
    item.weight, item.active, item.inactive = (int(columns[i]) for i in (1, 2, 3))
    return ""


def _server(found: IpvsText, virtual: Virtual, address: str, place: Place) -> Destination:
    known = virtual.destinations.get(address)
    if known is None:
        return virtual.destinations.setdefault(address, Destination(address, place))
    found.repeated += 1
    return known


def _saved(found: IpvsText, words: list[str], place: Place) -> str:
    """Read a command of a save: options and values."""
    given: dict[str, str] = {}
    for i, word in enumerate(words):
        if word.startswith("-"):
            follows = words[i + 1] if i + 1 < len(words) else "-"
            given[word] = "" if follows.startswith("-") else follows
    kind = next((name for name in PROTOCOLS if given.get(name)), None)
    if kind is None:
        return "a command without its virtual service: cut off?"
    virtual = _virtual(found, PROTOCOLS[kind], given[kind], place)
    if words[0] in {"-A", "--add-service"}:
        virtual.scheduler = given.get("-s") or given.get("--scheduler") or "wlc"
        held = given.get("-p", given.get("--persistent"))
        if held is not None:
            virtual.persistent_s = _number(held) or PERSISTENT
        return ""
    address = given.get("-r") or given.get("--real-server")
    if not address:
        return "a command without its real server: cut off?"
    item = _server(found, virtual, address, place)
    weight = _number(given.get("-w") or given.get("--weight") or "1")
    if weight is None:
        return "a weight that is no number"
    item.weight = weight
    return ""


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() and len(text) < 10 else None
