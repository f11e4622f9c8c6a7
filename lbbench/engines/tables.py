"""The records that a run's arrays are made of.

What belongs to one thing lies together, as a record (numpy structured array): one request touches
few cache lines, and the compiled kernel has few arguments. Times are float64 seconds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

INT, FLOAT = np.int64, np.float64

# --- what is given ----------------------------------------------------------------------------

ADDRESS = np.dtype(
    [
        ("number", INT),  # the source address as a uint32
        ("hash", INT),  # hash of its flows with source port 0, a uint32
        ("family", INT),  # 0 IPv4, 1 IPv6
        ("salt", np.uint64),  # of its source ports
    ]
)
NODE = np.dtype([("number", INT), ("bridge", INT)])  # addresses as uint32
WORKER = np.dtype(  # rows that a worker uses; `own` of its first backend, the canary's follows
    [
        ("node", INT),
        ("own", INT),
        ("common", INT),
        ("busy", INT),
        ("rng", INT),
        ("first", INT),  # of the views that see its row of busy counts
        ("views", INT),  # how many
    ]
)
VIEW_OF = np.dtype([("common", INT), ("rng", INT)])  # rows that a view's state uses
POD = np.dtype([("node", INT), ("speed", FLOAT), ("places", INT), ("room", INT)])

# --- what changes: requests and connections ---------------------------------------------------

REQUEST = np.dtype(
    [
        ("number", INT),  # -1: the slot is free
        ("arrival", FLOAT),
        ("work", FLOAT),
        ("client", INT),
        ("lane", INT),
        ("key", INT),
        ("session", INT),
        ("segment", INT),
        ("last", INT),  # 1: the last request of its connection
        ("given_node", INT),
        ("conn", INT),  # connection slot, -1: none
        ("phase", INT),  # WAITING, ... below
        ("place", INT),  # where its attempt is: AWAY, ... below
        ("attempts", INT),
        ("pod", INT),  # of the present attempt
        ("error", INT),  # error class of the present attempt, -1: none
        ("again", INT),  # 1: next_upstream retries this error
        ("breaks", INT),  # 1: the connection breaks with this request's end
        ("next", INT),  # next in the queue that this request stands in
        ("sent", FLOAT),  # the client begins to send
        ("written", FLOAT),  # the connection is open and the request is written
        ("at_worker", FLOAT),
        ("left", FLOAT),  # the first attempt leaves the worker
        ("picked", FLOAT),  # pick of the present attempt
        ("leave", FLOAT),  # the present attempt leaves
        ("connected", FLOAT),
        ("at_pod", FLOAT),
        ("start", FLOAT),
        ("end", FLOAT),
        ("due", FLOAT),  # time of the timer that it waits for
        ("todo", FLOAT),  # work that is left at `since`
        ("since", FLOAT),
        ("leaves_at", FLOAT),  # processor sharing: virtual time of leaving
        ("cookie", INT),  # key that the client sent
        ("new_cookie", INT),  # cookie that the answer sets, -1: none
        ("backend", INT),  # 0: main, 1: canary, -1: not chosen
        ("version", INT),  # of the list of its last pick
        ("served", INT),  # requests that the upstream connection has carried, 0: never connected
        ("n_tried", INT),
        ("first_pod", INT),
        ("first_rtt", FLOAT),  # what `done` hears where the first attempt counts
        ("gap", FLOAT),  # seconds after the answer before it
        ("life", FLOAT),  # of a session that it begins
        ("follow", INT),  # slot of the next request of its connection, -1: none
        ("origin", INT),  # node that the attempt comes from
        ("expects", INT),  # 1: among the attempts that wait for their answer; 2: its timer is set
        ("older", INT),  # neighbours among these, by pick
        ("newer", INT),
    ]
)

WAITING = 0  # at the client: for its connection
OPENING = 1  # at the client: it opens the connection
COMING = 2  # it will arrive: thinks, or follows another request
TRAVELLING = 3  # to the worker or in its queue, or to the pod on the service path
TRYING = 4  # the worker waits for its attempt
UNCONNECTED = 5  # the worker's connect gets no answer
SILENCE = 6  # nothing will come: the client waits until it gives up
RETURNING = 7  # the answer is on its way to the client
GHOST = 8  # an attempt that nobody waits for any more

AWAY = 0  # nowhere
TO_POD = 1
QUEUED = 2
SERVED = 3
TO_WORKER = 4

CONN = np.dtype(
    [
        ("lane", INT),  # -1: the slot is free
        ("where", INT),  # index of the source address
        ("node", INT),  # -1: no node has it
        ("target", INT),  # replica, or pod on the service path; -1: none picked
        ("worker", INT),
        ("by_balancer", INT),  # 1: the load balancer picked the node, 0: the trace gives it
        ("port", INT),
        ("rtt", FLOAT),
        ("opened", FLOAT),  # when the first SYN was sent
        ("ready", FLOAT),  # the handshake is done; infinite until the SYN got through
        ("node_boot", INT),  # how often the nodes had started then
        ("target_boot", INT),
        ("users", INT),  # requests that are not finished
        ("busy", INT),  # requests on the wire
        ("carried", INT),  # requests sent so far
        ("head", INT),  # waiting requests
        ("tail", INT),
        ("ended", INT),  # 1: its last request has come
        ("dead", INT),  # 1: no further request is sent on it
        ("cut", INT),  # 1: the load balancer has forgotten the flow
        ("syns", INT),  # SYNs that the client has sent
        ("touched", FLOAT),  # the last packet that the load balancer or the client has seen
        ("idle_since", FLOAT),
        ("last", INT),  # number of the request that was finished last
        ("is_idle", INT),  # 1: among the idle ones; 2: its timer is set
        ("older", INT),  # neighbours among the idle connections
        ("newer", INT),
    ]
)
JAR = np.dtype(
    [
        ("cookie", INT),  # -1: none
        ("backend", INT),  # whose cookie it is
        ("expires", FLOAT),
    ]
)
UNIT = np.dtype(  # a session or a key: where its requests went
    [
        ("last", INT),  # of its last answer, -1: none
        ("pod", INT),  # of its last answer under the newest version of the list
        ("before", INT),  # of its last answer before that version
        ("version", INT),
    ]
)
USER_ROW = np.dtype(
    [("think", FLOAT), ("work", FLOAT), ("key", INT), ("last", INT), ("life", FLOAT)]
)

# --- what changes: workers, pods, nodes, views ------------------------------------------------

IDLE = np.dtype(
    [
        ("pod", INT),
        ("served", INT),
        ("since", FLOAT),
        ("newer", INT),  # neighbours in the worker's list
        ("older", INT),
        ("up", INT),  # neighbours among the same pod's connections
        ("down", INT),
        ("spare", INT),  # stack of free places
    ]
)
DESK = np.dtype(  # what changes at a worker
    [("free_at", FLOAT), ("first", INT), ("last", INT), ("n_spare", INT)]
)
QUEUE = np.dtype(  # what changes at a pod
    [
        ("serving", INT),  # FIFO: places in use
        ("head", INT),  # FIFO: waiting; sharing: in order of leaving
        ("tail", INT),
        ("highest", INT),  # most requests that were there at once
        ("due_order", INT),  # sharing: order of the announced next end, -1: none
        ("due_time", FLOAT),
        ("virtual", FLOAT),  # sharing: virtual time
        ("virtual_at", FLOAT),  # when it was brought up to date
        ("since", FLOAT),  # when the integrals were brought up to date
        ("busy_area", FLOAT),
        ("flight_area", FLOAT),
        ("throttled", INT),  # 1: its CPU budget is used up
        ("budget", FLOAT),  # CPU seconds left at `budget_at`
        ("budget_at", FLOAT),
        ("period", INT),  # number of that period
        ("turn", FLOAT),  # when the budget ends or is renewed
    ]
)
SITE = np.dtype(  # the condition of a pod
    [
        ("door", INT),
        ("speed", FLOAT),
        ("error_after", FLOAT),
        ("member", INT),  # 1: it belongs to the cluster
    ]
)
HOST = np.dtype([("up", INT), ("boot", INT)])  # the condition of a node
SEEN = np.dtype(  # the list of a viewer: its length, if an empty one drops, its number in the API
    [("n", INT), ("drops", INT), ("version", INT)]
)


def table(kind: np.dtype[Any], *shape: int) -> np.ndarray:
    """Return a zeroed record array whose rows have attributes."""
    return np.zeros(shape, kind).view(np.recarray)
