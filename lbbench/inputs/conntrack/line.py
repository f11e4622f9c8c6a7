"""One line of a connection table: ``conntrack -L``, ``-E``, or ``/proc/net/nf_conntrack``.

conntrack(8) and the kernel's net/netfilter/nf_conntrack_standalone.c print them: protocol, its
number, the seconds left, for TCP a state, the original tuple, ``[UNREPLIED]``, the reply's tuple,
``[ASSURED]``. The file in /proc has the network's protocol in front.
"""

from __future__ import annotations

import socket
from dataclasses import dataclass

PROTOCOLS = frozenset(("tcp", "udp", "udplite", "sctp", "dccp", "icmp", "icmpv6", "gre", "unknown"))
WITH_PORTS = frozenset(("tcp", "udp", "udplite", "sctp", "dccp"))
EVENTS = {"[NEW]": "new", "[UPDATE]": "update", "[DESTROY]": "destroy"}
MOST_WORDS = 64
"""Words of a line that are looked at; the longest known kind has about 30."""


@dataclass(frozen=True, slots=True)
class Tuple:
    """One direction of a flow; ports are None for protocols without."""

    src: str
    dst: str
    sport: int | None
    dport: int | None

    @property
    def target(self) -> str:
        """Address and port that it is sent to."""
        return _with_port(self.dst, self.dport)

    @property
    def source(self) -> str:
        """Address and port that it is sent from."""
        return _with_port(self.src, self.sport)


@dataclass(frozen=True, slots=True)
class Entry:
    """One flow."""

    protocol: str
    state: str | None  # of TCP
    left_s: int | None  # until the entry is dropped, if no packet comes
    original: Tuple
    reply: Tuple
    unreplied: bool
    assured: bool
    event: str | None  # of conntrack -E: new, update, destroy

    @property
    def translated(self) -> bool:
        """Whether the destination was replaced (DNAT): the reply comes from somewhere else."""
        return (self.reply.src, self.reply.sport) != (self.original.dst, self.original.dport)

    @property
    def masqueraded(self) -> bool:
        """Whether the source was replaced (SNAT): the reply goes to somewhere else."""
        return (self.reply.dst, self.reply.dport) != (self.original.src, self.original.sport)


def parse(line: str) -> Entry | str:
    """Return the flow of a line, or why it is none."""
    words = line.split(None, MOST_WORDS)[:MOST_WORDS]
    event = next((EVENTS[word] for word in words[:2] if word in EVENTS), None)
    at = next((i for i, word in enumerate(words[:5]) if word in PROTOCOLS), None)
    if at is None:
        return "not a line of conntrack"
    tuples: list[dict[str, str]] = []
    state, left, flags = None, None, set[str]()
    for word in words[at + 1 :]:
        key, equals, value = word.partition("=")
        if equals:
            if key == "src":
                tuples.append({})
            if tuples:
                tuples[-1].setdefault(key, value)
        elif word.startswith("["):
            flags.add(word.strip("[]"))
        elif not tuples and word.isdecimal() and len(word) < 10:
            left = int(word)  # the first number is the protocol's, the second the time
        elif not tuples and word.isascii() and word.replace("_", "").isalnum():
            state = word
    if len(tuples) < 2:
        return "a flow without both directions: cut off?"
    if len(tuples) > 2 or len(words) == MOST_WORDS:
        return "more than one flow in a line: has it lost its line ends?"
    made = [_tuple(item, ports=words[at] in WITH_PORTS) for item in tuples[:2]]
    original, reply = made
    if original is None or reply is None:
        return "an address or port that is none: cut off?"
    return Entry(
        protocol=words[at],
        state=state,
        left_s=left if _timed(words, at) else None,
        original=original,
        reply=reply,
        unreplied="UNREPLIED" in flags,
        assured="ASSURED" in flags,
        event=event,
    )


def _timed(words: list[str], at: int) -> bool:
    """Tell whether a time follows the protocol's number (events of the end have none)."""
    return len(words) > at + 2 and words[at + 2].isdecimal()


def _tuple(given: dict[str, str], *, ports: bool) -> Tuple | None:
    src, dst = given.get("src", ""), given.get("dst", "")
    if not (_is_address(src) and _is_address(dst)):
        return None
    if not ports:
        return Tuple(src, dst, None, None)
    sport, dport = _port(given.get("sport", "")), _port(given.get("dport", ""))
    return None if sport is None or dport is None else Tuple(src, dst, sport, dport)


def _port(text: str) -> int | None:
    number = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    return number if 0 < number < 65_536 else None


def _is_address(text: str) -> bool:
    """Tell an address from a cut one, fast: a table may have a million lines."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):  # ValueError: NUL, or not ASCII
        return False
    return True


def _with_port(host: str, port: int | None) -> str:
    if port is None:
        return host
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
