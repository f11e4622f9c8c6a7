"""What passes through the reference engine's chain: requests, attempts, connections."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.world import Facts
from lbbench.model.trace import Trace
from lbbench.traffic.closed import UserRows


@dataclass(eq=False, kw_only=True)
class Connection:
    """A client's TCP connection with what layer 4 picked for it."""

    lane: int
    where: int  # index of the source address
    port: int
    opened: float  # when the first SYN was sent, seconds
    touched: float  # the last packet that the load balancer or the client has seen
    node: int = -1
    target: int = -1  # replica, or pod on the service path
    by_balancer: bool = False  # the load balancer picked the node, not the trace
    node_boot: int = 0  # how often the nodes had started then
    target_boot: int = 0
    rtt: float = 0.0  # seconds
    ready: float | None = None  # when the handshake is done; None: the SYN did not get through
    worker: int = -1
    syns: int = 0
    users: int = 0  # requests that are not finished
    busy: int = 0  # requests on the wire
    carried: int = 0
    ended: bool = False  # its last request has come
    dead: bool = False  # no further request is sent on it
    cut: bool = False  # the load balancer has forgotten the flow
    last: int = -1  # number of the request that was finished last
    idle_since: float | None = None
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
    life: float
    gap: float = -1.0
    given_node: int = -1
    number: int = -1
    segment: int = 0
    window: int = 0
    process: Any = None
    follow: Request | None = None  # the next one of its connection, which comes after its gap
    connection: Connection | None = None
    attempt: Attempt | None = None  # the one that its worker waits for
    in_flight: bool = False  # sent, and the answer is not on its way back
    breaks: bool = False  # its connection breaks with its end
    sent: float = 0.0
    written: float = 0.0
    at_worker: float = 0.0
    at_desk: bool = False  # in the queue of its worker
    left: float = 0.0
    leave: float = 0.0
    connected: float = 0.0
    at_pod: float = 0.0
    start: float = 0.0
    end: float = 0.0
    pod: int = -1
    attempts: int = 0
    error: int = -1
    cookie: int = -1
    new_cookie: int = -1
    backend: int = -1
    version: int = 0
    tried: list[int] = field(default_factory=list)
    first_pod: int = -1
    first_rtt: float = 0.0

    @classmethod
    def of(cls, block: Trace, row: int, number: int) -> Request:
        """Return the request in ``row`` of ``block``."""
        return cls(
            number=number,
            arrival=float(block.arrival[row]),
            work=float(block.work[row]),
            client=int(block.client[row]),
            lane=int(block.lane[row]),
            key=int(block.key[row]),
            session=int(block.session[row]),
            last=bool(block.last[row]),
            given_node=int(block.node[row]),
            gap=float(block.gap[row]),
            life=float(block.life[row]),
        )

    @classmethod
    def of_user(cls, facts: Facts, user: int, rows: UserRows, row: int, number: int) -> Request:
        """Return the request in ``row`` of a user's rows."""
        return cls(
            number=number,
            arrival=0.0,
            work=float(rows.work[row]),
            client=int(facts.user_client[user]),
            lane=user,
            key=int(rows.key[row]),
            session=int(facts.user_session[user]),
            last=bool(rows.last[row]),
            life=float(rows.life[row]),
        )

    def parts(self, *, ingress: bool) -> tuple[float, ...]:
        """Return the parts of the latency in the order of STAGES, without the network's."""
        opening = self.written - self.sent
        at_worker = retries = 0.0
        if ingress:
            opening += self.connected - self.leave
            at_worker = self.left - self.at_worker
            retries = self.leave - self.left
        waited = self.sent - self.arrival
        queued, served = self.start - self.at_pod, self.end - self.start
        return waited, opening, at_worker, queued, served, retries

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


class Attempt:
    """One attempt at a pod; it may outlive the interest of its request (a ghost)."""

    def __init__(self, calendar: Calendar, request: Request, pod: int, origin: int) -> None:
        self.calendar = calendar
        self.request = request
        self.pod = pod
        self.origin = origin  # node that it comes from
        self.number = request.number
        self.attempt = request.attempts
        self.over = calendar.event()  # its worker, or its client, hears of its end
        self.is_over = False
        self.is_ghost = False
        self.somewhere = False  # on the way to the pod, at the pod, or on the way back
        self.picked = 0.0
        self.connected = 0.0
        self.served = 0  # requests that the upstream connection has carried, 0: never connected
        self.error = -1
        self.again = False  # next_upstream retries this error
        self.at_pod = request.at_pod
        self.start = request.start
        self.end = request.end
        self.todo = 0.0  # work that is left at `since`
        self.since = 0.0
        self.leaves_at = 0.0  # processor sharing: virtual time of leaving

    def tell_times(self) -> None:
        """Let the request know what it went through at the pod."""
        request = self.request
        request.at_pod, request.start, request.end = self.at_pod, self.start, self.end

    def finish(self, what: str) -> None:
        """Let whoever waits go on, now: with an "answer", a "timeout" or in "silence"."""
        if not self.is_over:
            self.is_over = True
            self.calendar.at_once(self.over, what)


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
            return None  # then every older one is expired too
        return None

    def put(self, pod: int, served: int, now: float) -> None:
        """Keep a connection that has carried ``served`` requests; the oldest one makes room."""
        if self.facts.keepalive == 0 or served >= self.facts.keepalive_requests:
            return
        if len(self.cached) == self.facts.keepalive:
            del self.cached[0]
        self.cached.append((pod, served, now))

    def drop(self, pod: int) -> None:
        """Close the connections to one pod."""
        self.cached = [entry for entry in self.cached if entry[0] != pod]
