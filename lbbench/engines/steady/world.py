"""What changes during a steady run: requests in flight, connections, workers, pods.

Dimensions as in engines/world.py: Q request slots, B replies, C connections, L lanes, A source
addresses, N nodes, T targets, W workers, P pods, K places of a keep-alive cache, J cookie jars,
S stays, D days of the calendar.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.core.calendar import Calendar, grown_calendar, new_calendar
from lbbench.engines.growth import longer, refilled
from lbbench.engines.tables import DESK, FLOAT, IDLE, INT, JAR, UNIT, table
from lbbench.engines.world import Facts
from lbbench.model.tally import SEGMENTS

SMALL = np.int32

BATCH = 256
"""Requests whose connections are opened at once; what they need stays in the processor's cache."""

REQUEST = np.dtype(
    [
        ("number", INT),
        ("arrival", FLOAT),
        ("work", FLOAT),
        ("sent", FLOAT),  # the client begins to send
        ("written", FLOAT),  # the connection is open and the request is written
        ("at_worker", FLOAT),  # it arrives there, or at its pod where there is none
        ("picked", FLOAT),
        ("connected", FLOAT),
        ("rtt", FLOAT),  # of its connection
        ("at_pod", FLOAT),
        ("start", FLOAT),
        ("end", FLOAT),
        ("ends", FLOAT),  # the answer reaches the client; known when it reaches the pod
        ("life", FLOAT),  # of a session that it begins
        ("cookie", INT),  # key that the client sent
        ("new_cookie", INT),  # cookie that the answer sets, -1: none
        ("client", SMALL),
        ("lane", SMALL),
        ("key", SMALL),
        ("session", SMALL),
        ("segment", SMALL),
        ("window", SMALL),
        ("conn", SMALL),  # connection slot, -1: none
        ("next", SMALL),  # next of those that wait for the connection, or are on the way
        ("node", SMALL),  # of its connection
        ("target", SMALL),
        ("worker", SMALL),
        ("port", SMALL),
        ("pod", SMALL),
        ("served", SMALL),  # requests that the upstream connection has carried
        ("version", SMALL),  # of the endpoint list: always 0
        ("given_node", SMALL),
        ("last", SMALL),  # 1: the last request of its connection
        ("seen", SMALL),  # 1: its end at the client is an event
    ]
)
CONN = np.dtype(
    [
        ("rtt", FLOAT),
        ("ready", FLOAT),  # the handshake is done
        ("free_at", FLOAT),  # its last answer reaches the client; infinite while that is unknown
        ("lane", SMALL),  # -1: the slot is free
        ("node", SMALL),
        ("target", SMALL),  # replica, or pod on the service path
        ("worker", SMALL),
        ("port", SMALL),
        ("users", SMALL),  # requests that are not answered
        ("carried", SMALL),  # requests sent
        ("head", SMALL),  # requests that wait
        ("tail", SMALL),
        ("called", SMALL),  # 1: the first of them has been told when to go
        ("ended", SMALL),  # 1: its last request has come
        ("dying", SMALL),  # 1: it closes with the present answer
        ("cut", SMALL),  # 1: the load balancer has forgotten the flow
        ("watched", SMALL),  # 1: there is a time to look whether it is idle
    ]
)
POD = np.dtype(
    [
        ("since", FLOAT),  # when the integrals were brought up to date
        ("busy_area", FLOAT),
        ("flight_area", FLOAT),
        ("free_at", FLOAT),  # one place: the end of the last request that came
        ("highest", INT),  # most requests that were there at once
        ("head", INT),  # stays in order of their ends
        ("tail", INT),
    ]
)
LOT = np.dtype([("where", INT), ("port", INT), ("node", INT), ("target", INT)])
REPLY = np.dtype(  # an answer on its way to a worker
    [
        ("time", FLOAT),
        ("order", INT),
        ("rtt", FLOAT),  # what the balancer will be told
        ("next", INT),
        ("pod", SMALL),
        ("worker", SMALL),
        ("served", SMALL),  # requests that the upstream connection has carried
    ]
)
STAY = np.dtype(  # a request at a pod, or a connection from a node to a target
    [("end", FLOAT), ("next", INT), ("back", INT), ("node", SMALL), ("target", SMALL)]
)


class Steady(NamedTuple):
    """Everything that changes."""

    number: np.ndarray  # int64[16] see N_* below
    clock: np.ndarray  # float64[4] see T_* below
    calendar: Calendar
    replies: Calendar  # of REPLY[B]
    reply_free: np.ndarray  # int64[B] stack of free replies
    request: np.ndarray  # REQUEST[Q]
    free: np.ndarray  # int64[Q] stack of free request slots
    conn: np.ndarray  # CONN[C]
    conn_free: np.ndarray  # int64[C] stack of free connections
    lane_conn: np.ndarray  # int64[L] open connection of the lane, -1: none
    opened: np.ndarray  # int64[A] connections that the source address has opened
    idle_time: np.ndarray  # float64[C] heap of when to look at a connection that may be idle
    idle_order: np.ndarray  # int64[C] its slot
    idle_conn: np.ndarray  # int64[C] its slot
    node_busy: np.ndarray  # int64[N, T] at most so many connections are open, see ports.py
    closing: np.ndarray  # int64[D] stays by day: connections that will close, or have closed
    lot: np.ndarray  # LOT[BATCH] connections that are being opened
    done: np.ndarray  # int64[BATCH] slots of requests that are to be counted
    way: np.ndarray  # int64[2, 2] first and last of those on the way, same node and cross node
    opening: np.ndarray  # float64[SEGMENTS] when each segment begins
    unseen: np.ndarray  # int64[max(N, T)] zeros, for what nobody looks at
    desk: np.ndarray  # DESK[W]
    idle: np.ndarray  # IDLE[W, K]
    idle_top: np.ndarray  # int64[W, P]
    pod_busy: np.ndarray  # int64[rows, P] outstanding attempts by instance and pod
    lock_until: np.ndarray  # float64[rows, P]
    lock_owner: np.ndarray  # int64[rows, P]
    jar: np.ndarray  # JAR[J]
    unit: np.ndarray  # UNIT[J or keys]
    in_system: np.ndarray  # int64[P] requests at the pod
    pod: np.ndarray  # POD[P]
    place: np.ndarray  # float64[P, places] when each place is free, where there are several
    stay: np.ndarray  # STAY[S]
    stay_free: np.ndarray  # int64[S] stack of free stays
    site: np.ndarray  # MEMBER[P]


MEMBER = np.dtype([("member", INT)])

(
    N_FREE,
    N_CONN_FREE,
    N_STAY_FREE,
    N_IDLE,
    N_SEGMENT,
    N_NEXT_SEGMENT,
    N_CURSOR,
    N_REQUEST,
    N_STRAYED,
    N_STOPPED,
    N_BEGUN,
    N_DONE,
    N_CLOSING_DAY,
    N_REPLY_FREE,
) = range(14)
T_LAST, T_ARRIVAL, T_BOUND = range(3)


def new_steady(
    facts: Facts,
    *,
    lanes: int,
    jars: int,
    units: int,
    rate: float,
    inside: float,
    slots: int,
) -> Steady:
    """Return the arrays of a run at time 0 with room for ``slots`` requests in flight.

    ``rate`` requests per second are expected, and ``inside`` of them in flight.
    """
    nodes, pods, targets = len(facts.node), len(facts.pod), len(facts.target_node)
    workers, kept = len(facts.worker), max(facts.keepalive, 1)
    rows = int(facts.worker["busy"].max(initial=0)) + 1
    places = int(facts.pod["places"].max(initial=1))
    stays = slots + pods
    calendar = new_calendar(slots, rate=2.0 * rate, inside=2.0 * inside)
    made = Steady(
        number=np.zeros(16, INT),
        clock=np.zeros(4),
        calendar=calendar,
        replies=new_calendar(slots, rate=2.0 * rate, inside=2.0 * inside, entry=REPLY),
        reply_free=_stack(slots),
        request=table(REQUEST, slots),
        free=_stack(slots),
        conn=table(CONN, slots),
        conn_free=_stack(slots),
        lane_conn=np.full(lanes, -1, INT),
        opened=np.zeros(len(facts.address), INT),
        idle_time=np.zeros(slots + 1),
        idle_order=np.zeros(slots + 1, INT),
        idle_conn=np.zeros(slots + 1, INT),
        node_busy=np.zeros((nodes, targets), INT),
        closing=np.full(len(calendar.first), -1, INT),
        lot=table(LOT, BATCH),
        done=np.zeros(BATCH, INT),
        way=np.full((2, 2), -1, INT),
        opening=np.zeros(SEGMENTS),
        unseen=np.zeros(max(nodes, targets), INT),
        desk=table(DESK, workers),
        idle=table(IDLE, workers, kept),
        idle_top=np.full((workers if facts.keepalive else 1, pods), -1, INT),
        pod_busy=np.zeros((rows, pods), INT),
        lock_until=np.zeros((rows if facts.lock_hold > 0.0 else 1, pods)),
        lock_owner=np.full((rows if facts.lock_hold > 0.0 else 1, pods), -1, INT),
        jar=table(JAR, max(jars, 1)),
        unit=table(UNIT, max(units, 1)),
        in_system=np.zeros(pods, INT),
        pod=table(POD, pods),
        place=np.zeros((pods if places > 1 else 1, places)),
        stay=table(STAY, stays),
        stay_free=_stack(stays),
        site=table(MEMBER, pods),
    )
    for name in ("first", "last"):
        made.desk[name] = -1
    made.desk["n_spare"] = kept
    made.idle["spare"] = np.arange(kept - 1, -1, -1)
    made.jar["cookie"] = -1
    made.jar["expires"] = -np.inf
    for name in ("last", "pod", "before"):
        made.unit[name] = -1
    made.pod["head"] = -1
    made.conn["lane"] = -1
    made.site["member"] = 1
    made.number[[N_FREE, N_CONN_FREE, N_REPLY_FREE, N_STAY_FREE]] = slots, slots, slots, stays
    return made


def _stack(n: int) -> np.ndarray:
    return np.arange(n, dtype=INT)[::-1].copy()


def grown_steady(
    w: Steady,
    *,
    slots: int = 0,
    conns: int = 0,
    stays: int = 0,
    replies: int = 0,
) -> Steady:
    """Return the arrays with room for more; what they hold stays where it is."""
    changed: dict[str, object] = {}
    if slots:
        changed["request"] = longer(w.request, slots)
        changed["free"] = refilled(w.free, w.number, N_FREE, slots)
        changed["calendar"] = grown_calendar(w.calendar, slots)
    if conns:
        changed["conn"] = longer(w.conn, conns)
        changed["conn"]["lane"][len(w.conn) :] = -1  # type: ignore[index]
        changed["conn_free"] = refilled(w.conn_free, w.number, N_CONN_FREE, conns)
        for name in ("idle_time", "idle_order", "idle_conn"):
            changed[name] = longer(getattr(w, name), conns + 1)
    if replies:
        changed["replies"] = grown_calendar(w.replies, replies)
        changed["reply_free"] = refilled(w.reply_free, w.number, N_REPLY_FREE, replies)
    if stays:
        changed["stay"] = longer(w.stay, stays)
        changed["stay_free"] = refilled(w.stay_free, w.number, N_STAY_FREE, stays)
    return w._replace(**changed)  # type: ignore[arg-type]
