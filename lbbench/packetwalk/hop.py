"""What a walk consists of: flows, conntrack entries, decisions and hops, as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

TCP = 6  # IP protocol number

Verdict = Literal["match", "no match", "not reached"]
Direction = Literal["request", "reply"]
Outcome = Literal["delivered", "dropped"]


@dataclass(frozen=True)
class Flow:
    """The addresses and ports of a TCP packet."""

    source: str
    source_port: int
    destination: str
    destination_port: int

    def reversed(self) -> Flow:
        """Return the flow of the packets that come back."""
        return Flow(self.destination, self.destination_port, self.source, self.source_port)

    def __str__(self) -> str:
        source = join_address(self.source, self.source_port)
        return f"{source} -> {join_address(self.destination, self.destination_port)}"


def join_address(ip: str, port: int) -> str:
    """Return ``10.244.0.10:80`` or ``[fd00::1]:80``."""
    return f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"


@dataclass(frozen=True)
class ConntrackEntry:
    """One tracked TCP flow of a node: the packet as it came, and what an answer will look like.

    ``reply`` is the inverse of the *translated* packet; where it is the inverse of ``original``,
    nothing is translated.
    """

    node: str
    state: str
    timeout_s: int
    original: Flow
    reply: Flow

    def line(self) -> str:
        """Return the entry as ``conntrack -L`` prints it, on one line."""
        return (
            f"tcp {TCP} {self.timeout_s} {self.state} {_half(self.original)} {_half(self.reply)} "
            "[ASSURED] mark=0 use=1"
        )


def _half(flow: Flow) -> str:
    return (
        f"src={flow.source} dst={flow.destination} "
        f"sport={flow.source_port} dport={flow.destination_port}"
    )


@dataclass(frozen=True)
class Rule:
    """One rule as ``iptables-save`` prints it, and what it did with this packet."""

    text: str
    verdict: Verdict


@dataclass(frozen=True)
class Draw:
    """One random number that a rule compared with its probability."""

    value: float  # in [0, 1)
    below: float  # the rule matches when value < below
    matched: bool


@dataclass(frozen=True)
class Decision:
    """One choice among several targets."""

    by: str  # the rule of the choice in words
    chosen: str
    candidates: int
    probability: float | None = None  # of what was chosen, by the rules alone
    hash: int | None = None  # uint32
    draws: tuple[Draw, ...] = ()
    uniform: float | None = None  # the first number in [0, 1) that a balancer drew
    given: str | None = None  # where the choice came from when nothing was computed or drawn


@dataclass(frozen=True)
class Hop:
    """One step of the packet.

    ``latency_s`` is the one-way time from the hop before, ``time_s`` the time since the client's
    first packet. ``before`` is None where there was no packet yet.
    """

    number: int
    kind: str
    direction: Direction
    location: str
    component: str
    chain: str | None
    what: str
    rules: tuple[Rule, ...]
    decision: Decision | None
    before: Flow | None
    after: Flow
    mark: int
    conntrack: tuple[ConntrackEntry, ...]
    latency_s: float
    time_s: float
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Walk:
    """The way of one packet and of its answer."""

    name: str
    path: str
    client: str
    vip: str
    node: str
    pod: str | None  # None: the packet was dropped before it had one
    seed: int
    outcome: Outcome
    hops: tuple[Hop, ...]
    access_log: str | None

    @property
    def conntrack(self) -> tuple[ConntrackEntry, ...]:
        """Every entry that the walk created, in order."""
        return tuple(entry for hop in self.hops for entry in hop.conntrack)

    @property
    def time_s(self) -> float:
        """Seconds from the client's first packet to the last hop."""
        return self.hops[-1].time_s
