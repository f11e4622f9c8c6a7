"""Client connections in the fast engine: who gets on one, who waits, how it ends.

A lane is the place where a connection can be open. A request uses its lane's connection and opens
one when there is none; over HTTP/1.1 it waits while another request is on the wire.
"""

from __future__ import annotations

import math

from lbbench.core.held import apart
from lbbench.engines.events import IDLE_TIMER, SEND, TIMER, event_order
from lbbench.engines.l4 import source_port
from lbbench.engines.pods import plan_event, plan_order
from lbbench.engines.tables import OPENING, WAITING
from lbbench.engines.world import (
    N_CONN_FREE,
    N_IDLE_NEWEST,
    N_IDLE_OLDEST,
    T_IDLE,
    Facts,
    World,
)

GO = 0  # it is on the wire
OPENS = 1  # it opens a connection
WAITS = 2

CLOSED = -1


def take_line(f: Facts, w: World, slot: int, now: float) -> int:
    """Put the request in ``slot`` on its lane's connection; return GO, OPENS or WAITS."""
    request = w.request[slot]
    if request.conn >= 0:  # its turn has come, unless the connection has just broken
        if w.conn[request.conn].dead == 0:
            return GO
        w.conn[request.conn].busy -= 1
        w.conn[request.conn].users -= 1
        settle(f, w, request.conn, now)
    at = w.lane_conn[request.lane]
    opens = at < 0
    if opens:
        w.number[N_CONN_FREE] -= 1
        at = w.conn_free[w.number[N_CONN_FREE]]
        _begin_line(f, w, at, slot, now)
    conn = w.conn[at]
    request.conn = at
    conn.users += 1
    leave_idle(f, w, at)
    if request.last:
        conn.ended = 1
        w.lane_conn[request.lane] = -1
    if opens:
        request.phase = OPENING
        request.sent = now
        return OPENS
    if conn.ready == math.inf or conn.busy >= f.streams:
        request.phase = WAITING
        request.next = -1
        if conn.head < 0:
            conn.head = slot
        else:
            w.request[conn.tail].next = slot
        conn.tail = slot
        return WAITS
    conn.busy += 1
    return GO


def _begin_line(f: Facts, w: World, at: int, slot: int, now: float) -> None:
    request = w.request[slot]
    conn = w.conn[at]
    where = f.client_address[request.client]
    conn.lane = request.lane
    conn.where = where
    conn.port = source_port(f.address[where].salt, w.opened[where])
    w.opened[where] += 1
    conn.node = -1
    conn.target = -1
    conn.worker = -1
    conn.by_balancer = 0
    conn.rtt = 0.0
    conn.opened = now
    conn.ready = math.inf
    conn.users = 0
    conn.busy = 0
    conn.carried = 0
    conn.head = -1
    conn.tail = -1
    conn.ended = 0
    conn.dead = 0
    conn.cut = 0
    conn.syns = 0
    conn.touched = now
    conn.is_idle = 0
    w.lane_conn[request.lane] = at


def pump(f: Facts, w: World, at: int, now: float) -> None:
    """Let waiting requests go, as many as the connection carries at a time."""
    conn = w.conn[at]
    while conn.head >= 0 and conn.busy < f.streams:
        slot = conn.head
        conn.head = w.request[slot].next
        conn.busy += 1  # so that nobody overtakes it
        plan_event(w, now, SEND, slot, slot)


def release(f: Facts, w: World, slot: int, now: float) -> None:
    """Take the finished request in ``slot`` off its connection."""
    request = w.request[slot]
    at = request.conn
    conn = w.conn[at]
    conn.users -= 1
    conn.last = request.number
    if request.phase != OPENING:
        conn.busy -= 1
        if now - conn.touched > f.flow_idle and f.flow_reset == 0:
            conn.cut = 1  # the answer has passed by the load balancer, which has forgotten the flow
        conn.touched = now
    if request.breaks or conn.carried >= f.client_requests:
        part_with(w, at, now)
    if conn.dead == 0:
        pump(f, w, at, now)
    settle_here(f, w, at, now)


@apart
def part_with(w: World, at: int, now: float) -> None:
    """Send nothing more on a connection; who waits for it looks for another one now."""
    conn = w.conn[at]
    conn.dead = 1
    if w.lane_conn[conn.lane] == at:
        w.lane_conn[conn.lane] = -1
    while conn.head >= 0:
        slot = conn.head
        conn.head = w.request[slot].next
        conn.users -= 1
        w.request[slot].conn = -1
        plan_event(w, now, SEND, slot, slot)


@apart
def settle(f: Facts, w: World, at: int, now: float) -> None:
    """Do what `settle_here` does, where that is called seldom."""
    settle_here(f, w, at, now)


def settle_here(f: Facts, w: World, at: int, now: float) -> None:
    """Close a connection that nobody uses and nobody will; else it is idle from now on."""
    conn = w.conn[at]
    if conn.users > 0:
        return
    if conn.ended or conn.dead:
        leave_idle(f, w, at)
        if conn.ready < math.inf:
            if conn.by_balancer:
                w.azure_busy[0, conn.node] -= 1
            w.node_busy[conn.node, conn.target] -= 1
        conn.lane = CLOSED
        w.conn_free[w.number[N_CONN_FREE]] = at
        w.number[N_CONN_FREE] += 1
        return
    conn.idle_since = now
    conn.is_idle = 1
    newest = w.number[N_IDLE_NEWEST]
    conn.older = newest
    conn.newer = -1
    if newest >= 0:
        w.conn[newest].newer = at
    else:
        w.number[N_IDLE_OLDEST] = at
        w.clock[T_IDLE] = now + idle_limit(f)
    w.number[N_IDLE_NEWEST] = at


def idle_limit(f: Facts) -> float:
    """Return after how many idle seconds something happens to a connection."""
    return min(f.client_idle, f.flow_idle)


def leave_idle(f: Facts, w: World, at: int) -> None:
    """Take a connection out of the idle ones, if it is among them."""
    conn = w.conn[at]
    if conn.is_idle == 1:
        if conn.older >= 0:
            w.conn[conn.older].newer = conn.newer
        else:
            w.number[N_IDLE_OLDEST] = conn.newer
        if conn.newer >= 0:
            w.conn[conn.newer].older = conn.older
        else:
            w.number[N_IDLE_NEWEST] = conn.older
        oldest = w.number[N_IDLE_OLDEST]
        w.clock[T_IDLE] = w.conn[oldest].idle_since + idle_limit(f) if oldest >= 0 else math.inf
    conn.is_idle = 0


@apart
def set_idle_timer(f: Facts, w: World) -> None:
    """Let the timer of the connection that has been idle longest go off when it is due."""
    at = w.number[N_IDLE_OLDEST]
    due = w.clock[T_IDLE]
    leave_idle(f, w, at)
    w.conn[at].is_idle = 2
    plan_order(w, due, event_order(TIMER, w.conn[at].last, IDLE_TIMER), -1 - at)


@apart
def idle_too_long(f: Facts, w: World, at: int, order: int, now: float) -> None:
    """Let the idle timer of a connection go off, unless it has been used since.

    nginx closes it, or the load balancer forgets its flow: silently, or with a reset to both ends.
    """
    conn = w.conn[at]
    if conn.is_idle != 2 or order != event_order(TIMER, conn.last, IDLE_TIMER):
        return
    forgotten = conn.idle_since + f.flow_idle
    if now == forgotten and f.flow_idle < f.client_idle and f.flow_reset == 0:
        conn.cut = 1
        if f.client_idle < math.inf:
            plan_order(w, conn.idle_since + f.client_idle, order, -1 - at)
        return
    part_with(w, at, now)
    settle(f, w, at, now)
