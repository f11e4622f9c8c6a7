"""What the reference engine's chain is made of: requests, connections, idle connections, pods."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import simpy

from lbbench.engines.events import FINISH
from lbbench.engines.recording import bring_up
from lbbench.engines.sharing import leaving_time, virtual_now
from lbbench.engines.world import Facts
from lbbench.model.trace import Trace

if TYPE_CHECKING:
    from lbbench.engines.reference import Chain


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
    waiting: deque[tuple[Request, simpy.Event]] = field(default_factory=deque)


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


class Pod:
    """What all pods share: room, and the integrals of what is there."""

    def __init__(self, chain: Chain, index: int) -> None:
        facts = chain.facts
        self.chain = chain
        self.index = index
        self.speed = float(facts.pod[index].speed)
        self.places = int(facts.pod[index].places)
        self.room = int(facts.pod[index].room)

    def present(self) -> int:
        """Return the number of requests at the pod."""
        return int(self.chain.in_system[self.index])

    def bring_up(self) -> None:
        """Bring the pod's integrals up to now."""
        chain = self.chain
        bring_up(chain.queue, chain.in_system, self.places, self.index, chain.env.now)

    def enter(self) -> None:
        """Count one request in."""
        self.chain.in_system[self.index] += 1
        row = self.chain.queue[self.index]
        row.highest = max(row.highest, self.present())

    def exit(self) -> None:
        """Count one request out."""
        self.chain.in_system[self.index] -= 1


class FifoPod(Pod):
    """First in, first out, with ``places`` servers."""

    def __init__(self, chain: Chain, index: int) -> None:
        super().__init__(chain, index)
        self.queue: deque[Request] = deque()
        self.serving = 0

    def join(self, request: Request) -> simpy.Event | None:
        """Return the event of the request's end, or None when the queue is full."""
        if self.present() >= self.room:
            return None
        self.bring_up()
        self.enter()
        finished: simpy.Event = self.chain.env.event()
        request.finished = finished
        if self.serving < self.places:
            self.serving += 1
            self._begin(request)
        else:
            self.queue.append(request)
        return finished

    def leave(self, _request: Request) -> None:
        """Free the place of a finished request for the next in the queue."""
        self.bring_up()
        self.exit()
        if self.queue:
            self._begin(self.queue.popleft())
        else:
            self.serving -= 1

    def _begin(self, request: Request) -> None:
        request.start = self.chain.env.now
        request.end = request.start + request.work / self.speed
        self.chain.schedule(request.finished, request.end, FINISH, request)


class SharingPod(Pod):
    """Processor sharing by virtual time (sharing.py)."""

    def __init__(self, chain: Chain, index: int) -> None:
        super().__init__(chain, index)
        self.jobs: list[Request] = []
        self.virtual = 0.0
        self.virtual_at = 0.0
        self.version = 0

    def join(self, request: Request) -> simpy.Event | None:
        """Return the event of the request's end, or None when the pod is full."""
        if self.present() >= self.room:
            return None
        self.bring_up()
        self._bring_virtual()
        self.enter()
        finished: simpy.Event = self.chain.env.event()
        request.finished = finished
        request.start = self.chain.env.now
        request.leaves_at = self.virtual + request.work
        self.jobs.append(request)
        self._schedule_next()
        return finished

    def leave(self, request: Request) -> None:
        """Take a finished request out; the others go faster from now on."""
        self.bring_up()
        self._bring_virtual()
        self.exit()
        self.jobs.remove(request)
        request.end = self.chain.env.now
        if self.jobs:
            self._schedule_next()
        else:
            self.version += 1
            self.virtual = 0.0

    def _bring_virtual(self) -> None:
        now = self.chain.env.now
        dt = now - self.virtual_at
        self.virtual = virtual_now(self.virtual, dt, self.speed, self.places, self.present())
        self.virtual_at = now

    def _schedule_next(self) -> None:
        """Announce the next end; an earlier announcement is void."""
        self.version += 1
        version = self.version
        request = min(self.jobs, key=lambda job: (job.leaves_at, job.number))
        now = self.chain.env.now
        time = leaving_time(
            now, self.virtual, request.leaves_at, self.speed, self.places, self.present()
        )
        announced = self.chain.at(time, FINISH, request)

        def end_now(_event: simpy.Event) -> None:
            if version == self.version:
                self.chain.schedule_raw(request.finished, time, 0)

        announced.callbacks.append(end_now)
