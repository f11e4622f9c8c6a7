"""The client side of a steady run: connections, who goes on one and who waits, how it closes.

The answer to the request on a connection is known before it arrives (``free_at``), so a connection
comes free without an event, unless somebody waits for it or its closing is seen.
"""

from __future__ import annotations

import math

from lbbench.core.calendar import add_event
from lbbench.core.heap import heap_pop, heap_push
from lbbench.core.held import apart
from lbbench.engines.counters import Counters
from lbbench.engines.events import SEND, event_order
from lbbench.engines.lines import idle_limit
from lbbench.engines.parts import COOKIES
from lbbench.engines.steady.opening import count_sent, open_connection
from lbbench.engines.steady.ports import will_close
from lbbench.engines.steady.slots import stray
from lbbench.engines.steady.world import N_CONN_FREE, N_IDLE, Steady
from lbbench.engines.timing import TO_BALANCER, jitter
from lbbench.engines.world import Facts, Lists, States

CLOSED = -1
WAITS = math.inf


def send(f: Facts, lists: Lists, w: Steady, c: Counters, s: States, slot: int, now: float) -> float:
    """Let a client send; return when the request arrives, infinite when it has to wait."""
    request = w.request[slot]
    at = request.conn + 0
    opens = False
    if at < 0:
        at = w.lane_conn[request.lane]
        opens = at < 0
        if opens:
            at = _open(f, lists, w, c, s, slot, now)
        conn = w.conn[at]
        request.conn = at
        conn.users += 1
        if request.last:
            conn.ended = 1
            w.lane_conn[request.lane] = CLOSED
        if opens:
            request.sent = now
        elif conn.cut:
            stray(w)
        elif conn.head >= 0 or conn.free_at > now:
            _wait(w, at, slot)
            return WAITS
    else:  # its turn has come
        w.conn[at].head = request.next
        w.conn[at].called = 0
    conn = w.conn[at]
    conn.free_at = math.inf
    if not opens:
        request.sent = now
    conn.carried += 1
    if conn.carried >= f.client_requests:
        conn.dying = 1
    return _transmit(f, w, c, slot, now)


def _wait(w: Steady, at: int, slot: int) -> None:
    """Put a request at the end of those that wait for a connection."""
    conn = w.conn[at]
    w.request[slot].next = -1
    if conn.head < 0:
        conn.head = slot
    else:
        w.request[conn.tail].next = slot
    conn.tail = slot
    call_next(w, at)


def call_next(w: Steady, at: int) -> None:
    """Tell the first that waits when to go, once that is known."""
    conn = w.conn[at]
    if conn.head >= 0 and conn.called == 0 and conn.dying == 0 and conn.free_at < math.inf:
        conn.called = 1
        number = w.request[conn.head].number
        add_event(w.calendar, conn.free_at, event_order(SEND, number, 0), conn.head)


def _open(f: Facts, lists: Lists, w: Steady, c: Counters, s: States, slot: int, now: float) -> int:
    """Open a connection for the request; return its slot."""
    open_connection(f, lists, w, c, s, slot, now)
    request = w.request[slot]
    w.number[N_CONN_FREE] -= 1
    at = w.conn_free[w.number[N_CONN_FREE]]
    conn = w.conn[at]
    conn.rtt = request.rtt
    conn.ready = now + conn.rtt
    conn.lane = request.lane
    conn.node = request.node
    conn.target = request.target
    conn.worker = request.worker
    conn.port = request.port
    conn.users = 0
    conn.carried = 0
    conn.head = -1
    conn.called = 0
    conn.ended = 0
    conn.dying = 0
    conn.cut = 0
    w.lane_conn[request.lane] = at
    if request.last == 0 and conn.watched == 0:
        look_again(w, at, now + idle_limit(f))
    return int(at)


def _transmit(f: Facts, w: Steady, c: Counters, slot: int, now: float) -> float:
    """Put a request on the wire; return when it arrives at the worker, or at the pod."""
    request = w.request[slot]
    conn = w.conn[request.conn]
    request.written = max(now, conn.ready)
    request.rtt = conn.rtt
    request.node = conn.node
    request.target = conn.target
    request.worker = conn.worker
    request.port = conn.port
    count_sent(f, w, c, slot)
    if COOKIES and request.session >= 0:
        request.cookie = w.jar[request.session].cookie
    delay = f.path_delay + jitter(f.jitter_salt[0], request.number, TO_BALANCER, f.path_jitter)
    return (request.written + 0.5 * request.rtt) + delay


def answered(w: Steady, slot: int, now: float) -> None:
    """Let the answer reach its client at ``now``, as an event: a connection may end with it."""
    request = w.request[slot]
    at = request.conn + 0
    conn = w.conn[at]
    if conn.dying:
        conn.ended = 1
        if w.lane_conn[conn.lane] == at:
            w.lane_conn[conn.lane] = CLOSED
        waiting = conn.head + 0
        while waiting >= 0:
            after = w.request[waiting].next + 0
            w.request[waiting].conn = -1
            conn.users -= 1
            order = event_order(SEND, w.request[waiting].number, 0)
            add_event(w.calendar, now, order, waiting)
            waiting = after
        conn.head = -1
    if conn.ended and conn.users == 0:
        close_now(w, at)


def close_now(w: Steady, at: int) -> None:
    """Close a connection that nobody uses and nobody will."""
    conn = w.conn[at]
    w.node_busy[conn.node, conn.target] -= 1
    _leave_slot(w, at)


def close_later(f: Facts, w: Steady, at: int, time: float) -> None:
    """Let a connection that nobody will use any more close at ``time``."""
    conn = w.conn[at]
    if f.local == 0:
        will_close(w, conn.node, conn.target, time)
    _leave_slot(w, at)


def _leave_slot(w: Steady, at: int) -> None:
    conn = w.conn[at]
    if w.lane_conn[conn.lane] == at:
        w.lane_conn[conn.lane] = CLOSED
    conn.lane = CLOSED
    w.conn_free[w.number[N_CONN_FREE]] = at
    w.number[N_CONN_FREE] += 1


# --- connections that may have been idle for too long ------------------------------------------


def look_again(w: Steady, at: int, time: float) -> None:
    """Look at a connection at ``time``: not later than it can have been idle for too long."""
    if time < math.inf:
        w.conn[at].watched = 1
        w.number[N_IDLE] = heap_push(
            w.idle_time, w.idle_order, w.idle_conn, w.number[N_IDLE], time, at, at
        )


@apart
def look_at_idle(f: Facts, w: Steady) -> None:
    """Look at the connection whose time has come; nginx closes it, or its flow is forgotten.

    A slot has one such time, that of its first connection: for the next one it is too early, and
    then it is set anew.
    """
    now = w.idle_time[0]
    at = w.idle_conn[0]
    w.number[N_IDLE] = heap_pop(w.idle_time, w.idle_order, w.idle_conn, w.number[N_IDLE])
    conn = w.conn[at]
    conn.watched = 0
    if conn.lane < 0 or conn.ended:
        return
    limit = idle_limit(f)
    if conn.free_at == math.inf or conn.head >= 0:
        look_again(w, at, now + limit)
    elif conn.cut:
        if conn.free_at + f.client_idle > now:
            look_again(w, at, conn.free_at + f.client_idle)
        else:
            close_now(w, at)
    elif conn.free_at + limit > now:
        look_again(w, at, conn.free_at + limit)
    elif f.flow_idle < f.client_idle and f.flow_reset == 0:
        conn.cut = 1
        look_again(w, at, conn.free_at + f.client_idle)
    else:
        close_now(w, at)
