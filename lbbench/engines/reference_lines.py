"""Client connections in the reference engine: who gets on one, who waits, how it ends."""

from __future__ import annotations

import math
from collections.abc import Generator
from typing import Any

import numpy as np

from lbbench.balancers.fault import position
from lbbench.engines.events import CLIENT, IDLE_TIMER, SEND, SYN_TIMER, TIMER
from lbbench.engines.l4 import PORTS_PER_TARGET, flow_hash, node_key, source_port, worker_of
from lbbench.engines.opening import CONNECTED, DROPPED, REFUSED, next_syn
from lbbench.engines.plan import Plan
from lbbench.engines.recording import count_dead
from lbbench.engines.reference_calendar import Calendar, Event
from lbbench.engines.reference_cluster import Cluster
from lbbench.engines.reference_ledger import Ledger
from lbbench.engines.reference_parts import Connection, Request
from lbbench.engines.script import REFUSE, SILENT
from lbbench.model.tally import (
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECTIONS,
    LB_DROP,
    LOST_CONNECTIONS,
    LOST_SYNS,
    NO_PORT,
    SNAT,
)

NO_TRIES = np.zeros(0, np.int64)


class Lines:
    """All lanes: the places where a connection can be open."""

    def __init__(self, plan: Plan, calendar: Calendar, cluster: Cluster, ledger: Ledger) -> None:
        self.plan = plan
        self.facts = f = plan.facts
        self.calendar = calendar
        self.cluster = cluster
        self.ledger = ledger
        self.counters = ledger.counters
        self.open: dict[int, Connection] = {}  # by lane
        self.all: dict[Connection, None] = {}
        self.ports = [0] * len(f.address)
        self.azure_busy = np.zeros(len(f.node), np.int64)
        self.node_busy = np.zeros((len(f.node), len(f.target_node)), np.int64)

    def take(self, request: Request) -> Generator[Event, Any, bool]:
        """Get the request on the wire; False: its connection did not come about."""
        while True:
            conn = self.open.get(request.lane)
            opens = conn is None
            if conn is None:
                conn = self._begin(request)
            request.connection = conn
            conn.users += 1
            conn.idle_since = None
            if request.last:
                conn.ended = True
                del self.open[request.lane]
            if opens:
                request.sent = self.calendar.now
                return (yield from self._handshake(request, conn))
            if conn.ready is not None and conn.busy < self.facts.streams:
                conn.busy += 1
                return True
            turn = self.calendar.event()
            conn.waiting.append((request, turn))
            yield turn
            if not conn.dead:
                return True
            if request.connection is conn:  # it broke when the request's turn had come
                conn.busy -= 1
                conn.users -= 1
                self.settle(conn)
            request.connection = None

    def _begin(self, request: Request) -> Connection:
        f, now = self.facts, self.calendar.now
        where = int(f.client_address[request.client])
        port = source_port(f.address[where].salt, self.ports[where])
        self.ports[where] += 1
        conn = Connection(lane=request.lane, where=where, port=port, opened=now, touched=now)
        self.open[request.lane] = conn
        self.all[conn] = None
        return conn

    def _handshake(self, request: Request, conn: Connection) -> Generator[Event, Any, bool]:
        """Send SYNs until one gets through; False: refused, or the client has given up."""
        calendar = self.calendar
        while True:
            fate = self._syn(request, conn)
            if fate == CONNECTED:
                conn.busy += 1
                return True
            request.breaks = True
            if fate == REFUSED:
                yield calendar.at(calendar.now + conn.rtt, CLIENT, request.number)
                return False
            due = next_syn(conn.opened, conn.syns, self.facts.client_timeout)
            yield calendar.at(due, TIMER, request.number, SYN_TIMER)
            if calendar.now >= conn.opened + self.facts.client_timeout:
                return False
            request.breaks = False

    def _syn(self, request: Request, conn: Connection) -> int:  # noqa: C901  (ways to end)
        """Send one SYN: layer 4 picks node, target and worker; return its fate."""
        f, c, cluster, now = self.facts, self.counters, self.cluster, self.calendar.now
        address = f.address[conn.where]
        source = int(address.number)
        conn.syns += 1
        node = request.given_node
        if node < 0:
            key = flow_hash(address.hash, f.port_hash[address.family], conn.port)
            node = self._pick_node(key)
            conn.by_balancer = node >= 0
        if node < 0:
            return self._lost(request, conn, LB_DROP)
        if not cluster.is_up[node]:
            return self._lost(request, conn, CONNECT_TIMEOUT)
        tracked = conn.node == node and conn.node_boot == cluster.boots[node]
        if not tracked or conn.target < 0:  # else conntrack knows the connection
            conn.node, conn.node_boot = node, cluster.boots[node]
            conn.target = self._pick_target(node, node_key(source, conn.port, f.by_port))
        if conn.target < 0:
            if cluster.rules[node].drops:
                return self._lost(request, conn, CONNECT_TIMEOUT)
            conn.rtt = f.client_rtt
            request.error = CONNECT_REFUSED
            return REFUSED
        target = conn.target
        there = int(f.target_node[target])
        conn.rtt = f.client_rtt + f.hop_rtt[node, there]
        door = None if f.ingress else cluster.pods[target].door
        if not cluster.passes(node, there):
            return self._lost(request, conn, CONNECT_TIMEOUT)
        if door in (REFUSE, SILENT):
            count_dead(c, target, now)
        if door == REFUSE:
            request.error = CONNECT_REFUSED
            return REFUSED
        if door == SILENT or not cluster.is_up[there]:
            return self._lost(request, conn, CONNECT_TIMEOUT)
        if not f.local and self.node_busy[node, target] >= PORTS_PER_TARGET:
            c.totals[NO_PORT] += 1
            return self._lost(request, conn, CONNECT_TIMEOUT)
        request.error = -1
        conn.target_boot = cluster.boots[there]
        conn.ready = now + conn.rtt
        c.totals[CONNECTIONS] += 1
        self.azure_busy[node] += int(conn.by_balancer)
        self.node_busy[node, target] += 1
        if not f.local:
            c.totals[SNAT] += 1
            c.snat_peak[0] = max(c.snat_peak[0], self.node_busy[node, target])
        c.node[request.segment, node].connections += 1
        if not f.ingress:
            c.pod[request.segment, target].connections += 1
            return CONNECTED
        if not f.local:
            source = f.node[node].bridge if there == node else f.node[node].number
        number = worker_of(f.replica_salt[target], source, conn.port, f.replica_workers)
        conn.worker = target * f.replica_workers + number
        c.replica[request.segment, target].connections += 1
        c.worker[request.segment, conn.worker].connections += 1
        return CONNECTED

    def _pick_node(self, key: int) -> int:
        """Let the load balancer pick a node for a flow's hash; -1 when it holds none eligible."""
        cluster, lb = self.cluster, self.cluster.lb
        cluster.tell_load_balancer(self.azure_busy)
        picked = self.plan.azure.pick(
            cluster.azure_state(),
            cluster.azure_rng[0],
            self.calendar.now,
            key,
            lb.busy(self.azure_busy),
            NO_TRIES,
        )
        place = position(picked, len(lb.listed), self.plan.azure)
        return int(lb.listed[place]) if place >= 0 else -1

    def _pick_target(self, node: int, key: int) -> int:
        """Let a node's rules pick a target for a connection; -1 when they have none."""
        cluster, rules = self.cluster, self.cluster.rules[node]
        place = self.plan.node.pick(
            cluster.node_state(node),
            cluster.node_rng[node],
            self.calendar.now,
            key,
            rules.busy(self.node_busy[node]),
            NO_TRIES,
        )
        return int(rules.listed[place]) if place >= 0 else -1

    def _lost(self, request: Request, conn: Connection, error: int) -> int:
        request.error = error
        self.counters.totals[LOST_SYNS] += 1
        self.counters.totals[LOST_CONNECTIONS] += int(conn.syns == 1)
        return DROPPED

    # --- turns and ends ---------------------------------------------------------------------------

    def pump(self, conn: Connection) -> None:
        """Let waiting requests go, as many as the connection carries at a time."""
        while conn.waiting and conn.busy < self.facts.streams:
            request, turn = conn.waiting.popleft()
            conn.busy += 1  # so that nobody overtakes it
            self.calendar.schedule(turn, self.calendar.now, SEND, request.number)

    def release(self, request: Request, *, was_sent: bool) -> None:
        """Take a finished request off its connection."""
        conn, now = request.connection, self.calendar.now
        assert conn is not None
        conn.users -= 1
        conn.last = request.number
        if was_sent:
            conn.busy -= 1
            if now - conn.touched > self.facts.flow_idle and not self.facts.flow_reset:
                conn.cut = True
            conn.touched = now
        if request.breaks or conn.carried >= self.facts.client_requests:
            self.part_with(conn)
        if not conn.dead:
            self.pump(conn)
        self.settle(conn)

    def part_with(self, conn: Connection) -> None:
        """Send nothing more on a connection; who waits for it looks for another one now."""
        conn.dead = True
        if self.open.get(conn.lane) is conn:
            del self.open[conn.lane]
        while conn.waiting:
            request, turn = conn.waiting.popleft()
            conn.users -= 1
            request.connection = None
            self.calendar.schedule(turn, self.calendar.now, SEND, request.number)

    def part_with_all(self, target: int) -> None:
        """Close the connections to a target as soon as what is on them has ended."""
        for conn in list(self.all):
            if conn.target == target and conn.ready is not None and not conn.dead:
                self.part_with(conn)
                self.settle(conn)

    def settle(self, conn: Connection) -> None:
        """Close a connection that nobody uses and nobody will; else it is idle from now on."""
        if conn.users > 0:
            return
        if conn.ended or conn.dead:
            conn.idle_since = None
            if conn.ready is not None:
                self.azure_busy[conn.node] -= int(conn.by_balancer)
                self.node_busy[conn.node, conn.target] -= 1
            del self.all[conn]
            return
        f, since = self.facts, self.calendar.now
        conn.idle_since = since
        limit = min(f.client_idle, f.flow_idle)
        if limit < math.inf:
            self._watch(conn, since, since + limit)

    def _watch(self, conn: Connection, since: float, due: float) -> None:
        number = conn.last
        self.calendar.call(due, TIMER, number, IDLE_TIMER, lambda: self._idle(conn, since, number))

    def _idle(self, conn: Connection, since: float, number: int) -> None:
        """Let the idle timer go off: nginx closes, or the load balancer forgets the flow."""
        f = self.facts
        if conn.idle_since != since or conn.last != number:
            return
        silently = f.flow_idle < f.client_idle and not f.flow_reset
        if silently and self.calendar.now == since + f.flow_idle:
            conn.cut = True
            if f.client_idle < math.inf:
                self._watch(conn, since, since + f.client_idle)
            return
        self.part_with(conn)
        self.settle(conn)
