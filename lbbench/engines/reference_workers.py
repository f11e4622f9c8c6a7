"""The ingress workers in the reference engine: picks, upstream connections, timeouts, retries."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import numpy as np

from lbbench.balancers.fault import position
from lbbench.core.rng import lua_random
from lbbench.engines.events import ANSWER, REACH_POD, TAKE, TIMER
from lbbench.engines.flow import UPSTREAM, WORKER
from lbbench.engines.hashkey import hash_key
from lbbench.engines.parts import no_cookie, no_feedback, set_cookie
from lbbench.engines.plan import Plan
from lbbench.engines.recording import count_dead
from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.reference_cluster import Cluster
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Attempt, Connection, IdleConnections, Request
from lbbench.engines.reference_visits import Visits
from lbbench.engines.script import REFUSE, SILENT
from lbbench.engines.timing import clock, observed_rtt
from lbbench.engines.work import FREE
from lbbench.model.tally import (
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECTS,
    DROPPED_SAMPLES,
    ERROR_5XX,
    NO_ENDPOINT,
    READ_TIMEOUT,
)


class Workers:
    """All workers of all replicas."""

    def __init__(
        self, plan: Plan, calendar: Calendar, cluster: Cluster, ledger: Ledger, visits: Visits
    ) -> None:
        self.plan = plan
        self.facts = f = plan.facts
        self.calendar = calendar
        self.cluster = cluster
        self.ledger = ledger
        self.counters = ledger.counters
        self.visits = visits
        self.done = plan.pod.done or no_feedback
        self.cookie_of = set_cookie if plan.pod.cookies else no_cookie
        rows = int(f.worker["busy"].max(initial=0)) + 1
        self.pod_busy = cluster.pod_busy = np.zeros((rows, len(f.pod)), np.int64)
        self.locks: dict[tuple[int, int], tuple[float, int]] = {}  # (row, pod): (end, worker)
        self.free_at = [0.0] * len(f.worker)
        self.idle = [IdleConnections(f) for _ in f.worker]

    def restart(self, worker: int) -> None:
        """Let a worker start anew."""
        self.free_at[worker] = 0.0
        self.idle[worker] = IdleConnections(self.facts)

    def is_gone(self, conn: Connection) -> bool:
        """Tell whether the worker that has the connection has died, perhaps to start anew."""
        node = int(self.facts.target_node[conn.target])
        return not self.cluster.is_up[node] or self.cluster.boots[node] != conn.target_boot

    def serve(self, request: Request) -> Generator[Event, Any, float]:
        """Queue at the worker, pick, try, retry. Return when the answer leaves."""
        f, calendar, conn = self.facts, self.calendar, request.connection
        assert conn is not None
        request.at_worker = calendar.now
        taken = max(calendar.now, self.free_at[conn.worker])
        self.free_at[conn.worker] = taken + f.worker_cpu
        request.at_desk = True
        self.ledger.enters(WORKER, calendar.now)
        yield calendar.at(taken, TAKE, request.number)
        self.leave_desk(request)
        if self.is_gone(conn):
            return calendar.now
        request.left = calendar.now + f.worker_cpu
        leave = request.left
        while True:
            attempt = self._attempt(request, conn, leave)
            if attempt is None:
                return leave
            what = yield attempt.over
            self.ledger.leaves(UPSTREAM, attempt.picked, calendar.now)
            self._over(request, attempt, conn.worker, timed_out=what == "timeout")
            if self.is_gone(conn):
                self._count(conn.worker, attempt.pod, -1)
                return calendar.now
            if not self._end_attempt(request, attempt, conn.worker):
                return calendar.now
            leave = calendar.now

    def leave_desk(self, request: Request) -> None:
        """Take a request out of its worker's queue."""
        if request.at_desk:
            request.at_desk = False
            self.ledger.leaves(WORKER, request.at_worker, self.calendar.now)

    def abandon(self, request: Request, attempt: Attempt) -> None:
        """Let the present attempt go on without its request."""
        assert request.connection is not None
        self.ledger.leaves(UPSTREAM, attempt.picked, self.calendar.now)
        self._count(request.connection.worker, attempt.pod, -1)

    def _count(self, worker: int, pod: int, change: int) -> None:
        """Count an attempt of a worker at a pod in or out, and tell whose balancer sees it."""
        desk = self.facts.worker[worker]
        self.pod_busy[desk.busy, pod] += change
        if not self.facts.sees_pods:
            views = range(desk.first, desk.first + desk.views)
            self.cluster.tell_views(views, pod, self.pod_busy[desk.busy, pod])

    # --- one attempt ------------------------------------------------------------------------------

    def _attempt(self, request: Request, conn: Connection, leave: float) -> Attempt | None:
        """Pick a pod and send; None: there is no endpoint."""
        f, calendar, cluster, now = self.facts, self.calendar, self.cluster, self.calendar.now
        desk = f.worker[conn.worker]
        place = self._pick(request, conn)
        request.leave = leave
        if place < 0:
            request.error = NO_ENDPOINT
            return None
        view = cluster.views[desk.own + request.backend]
        pod = int(view.listed[place])
        request.error = -1
        request.pod = pod
        self._count(conn.worker, pod, 1)
        self.ledger.enters(UPSTREAM, now)
        crosses = cluster.pods[pod].node != desk.node
        self.ledger.attempted(request, crosses=crosses)
        attempt = Attempt(calendar, request, pod, int(desk.node))
        request.attempt = attempt
        rtt = f.hop_rtt[desk.node, cluster.pods[pod].node]
        carried = self.idle[conn.worker].take(pod, now)
        door = cluster.pods[pod].door
        silent = door == SILENT or not cluster.passes(int(desk.node), cluster.pods[pod].node)
        if silent or door == REFUSE:
            count_dead(self.counters, pod, now)
        attempt.picked, attempt.connected = now, leave
        attempt.served = (carried or 0) + int(carried is not None)
        number, k = request.number, request.attempts
        request.connected = leave
        if carried is None:
            self.counters.totals[CONNECTS] += 1
            if silent:
                attempt.error, attempt.again = CONNECT_TIMEOUT, bool(f.retry_on_timeout)
                due = leave + f.connect_timeout
                calendar.call(due, TIMER, number, k, lambda: attempt.finish("timeout"))
                return attempt
            attempt.connected = request.connected = leave + rtt
            if door == REFUSE:
                attempt.error, attempt.again = CONNECT_REFUSED, bool(f.retry_on_error)
                attempt.somewhere = True
                calendar.call(
                    attempt.connected, ANSWER, number, k, lambda: self.visits.came_back(attempt)
                )
                return attempt
            attempt.served = 1
        attempt.somewhere = True
        deadline = attempt.connected + f.read_timeout
        calendar.call(deadline, TIMER, number, k, lambda: attempt.finish("timeout"))
        reach = attempt.connected + 0.5 * rtt
        calendar.call(reach, REACH_POD, number, k, lambda: self.visits.reach_pod(attempt))
        return attempt

    def _pick(self, request: Request, conn: Connection) -> int:
        """Ask the worker's balancer for a position; -1 when it has none."""
        f, cluster = self.facts, self.cluster
        desk = f.worker[conn.worker]
        rng = cluster.pod_rng[desk.rng]
        if request.backend < 0:
            request.backend = 0
            if f.backends > 1:
                drawn = lua_random(rng, 1, f.canary_total)
                request.backend = int(drawn <= f.canary_weight)
        if f.cookies:
            key = request.cookie
        else:
            here = int(f.target_node[conn.target] == conn.node)
            key = hash_key(f, request.client, conn.node, here, request.key)
        number = int(desk.own + request.backend)
        view, state = cluster.views[number], cluster.pod_state(number, desk.common)
        by_id = self.ledger.in_system if f.sees_pods else self.pod_busy[desk.busy]
        if f.sees_work:
            by_id = np.array([pod.to_do(until_free=f.sees_work == FREE) for pod in cluster.pods])
        now = clock(self.calendar.now, f.ms_clock)
        tried = view.positions(request.tried)
        picked = self.plan.pod.pick(state, rng, now, key, view.busy(by_id), tried)
        place = position(picked, len(view.listed), self.plan.pod)
        cookie = self.cookie_of(state)
        if cookie >= 0:
            request.new_cookie = cookie
        request.version = view.version
        return place

    def _over(self, request: Request, attempt: Attempt, worker: int, *, timed_out: bool) -> None:
        """Take the end of an attempt: an answered connection is kept; a late one is a ghost."""
        f = self.facts
        if timed_out:
            if attempt.served > 0:
                attempt.error, attempt.again = READ_TIMEOUT, bool(f.retry_on_timeout)
            self.visits.leave_ghost(attempt)
        elif attempt.error in (-1, ERROR_5XX):
            self.idle[worker].put(attempt.pod, attempt.served, self.calendar.now)
        request.error = attempt.error
        attempt.tell_times()

    def _end_attempt(self, request: Request, attempt: Attempt, worker: int) -> bool:
        """Log an attempt; True: the request is tried again."""
        f, c, now = self.facts, self.counters, self.calendar.now
        desk = f.worker[worker]
        pod, failed = attempt.pod, attempt.error >= 0
        self._count(worker, pod, -1)
        if failed:
            c.pod[request.segment, pod].errors += 1
        kept = int(attempt.served != 1)
        rtt = observed_rtt(attempt.picked, attempt.connected, kept, now, f.ms_clock)
        if request.attempts == 1:
            request.first_pod, request.first_rtt = pod, rtt
        if failed and attempt.again and request.attempts < f.tries:
            request.tried.append(pod)
            return True
        if f.first_counts:
            pod, rtt = request.first_pod, request.first_rtt
        if f.lock_hold > 0.0:
            until, owner = self.locks.get((int(desk.busy), pod), (-1.0, worker))
            if now < until and owner != worker:
                c.totals[DROPPED_SAMPLES] += 1
                return False
            self.locks[int(desk.busy), pod] = (now + f.lock_hold, worker)
        state = self.cluster.pod_state(desk.own + request.backend, desk.common)
        answered = not failed or (f.any_answer == 1 and request.error == ERROR_5XX)
        self.done(state, pod, clock(now, f.ms_clock), rtt, answered)
        return False
