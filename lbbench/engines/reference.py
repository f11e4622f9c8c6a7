"""The reference engine: the model as SimPy processes, written to be read.

Each request is one process that lives through the chain, from the client's send to the answer. The
engine shares with the fast one the plan, the balancers, the random streams, the order of events and
the counting, and no loop: the two must agree on every request, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np
import simpy

from lbbench.balancers.fault import blaming
from lbbench.core.rng import wrapping
from lbbench.engines.clients import BROKEN, LOST, REACHED
from lbbench.engines.counters import tally_of
from lbbench.engines.events import (
    CLIENT,
    FLOW_TIMER,
    GIVE_UP_TIMER,
    REACH_POD,
    REACH_WORKER,
    SEND,
    TIMER,
)
from lbbench.engines.feed import Progress
from lbbench.engines.outcome import Outcome, finish
from lbbench.engines.plan import Plan
from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.reference_cluster import Cluster
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_lines import Lines
from lbbench.engines.reference_parts import Attempt, Request
from lbbench.engines.reference_visits import Visits
from lbbench.engines.reference_workers import Workers
from lbbench.engines.script import RESET as WITH_RESET
from lbbench.engines.timing import TO_BALANCER, TO_CLIENT, jitter
from lbbench.model.tally import CLIENT_TIMEOUT, IDLE_RESET, RESET
from lbbench.traffic.closed import CHUNK

Life = Generator[Event, Any, None]


def run(plan: Plan, *, progress: Progress | None = None, record: bool = False) -> Outcome:
    """Run ``plan`` to its end and return what was counted, as `fast.run` does.

    Raises
    ------
    BalancerError
        When somebody's own balancer raises an error or picks out of range: file, line, function.
    """
    with wrapping(), blaming(plan.azure, plan.pod):
        chain = Chain(plan, record=record)
        chain.run(progress)
    return finish(
        plan,
        tally_of(chain.ledger.counters, chain.ledger.queue["highest"].copy()),
        chain.ledger.records if record else None,
        simulated=chain.ledger.last_event,
        rows=chain.came,
        compile_s=0.0,
    )


class Silence(Exception):  # noqa: N818  (no error: what the client hears)
    """No answer will come; the client waits since ``since``."""

    def __init__(self, since: float) -> None:
        super().__init__(since)
        self.since = since


class Chain:
    """The whole chain at work: nodes, connections, workers, pods and the requests among them."""

    def __init__(self, plan: Plan, *, record: bool) -> None:
        self.plan = plan
        self.facts = f = plan.facts
        self.calendar = Calendar()
        self.ledger = Ledger(plan, record=record)
        self.visits = Visits(plan, self.calendar, self.ledger)
        self.cluster = Cluster(plan, self.calendar, self.ledger, self.visits.served)
        self.visits.cluster = self.cluster
        self.ledger.pods = self.cluster.pods
        self.lines = Lines(plan, self.calendar, self.cluster, self.ledger)
        self.workers = Workers(plan, self.calendar, self.cluster, self.ledger, self.visits)
        self.cluster.on_lost = self._lost
        self.cluster.on_closed = self._closed
        self.cluster.on_restart = self.workers.restart
        self.jars: dict[int, tuple[int, int, float]] = {}  # (cookie, backend, end of its life)
        self.rows = self._requests()
        self.came = 0
        self.exhausted = f.users > 0
        self.used = [0] * f.users  # rows that each user has used
        self.chunks: dict[int, Any] = {}

    def run(self, progress: Progress | None) -> None:
        """Let everything happen, until nothing is left or the drain time is over."""
        env, ledger = self.calendar.env, self.ledger
        self.cluster.schedule()
        if self.facts.users:
            ledger.to_come = self.facts.n_requests
            for user in range(self.facts.users):
                self._next_of_user(user)
        else:
            self._start_next()
        while not (self.exhausted and ledger.is_over(env.peek())):
            env.step()
            if progress is not None and self.came % 4096 == 0:
                progress("simulating", self.came, self.plan.traffic.n_requests)
        ledger.give_up()

    def _requests(self) -> Iterator[Request]:
        """Yield the requests that come by themselves, each with those that follow it."""
        number = 0
        for block in self.plan.traffic.blocks():
            heads: list[Request] = []
            before: Request | None = None
            for row in range(len(block.arrival)):
                request = Request.of(block, row, number)
                number += 1
                if self.facts.chained and before is not None and request.gap >= 0.0:
                    before.follow = request
                    request.lane = before.lane
                else:
                    heads.append(request)
                    if self.facts.chained:  # connections bring their own lanes
                        request.lane = number
                before = request
            yield from heads

    def _start_next(self) -> None:
        request = next(self.rows, None)
        if request is None:
            self.exhausted = True
            return
        follow: Request | None = request
        while follow is not None:
            self.came += 1
            self.ledger.to_come += 1
            follow = follow.follow
        self._begin(request, request.arrival)

    def _begin(self, request: Request, comes: float) -> None:
        request.arrival = comes
        self.ledger.thinking += 1
        request.process = self.calendar.env.process(self.life(request))

    def _next_of_user(self, user: int) -> None:
        """Let a user think and then send the next request, unless the run has enough."""
        f, users = self.facts, self.plan.traffic.users
        if users is None or (f.n_requests and self.came >= f.n_requests):
            return
        chunk, row = divmod(self.used[user], CHUNK)
        if row == 0:
            self.chunks[user] = users.rows(user, chunk)
        rows = self.chunks[user]
        comes = self.calendar.now + float(rows.think[row])
        if f.duration > 0.0 and comes >= f.duration:
            return
        request = Request.of_user(f, user, rows, row, self.came)
        self.came += 1
        self.used[user] += 1
        if not f.n_requests:
            self.ledger.to_come += 1
        self._begin(request, comes)

    def _lost(self, attempts: list[Attempt], pod: int, how: int) -> None:
        self.visits.lost(attempts, how)
        if how == WITH_RESET and not self.facts.ingress:
            self.lines.part_with_all(pod)

    def _closed(self, pod: int) -> None:
        if self.facts.ingress:
            for idle in self.workers.idle:
                idle.drop(pod)
        else:
            self.lines.part_with_all(pod)

    # --- one request ----------------------------------------------------------------------------

    def life(self, request: Request) -> Life:
        """Live through the chain: the client sends, the stages pick, a pod serves, the answer."""
        calendar, ledger, lines = self.calendar, self.ledger, self.lines
        yield calendar.at(request.arrival, SEND, request.number)
        ledger.arrived(request, calendar.now)
        self._renew_session(request)
        if not self.facts.users and request.gap < 0.0:
            self._start_next()
        was_sent = yield from lines.take(request)
        if was_sent:
            try:
                yield from self._in_flight(request)
            except simpy.Interrupt:  # the load balancer has reset the connection
                self._abandon(request)
                request.error, request.breaks = IDLE_RESET, True
            request.in_flight = False
        ledger.finished(request, calendar.now)
        ledger.remember(request, self._keep_cookie(request))
        lines.release(request, was_sent=was_sent)
        if self.facts.users:
            self._next_of_user(request.lane)
        elif self.facts.chained:
            self._follow_up(request)

    def _renew_session(self, request: Request) -> None:
        """Let a session whose life is over begin anew."""
        if request.session < 0:
            return
        now = self.calendar.now
        _, _, ends = self.jars.get(request.session, (-1, 0, -np.inf))
        if now >= ends:
            self.jars[request.session] = (-1, 0, now + request.life)
            self.ledger.forget_session(request.session)

    def _keep_cookie(self, request: Request) -> int:
        """Store the cookie that an answer brings; return the one that the session has now."""
        if request.session < 0:
            return -1
        cookie, backend, ends = self.jars[request.session]
        if self.facts.cookies and request.new_cookie >= 0:
            cookie, backend = request.new_cookie, request.backend
            self.jars[request.session] = (cookie, backend, ends)
        return cookie

    def _follow_up(self, request: Request) -> None:
        """Let the next request of the connection come after its gap, unless the run is over."""
        f, coming = self.facts, request.follow
        if coming is not None:
            comes = self.calendar.now + coming.gap
            if f.duration <= 0.0 or comes < f.duration:
                self._begin(coming, comes)
                return
        while coming is not None:
            self.ledger.to_come -= 1
            coming = coming.follow
        conn = self.lines.open.get(request.lane)
        if conn is not None:
            self.lines.part_with(conn)
            self.lines.settle(conn)

    def _in_flight(self, request: Request) -> Life:
        """Send, wait for the answer, or for nothing."""
        f, calendar, conn = self.facts, self.calendar, request.connection
        assert conn is not None
        try:
            arrives = self._transmit(request)
            if f.ingress:
                leaves = yield from self._through_ingress(request, arrives)
            else:
                leaves = yield from self._to_pod(request, arrives)
            fate = self._way_back(request, leaves)
        except Silence as silence:
            due = silence.since + f.client_timeout
            yield calendar.at(due, TIMER, request.number, GIVE_UP_TIMER)
            request.error, request.breaks = CLIENT_TIMEOUT, True
            return
        if fate == BROKEN:
            request.error, request.breaks = RESET, True
        request.in_flight = False
        wait = jitter(f.jitter_salt[0], request.number, TO_CLIENT, 0.5 * f.path_jitter)
        back = (leaves + 0.5 * conn.rtt) + wait
        yield calendar.at(back, CLIENT, request.number, request.attempts)

    def _way_back(self, request: Request, leaves: float) -> int:
        """Return whether the answer passes; without a way there is silence."""
        assert request.connection is not None
        fate = self.visits.way(request.connection)
        if fate == LOST:
            raise Silence(leaves)
        return fate

    def _transmit(self, request: Request) -> float:
        """Let the client send; return when the request arrives."""
        f, calendar, conn = self.facts, self.calendar, request.connection
        assert conn is not None
        assert conn.ready is not None
        c, segment, now = self.ledger.counters, request.segment, calendar.now
        if conn.carried > 0 or request.sent == 0.0:
            request.sent = now
        conn.carried += 1
        request.written = max(now, conn.ready)
        conn.touched = max(conn.touched, request.written)
        c.node[segment, conn.node].requests += 1
        if f.ingress:
            c.replica[segment, conn.target].requests += 1
            c.worker[segment, conn.worker].requests += 1
        request.in_flight = True
        if conn.carried == 1:
            self.lines.pump(conn)  # who has waited for it to open
        if conn.cut or conn.opened < self.cluster.cut_at:
            raise Silence(request.written)
        if f.flow_reset:
            self._watch_flow(request, request.written + f.flow_idle)
        delay = f.path_delay + jitter(f.jitter_salt[0], request.number, TO_BALANCER, f.path_jitter)
        return (request.written + 0.5 * conn.rtt) + delay

    def _to_pod(self, request: Request, arrives: float) -> Generator[Event, Any, float]:
        """Service path: the connection leads to a pod. Return when its answer leaves."""
        calendar, conn = self.calendar, request.connection
        assert conn is not None
        request.pod = conn.target
        request.attempts = 1
        self.ledger.attempted(request, crosses=self.facts.target_node[conn.target] != conn.node)
        attempt = Attempt(calendar, request, conn.target, conn.node)
        request.attempt = attempt
        attempt.somewhere = True
        calendar.call(arrives, REACH_POD, request.number, 1, lambda: self.visits.reach_pod(attempt))
        what = yield attempt.over
        request.error = attempt.error
        attempt.tell_times()
        if what == "silence":
            raise Silence(calendar.now)
        return calendar.now

    def _through_ingress(self, request: Request, arrives: float) -> Generator[Event, Any, float]:
        """Ingress path: to the worker and through it. Return when the answer leaves."""
        f, calendar = self.facts, self.calendar
        if f.cookies and request.session >= 0:
            cookie, backend, _ = self.jars[request.session]
            request.cookie = cookie
            if cookie >= 0:
                request.backend = backend
        yield calendar.at(arrives, REACH_WORKER, request.number)
        assert request.connection is not None
        if self.visits.way(request.connection) != REACHED:
            return calendar.now
        return (yield from self.workers.serve(request))

    def _watch_flow(self, request: Request, due: float) -> None:
        """Let the load balancer reset the connection if it sees no packet for too long."""

        def expire() -> None:
            conn = request.connection
            if not request.in_flight or conn is None:
                return
            quiet = conn.touched + self.facts.flow_idle
            if quiet > self.calendar.now:
                self._watch_flow(request, quiet)
            else:
                request.process.interrupt()

        self.calendar.call(due, TIMER, request.number, FLOW_TIMER, expire)

    def _abandon(self, request: Request) -> None:
        """Let what is left of a request go on without it."""
        attempt = request.attempt
        self.workers.leave_desk(request)
        if attempt is None or attempt.is_over:
            return
        attempt.tell_times()
        if self.facts.ingress:
            self.workers.abandon(request, attempt)
        self.visits.leave_ghost(attempt)
