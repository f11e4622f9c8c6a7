"""What passes through the reference engine's chain: requests, connections, idle connections."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from lbbench.engines.reference_calendar import Event
from lbbench.engines.world import Facts
from lbbench.model.trace import Trace


@dataclass(eq=False, kw_only=True)
class Connection:
    """A client's TCP connection with what layer 4 picked for it."""

    node: int
    target: int  # replica, or pod on the service path
    door: int  # position of the node in the load balancer's list, -1: given by the trace
    seat: int  # position of the target in the node's list
    port: int
    rtt: float  # seconds
    ready: float = 0.0  # when the handshake is done
    worker: int = -1
    users: int = 0  # requests that are not finished
    busy: int = 0  # requests on the wire
    closing: bool = False
    waiting: deque[tuple[Request, Event]] = field(default_factory=deque)


@dataclass(eq=False, kw_only=True)
class Request:
    """One request and the times of its life, in seconds."""

    arrival: float
    work: float
    client: int
    lane: int
    key: int
    session: int
    last: bool
    given_node: int
    number: int = -1
    segment: int = 0
    window: int = 0
    connection: Any = None
    sent: float = 0.0
    written: float = 0.0
    at_worker: float = 0.0
    left: float = 0.0
    picked: float = 0.0
    leave: float = 0.0
    connected: float = 0.0
    at_pod: float = 0.0
    start: float = 0.0
    end: float = 0.0
    pod: int = -1
    attempts: int = 0
    tries_begun: int = 0
    error: int = -1
    cookie: int = -1
    new_cookie: int = -1
    tried: list[int] = field(default_factory=list)
    leaves_at: float = 0.0  # processor sharing: virtual time of leaving
    finished: Any = None

    @classmethod
    def of(cls, block: Trace, row: int) -> Request:
        """Return the request in ``row`` of ``block``."""
        return cls(
            arrival=float(block.arrival[row]),
            work=float(block.work[row]),
            client=int(block.client[row]),
            lane=int(block.lane[row]),
            key=int(block.key[row]),
            session=int(block.session[row]),
            last=bool(block.last[row]),
            given_node=int(block.node[row]),
        )

    def parts(self, *, ingress: bool) -> tuple[float, ...]:
        """Return the parts of the latency in the order of STAGES; the network's is left 0."""
        opening = self.written - self.sent
        at_worker = retries = 0.0
        if ingress:
            opening += self.connected - self.leave
            at_worker = self.left - self.at_worker
            retries = self.leave - self.left
        waited = self.sent - self.arrival
        queued, served = self.start - self.at_pod, self.end - self.start
        return waited, opening, 0.0, at_worker, queued, served, retries

    def row(self, error: int, *, ingress: bool) -> dict[str, float]:
        """Return the request's row of the records."""
        conn = self.connection
        return {
            "arrival": self.arrival,
            "client": self.client,
            "port": conn.port if conn else -1,
            "key": self.key,
            "session": self.session,
            "node": conn.node if conn else -1,
            "replica": conn.target if conn and ingress else -1,
            "worker": conn.worker if conn and ingress else -1,
            "pod": self.pod,
            "attempts": self.attempts,
            "start": self.start,
            "end": self.end,
            "error": error,
        }


class IdleConnections:
    """One worker's upstream keep-alive cache: least recently used out, same peer only."""

    def __init__(self, facts: Facts) -> None:
        self.facts = facts
        self.cached: list[tuple[int, int, float]] = []  # (pod, served, idle since), oldest first

    def take(self, pod: int, now: float) -> int | None:
        """Take the most recent usable connection to ``pod``; return its requests so far."""
        for place in range(len(self.cached) - 1, -1, -1):
            peer, served, since = self.cached[place]
            if peer != pod:
                continue
            del self.cached[place]
            if now <= since + self.facts.keepalive_timeout:
                return served
        return None

    def put(self, pod: int, served: int, now: float) -> None:
        """Keep a connection that has carried ``served`` requests; the oldest one makes room."""
        if self.facts.keepalive == 0 or served >= self.facts.keepalive_requests:
            return
        if len(self.cached) == self.facts.keepalive:
            del self.cached[0]
        self.cached.append((pod, served, now))
