"""Every array of a run: what is given (`Facts`), what changes (`World`), what balancers keep.

L lanes, A source addresses, J cookie jars, Q slots for requests in flight, C slots for open
connections, N nodes, R ingress replicas, W workers of all replicas, P pods, T targets of kube-proxy
(replicas on the ingress path, else pods), K places of one worker's upstream keep-alive cache.
Times are float64 seconds. What belongs to one thing lies together, as a record (numpy structured
array): one request touches few cache lines, and the compiled kernel has few arguments.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.engines.events import MAX_ATTEMPTS

INT, FLOAT = np.int64, np.float64

ADDRESS = np.dtype(
    [
        ("number", INT),  # the source address as a uint32
        ("hash", INT),  # hash of its flows with source port 0, a uint32
        ("family", INT),  # 0 IPv4, 1 IPv6
        ("salt", np.uint64),  # of its source ports
    ]
)
NODE = np.dtype([("number", INT), ("bridge", INT), ("targets", INT)])  # addresses as uint32
WORKER = np.dtype([("node", INT), ("state", INT), ("busy", INT), ("rng", INT)])  # rows it uses
POD = np.dtype([("node", INT), ("speed", FLOAT), ("places", INT), ("room", INT)])

REQUEST = np.dtype(
    [
        ("number", INT),  # -1: the slot is free
        ("arrival", FLOAT),
        ("work", FLOAT),
        ("client", INT),
        ("key", INT),
        ("session", INT),
        ("segment", INT),
        ("conn", INT),  # connection slot, -1: none took it
        ("attempts", INT),
        ("pod", INT),  # of the present attempt
        ("error", INT),  # error class of the present attempt, -1: none
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
        ("leaves_at", FLOAT),  # processor sharing: virtual time of leaving
        ("cookie", INT),  # key that the client sent
        ("new_cookie", INT),  # cookie that the answer sets, -1: none
        ("served", INT),  # requests that the upstream connection has carried
        ("n_tried", INT),
    ]
)
CONN = np.dtype(
    [
        ("node", INT),
        ("target", INT),  # replica, or pod on the service path
        ("worker", INT),
        ("door", INT),  # position of the node in the load balancer's list, -1: given
        ("seat", INT),  # position of the target in the node's list
        ("port", INT),
        ("rtt", FLOAT),
        ("ready", FLOAT),  # the handshake is done
        ("users", INT),  # requests that are not finished
        ("busy", INT),  # requests on the wire
        ("head", INT),  # waiting requests
        ("tail", INT),
        ("closing", INT),  # 1: its last request has come
    ]
)
JAR = np.dtype([("cookie", INT), ("pod", INT)])  # -1: none; pod of the session's last answer
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
    ]
)


class Facts(NamedTuple):
    """What a run is given and never changes."""

    ingress: int  # 1: ingress path, 0: service path
    local: int  # 1: externalTrafficPolicy Local (the client address reaches the replica)
    streams: int  # requests that one client connection carries at a time
    tries: int  # attempts per request, the first included
    retry_on_error: int  # 1: a refused attempt is retried
    cookies: int  # 1: the L7 balancer reads and sets cookies
    sees_pods: int  # 1: the L7 balancer sees the pods' true numbers
    ms_clock: int  # 1: the L7 balancer reads nginx's millisecond clock
    shared: int  # 1: pods share their cores, 0: FIFO
    records: int  # 1: keep one row per request
    keepalive: int  # places of the upstream keep-alive cache, 0: off
    keepalive_requests: int  # requests per upstream connection
    keepalive_timeout: float  # seconds an idle upstream connection stays usable
    worker_cpu: float  # seconds of worker time per request
    replica_workers: int
    client_rtt: float
    path_delay: float
    path_jitter: float  # mean of the exponential jitter
    drain: float  # seconds after the last arrival
    duration: float  # seconds, 0: the run is given by its number of requests
    n_requests: int  # 0: the run is given by its duration
    window: float  # width of a window
    settled: int  # first segment of the histograms that are not kept per segment
    jitter_salt: np.ndarray  # uint64[1]
    client_address: np.ndarray  # int64[clients] index into the addresses
    address: np.ndarray  # ADDRESS[A]
    port_hash: np.ndarray  # int64[2, 2, 256] what the port bytes add to the hash, by family
    node: np.ndarray  # NODE[N]
    node_member: np.ndarray  # int64[healthy] nodes that the load balancer holds healthy
    target_member: np.ndarray  # int64[N, T] targets that each node's rules list
    target_node: np.ndarray  # int64[T]
    replica_salt: np.ndarray  # uint64[R] salt of the replica's SO_REUSEPORT hash
    worker: np.ndarray  # WORKER[W]
    hop_rtt: np.ndarray  # float64[N, N]
    pod: np.ndarray  # POD[P]
    part_kind: np.ndarray  # int64[parts] of the hash key: see hashkey.py
    part_row: np.ndarray  # int64[parts] first row of that part's table in text_start
    text_start: np.ndarray  # int64[rows + 1] where each text begins in text_bytes
    text_bytes: np.ndarray  # uint8
    key_hash: np.ndarray  # int64[n] crc32 by index when at most one part varies


class World(NamedTuple):
    """What changes during a run."""

    heap_time: np.ndarray  # float64
    heap_order: np.ndarray  # int64
    heap_load: np.ndarray  # int64: slot of the request; end under sharing: the pod
    out_time: np.ndarray  # float64[8] events that the present one schedules
    out_order: np.ndarray  # int64[8]
    out_load: np.ndarray  # int64[8]
    number: np.ndarray  # int64[10] see N_* below
    clock: np.ndarray  # float64[4] see T_* below
    free: np.ndarray  # int64[Q] stack of free request slots
    request: np.ndarray  # REQUEST[Q]
    tried: np.ndarray  # int64[Q, MAX_ATTEMPTS] positions where the request failed
    conn_free: np.ndarray  # int64[C] stack of free connection slots
    conn: np.ndarray  # CONN[C]
    lane_conn: np.ndarray  # int64[L] open connection of the lane, -1: none
    opened: np.ndarray  # int64[A] connections that the source address has opened
    azure_busy: np.ndarray  # int64[N] open connections by position
    node_busy: np.ndarray  # int64[N, T] open connections by node and position
    desk: np.ndarray  # DESK[W]
    idle: np.ndarray  # IDLE[W, K]
    idle_top: np.ndarray  # int64[W, P] most recent idle connection to the pod, -1: none
    pod_busy: np.ndarray  # int64[rows, P] outstanding attempts by instance and position
    jar: np.ndarray  # JAR[J]
    in_system: np.ndarray  # int64[P] requests at the pod
    queue: np.ndarray  # QUEUE[P]


N_HEAP, N_FREE, N_CONN_FREE, N_SEGMENT, N_CURSOR, N_REQUEST, N_STOPPED, N_OUT = range(8)
T_LAST, T_ARRIVAL, T_DEADLINE = range(3)


class States(NamedTuple):
    """What the balancers keep: states stacked by instance, and their streams."""

    azure: Any  # arrays [1, ...]
    node: Any  # arrays [N, ...]
    pod: Any  # arrays [instances, ...]
    azure_rng: np.ndarray  # uint64[1, 4]
    node_rng: np.ndarray  # uint64[N, 4]
    pod_rng: np.ndarray  # uint64[streams, 4]


def table(kind: np.dtype[Any], *shape: int) -> np.ndarray:
    """Return a zeroed record array whose rows have attributes."""
    return np.zeros(shape, kind).view(np.recarray)


def new_world(
    facts: Facts, *, lanes: int, jars: int, targets: int, slots: int, conns: int, heap: int
) -> World:
    """Return the arrays of a run at time 0 with room for ``slots`` requests in flight."""
    nodes, pods = len(facts.node), len(facts.pod)
    workers, places = len(facts.worker), max(facts.keepalive, 1)
    rows = int(facts.worker["busy"].max(initial=0)) + 1
    world = World(
        heap_time=np.zeros(heap),
        heap_order=np.zeros(heap, INT),
        heap_load=np.zeros(heap, INT),
        out_time=np.zeros(8),
        out_order=np.zeros(8, INT),
        out_load=np.zeros(8, INT),
        number=np.zeros(10, INT),
        clock=np.zeros(4),
        free=np.arange(slots, dtype=INT)[::-1].copy(),
        request=table(REQUEST, slots),
        tried=np.zeros((slots, MAX_ATTEMPTS), INT),
        conn_free=np.arange(conns, dtype=INT)[::-1].copy(),
        conn=table(CONN, conns),
        lane_conn=np.full(lanes, -1, INT),
        opened=np.zeros(len(facts.address), INT),
        azure_busy=np.zeros(nodes, INT),
        node_busy=np.zeros((nodes, targets), INT),
        desk=table(DESK, workers),
        idle=table(IDLE, workers, places),
        idle_top=np.full((workers, pods), -1, INT),
        pod_busy=np.zeros((rows, pods), INT),
        jar=table(JAR, max(jars, 1)),
        in_system=np.zeros(pods, INT),
        queue=table(QUEUE, pods),
    )
    world.request["number"] = -1
    for name in ("first", "last"):
        world.desk[name] = -1
    world.desk["n_spare"] = places
    world.idle["spare"] = np.arange(places)
    for name in ("head", "tail", "due_order"):
        world.queue[name] = -1
    for name in ("cookie", "pod"):
        world.jar[name] = -1
    world.number[N_FREE] = slots
    world.number[N_CONN_FREE] = conns
    world.clock[T_DEADLINE] = np.inf
    return world


def grown(world: World, *, slots: int = 0, conns: int = 0, heap: int = 0) -> World:
    """Return the world with room for more; what it holds stays where it is."""
    changed: dict[str, np.ndarray] = {}
    if heap:
        for name in ("heap_time", "heap_order", "heap_load"):
            changed[name] = _longer(getattr(world, name), heap)
    if slots:
        old = len(world.request)
        changed |= {name: _longer(getattr(world, name), slots) for name in ("request", "tried")}
        changed["request"]["number"][old:] = -1
        changed["free"] = _refilled(world.free, world.number, N_FREE, slots)
    if conns:
        changed["conn"] = _longer(world.conn, conns)
        changed["conn_free"] = _refilled(world.conn_free, world.number, N_CONN_FREE, conns)
    return world._replace(**changed)


def _refilled(stack: np.ndarray, count: np.ndarray, which: int, new: int) -> np.ndarray:
    old, held = len(stack), int(count[which])
    made = _longer(stack, new)
    made[held : held + new - old] = np.arange(new - 1, old - 1, -1)
    count[which] = held + new - old
    return made


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    made = np.zeros((length, *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made.view(type(array))
