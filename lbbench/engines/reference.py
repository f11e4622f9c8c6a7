"""The reference engine: the model as SimPy processes, written to be read.

Each request is one process that lives through the chain, from the client's send to the answer. The
engine shares with the fast one the plan, the balancers, the random streams, the order of events and
the counting, and no loop: the two must agree on every request, bit for bit.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import numpy as np

from lbbench.core.rng import wrapping
from lbbench.engines.counters import tally_of
from lbbench.engines.events import (
    ANSWER,
    CLIENT,
    REACH_POD,
    REACH_WORKER,
    SEND,
    TAKE,
)
from lbbench.engines.fast import Progress, copied
from lbbench.engines.hashkey import hash_key
from lbbench.engines.l4 import flow_hash, source_port, worker_of
from lbbench.engines.outcome import Outcome, finish
from lbbench.engines.parts import instance_view, no_cookie, no_feedback, set_cookie
from lbbench.engines.plan import Plan
from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Connection, IdleConnections, Request
from lbbench.engines.reference_pods import FifoPod, SharingPod
from lbbench.engines.timing import TO_BALANCER, TO_CLIENT, clock, jitter, observed_rtt
from lbbench.model.tally import ERRORS

CLASS_STEP = 2**48
NO_TRIES = np.zeros(0, np.int64)
Life = Generator[Event, Any, None]


def run(plan: Plan, *, progress: Progress | None = None, record: bool = False) -> Outcome:
    """Run ``plan`` to its end and return what was counted, as `fast.run` does."""
    with wrapping():
        chain = Chain(plan, record=record)
        chain.run(progress)
    return finish(
        plan,
        tally_of(chain.counters, chain.ledger.queue["highest"].copy()),
        chain.ledger.records if record else None,
        simulated=chain.ledger.last_event,
        rows=chain.came,
        compile_s=0.0,
    )


class Chain:
    """The whole chain at work: nodes, connections, workers, pods and the requests among them."""

    def __init__(self, plan: Plan, *, record: bool) -> None:
        self.plan = plan
        self.facts = f = plan.facts
        self.calendar = Calendar()
        self.ledger = Ledger(plan, record=record)
        self.counters = self.ledger.counters
        self.states = states = copied(plan.states)
        rows = int(f.worker["busy"].max(initial=0)) + 1
        view = instance_view(type(states.pod))
        self.pod_states = [view(states.pod, i) for i in range(len(states.pod[0]))]
        view = instance_view(type(states.node))
        self.node_states = [view(states.node, i) for i in range(len(states.node[0]))]
        self.azure_state = instance_view(type(states.azure))(states.azure, 0)
        self.done = plan.pod.done or no_feedback
        self.cookie_of = set_cookie if plan.pod.cookies else no_cookie
        self.azure_busy = np.zeros(len(f.node), np.int64)
        self.node_busy = np.zeros((len(f.node), plan.targets), np.int64)
        self.pod_busy = np.zeros((rows, len(f.pod)), np.int64)
        self.worker_free = [0.0] * len(f.worker)
        self.idle = [IdleConnections(f) for _ in f.worker]
        kind = SharingPod if f.shared else FifoPod
        self.pods = [kind(f, self.calendar, self.ledger, i) for i in range(len(f.pod))]
        self.lanes: dict[int, Connection] = {}
        self.ports = [0] * len(f.address)
        self.jars: dict[int, int] = {}
        self.source = self._requests()
        self.came = 0
        self.exhausted = False

    def run(self, progress: Progress | None) -> None:
        """Let everything happen, until nothing is left or the drain time is over."""
        env, ledger = self.calendar.env, self.ledger
        self._start_next()
        while not self.calendar.is_empty:
            now = env.peek()
            if self.exhausted:
                ledger.stop(now)
                if now > ledger.stop_time + self.facts.drain:
                    ledger.give_up()
                    return
            env.step()
            if progress is not None and self.came % 4096 == 0:
                progress("simulating", self.came, self.plan.traffic.n_requests)
        ledger.stop(np.inf)

    def _requests(self) -> Iterator[Request]:
        for block in self.plan.traffic.blocks():
            for row in range(len(block.arrival)):
                yield Request.of(block, row)

    def _start_next(self) -> None:
        request = next(self.source, None)
        if request is None:
            self.exhausted = True
            return
        request.number = self.came
        self.came += 1
        self.calendar.env.process(self.life(request))

    # --- one request ----------------------------------------------------------------------------

    def life(self, request: Request) -> Life:
        """Live through the chain: the client sends, the stages pick, a pod serves, the answer."""
        f, calendar = self.facts, self.calendar
        yield calendar.at(request.arrival, SEND, request)
        self.ledger.arrived(request, calendar.now)
        self._start_next()
        conn = self._connection(request)
        if conn is None:
            yield calendar.at(calendar.now + f.client_rtt, CLIENT, request)
            self._finish(request)
            return
        if conn.busy >= f.streams:
            turn = calendar.event()
            conn.waiting.append((request, turn))
            yield turn
        else:
            conn.busy += 1
        request.sent = calendar.now
        request.written = max(calendar.now, conn.ready)
        salt = f.jitter_salt[0]
        delay = f.path_delay + jitter(salt, request.number, TO_BALANCER, f.path_jitter)
        arrives = (request.written + 0.5 * conn.rtt) + delay
        if f.ingress:
            answered = yield from self._through_ingress(request, arrives)
        else:
            answered = yield from self._to_pod(request, arrives)
        wait = jitter(salt, request.number, TO_CLIENT, 0.5 * f.path_jitter)
        yield calendar.at((answered + 0.5 * conn.rtt) + wait, CLIENT, request)
        self._finish(request)

    def _to_pod(self, request: Request, arrives: float) -> Generator[Event, Any, float]:
        """Service path: the connection leads to a pod. Return when its answer leaves."""
        calendar, conn = self.calendar, request.connection
        request.pod = conn.target
        request.attempts = 1
        self.ledger.attempted(request, crosses=self.facts.target_node[conn.target] != conn.node)
        yield calendar.at(arrives, REACH_POD, request)
        yield from self._at_pod(request)
        return calendar.now

    def _through_ingress(self, request: Request, arrives: float) -> Generator[Event, Any, float]:
        """Ingress path: queue at the worker, pick, try, retry. Return when the answer leaves."""
        f, calendar = self.facts, self.calendar
        worker = request.connection.worker
        if f.cookies and request.session >= 0:
            request.cookie = self.jars.get(request.session, -1)
        yield calendar.at(arrives, REACH_WORKER, request)
        request.at_worker = calendar.now
        taken = max(calendar.now, self.worker_free[worker])
        self.worker_free[worker] = taken + f.worker_cpu
        yield calendar.at(taken, TAKE, request)
        request.left = calendar.now + f.worker_cpu
        leave = request.left
        while True:
            pod = self._pick(request, worker)
            request.picked, request.leave = calendar.now, leave
            if pod < 0:
                request.error = ERRORS.index("no_endpoint")
                return leave
            request.error = -1
            request.pod = pod
            self.pod_busy[f.worker[worker].busy, pod] += 1
            self.ledger.attempted(request, crosses=f.pod[pod].node != f.worker[worker].node)
            rtt = f.hop_rtt[f.worker[worker].node, f.pod[pod].node]
            served = self.idle[worker].take(pod, calendar.now)
            if served is None:
                self.counters.totals[2] += 1
                request.connected = leave + rtt
            else:
                request.connected = leave
            yield calendar.at(request.connected + 0.5 * rtt, REACH_POD, request)
            yield from self._at_pod(request)
            yield calendar.at(calendar.now + 0.5 * rtt, ANSWER, request)
            self.pod_busy[f.worker[worker].busy, pod] -= 1
            failed = request.error >= 0
            if not failed:
                self.idle[worker].put(pod, (served or 0) + 1, calendar.now)
            elif f.retry_on_error and request.attempts < f.tries:
                request.tried.append(pod)
                leave = calendar.now
                continue
            kept = int(served is not None)
            told = observed_rtt(request.picked, request.connected, kept, calendar.now, f.ms_clock)
            state = self.pod_states[f.worker[worker].state]
            self.done(state, pod, clock(calendar.now, f.ms_clock), told, not failed)
            return calendar.now

    def _at_pod(self, request: Request) -> Life:
        """Reach the pod; wait, be served and leave, or be refused by a full queue."""
        request.at_pod = self.calendar.now
        pod = self.pods[request.pod]
        finished = pod.join(request)
        if finished is None:
            request.error = ERRORS.index("queue_reject")
            self.counters.pod[request.segment, request.pod].errors += 1
            return
        yield finished
        pod.leave(request)

    # --- picks ----------------------------------------------------------------------------------

    def _connection(self, request: Request) -> Connection | None:
        """Return the connection of the request's lane, opened now if there is none."""
        conn = self.lanes.get(request.lane)
        if conn is None:
            conn = self._open(request)
            if conn is None:
                return None
            self.lanes[request.lane] = conn
        request.connection = conn
        conn.users += 1
        if request.last:
            conn.closing = True
            del self.lanes[request.lane]
        c = self.counters
        c.node[request.segment, conn.node].requests += 1
        if self.facts.ingress:
            c.replica[request.segment, conn.target].requests += 1
            c.worker[request.segment, conn.worker].requests += 1
        return conn

    def _open(self, request: Request) -> Connection | None:
        """Let layer 4 pick node, target and worker for a new connection."""
        f, c, now = self.facts, self.counters, self.calendar.now
        address = f.client_address[request.client]
        port = source_port(f.address[address].salt, self.ports[address])
        self.ports[address] += 1
        node, door = request.given_node, -1
        if node < 0:
            ports = f.port_hash[f.address[address].family]
            door = self.plan.azure.pick(
                self.azure_state,
                self.states.azure_rng[0],
                now,
                flow_hash(f.address[address].hash, ports, port),
                self.azure_busy[: len(f.node_member)],
                NO_TRIES,
            )
            if door < 0:
                request.error = ERRORS.index("lb_drop")
                return None
            node = int(f.node_member[door])
        source = f.address[address].number
        busy = self.node_busy[node, : f.node[node].targets]
        rng = self.states.node_rng[node]
        seat = self.plan.node.pick(self.node_states[node], rng, now, source, busy, NO_TRIES)
        if seat < 0:
            request.error = ERRORS.index("connect_refused")
            return None
        target = int(f.target_member[node, seat])
        rtt = f.client_rtt + f.hop_rtt[node, f.target_node[target]]
        conn = Connection(node=node, target=target, door=door, seat=seat, port=port, rtt=rtt)
        conn.ready = now + rtt
        if door >= 0:
            self.azure_busy[door] += 1
        self.node_busy[node, seat] += 1
        c.totals[4] += 1
        c.node[request.segment, node].connections += 1
        if not f.ingress:
            c.pod[request.segment, target].connections += 1
            return conn
        if not f.local:
            here = f.target_node[target] == node
            source = f.node[node].bridge if here else f.node[node].number
        number = worker_of(f.replica_salt[target], source, port, f.replica_workers)
        conn.worker = target * f.replica_workers + number
        c.replica[request.segment, target].connections += 1
        c.worker[request.segment, conn.worker].connections += 1
        return conn

    def _pick(self, request: Request, worker: int) -> int:
        """Ask the worker's balancer for a pod; -1 when it has none."""
        f, conn = self.facts, request.connection
        if f.cookies:
            key = request.cookie
        else:
            here = int(f.target_node[conn.target] == conn.node)
            key = hash_key(f, request.client, conn.node, here, request.key)
        state = self.pod_states[f.worker[worker].state]
        pod = self.plan.pod.pick(
            state,
            self.states.pod_rng[f.worker[worker].rng],
            clock(self.calendar.now, f.ms_clock),
            key,
            self.ledger.in_system if f.sees_pods else self.pod_busy[f.worker[worker].busy],
            np.array(request.tried, np.int64),
        )
        cookie = self.cookie_of(state)
        if cookie >= 0:
            request.new_cookie = cookie
        return int(pod)

    # --- the end of a request ---------------------------------------------------------------------

    def _finish(self, request: Request) -> None:
        """Let the client have the answer: count it, keep its cookie, free the connection."""
        self.ledger.finished(request, self.calendar.now)
        if self.facts.cookies and request.session >= 0 and request.new_cookie >= 0:
            self.jars[request.session] = request.new_cookie
        if request.connection is not None:
            self._release(request.connection)

    def _release(self, conn: Connection) -> None:
        conn.users -= 1
        if conn.waiting:  # its place on the wire is kept, so that nobody overtakes it
            request, turn = conn.waiting.popleft()
            self.calendar.schedule(turn, self.calendar.now, SEND, request)
        else:
            conn.busy -= 1
        if conn.closing and conn.users == 0:
            if conn.door >= 0:
                self.azure_busy[conn.door] -= 1
            self.node_busy[conn.node, conn.seat] -= 1
