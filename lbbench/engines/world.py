"""Every array of a run: what is given (`Facts`), what changes (`World`), what balancers keep.

L lanes, A source addresses, J cookie jars, Q slots for requests in flight, C slots for open
connections, N nodes, R ingress replicas, W workers of all replicas, P pods, T targets of kube-proxy
(replicas on the ingress path, else pods), K places of one worker's upstream keep-alive cache.
Times are float64 seconds, everything else int64 unless said.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.engines.events import MAX_ATTEMPTS


class Facts(NamedTuple):
    """What a run is given and never changes."""

    ingress: int  # 1: ingress path, 0: service path
    local: int  # 1: externalTrafficPolicy Local (the client address reaches the replica)
    streams: int  # requests that one client connection carries at a time
    tries: int  # attempts per request, the first included
    retry_on_error: int  # 1: a refused attempt is retried
    cookies: int  # 1: the L7 balancer reads and sets cookies
    keepalive: int  # places of the upstream keep-alive cache, 0: off
    keepalive_requests: int  # requests per upstream connection
    keepalive_timeout: float  # seconds an idle upstream connection stays usable
    worker_cpu: float  # seconds of worker time per request
    client_rtt: float
    path_delay: float
    path_jitter: float  # mean of the exponential jitter
    jitter_salt: np.ndarray  # uint64[1]
    drain: float  # seconds after the last arrival
    duration: float  # seconds, 0: the run is given by its number of requests
    n_requests: int  # 0: the run is given by its duration
    window: float  # width of a window
    settled: int  # first segment of the histograms that are not kept per segment
    records: int  # 1: keep one row per request
    # addresses and flows
    client_address: np.ndarray  # [clients] index into the addresses
    address_number: np.ndarray  # [A] the source address as a uint32
    address_hash: np.ndarray  # uint32[A] hash of the flow with source port 0
    address_family: np.ndarray  # [A] 0 IPv4, 1 IPv6
    address_salt: np.ndarray  # uint64[A] salt of the address's source ports
    port_hash: np.ndarray  # uint32[2, 2, 256] what the port bytes add to the hash, by family
    node_number: np.ndarray  # [N] node address as a uint32
    bridge_number: np.ndarray  # [N] bridge address as a uint32
    replica_salt: np.ndarray  # uint64[R] salt of the replica's SO_REUSEPORT hash
    # topology
    node_member: np.ndarray  # [N] nodes that the load balancer holds healthy, in list order
    target_member: np.ndarray  # [N, T] targets that each node's rules list, in list order
    target_count: np.ndarray  # [N]
    target_node: np.ndarray  # [T]
    replica_workers: int
    worker_node: np.ndarray  # [W]
    hop_rtt: np.ndarray  # float64[N, N]
    pod_node: np.ndarray  # [P]
    pod_speed: np.ndarray  # float64[P]
    pod_places: np.ndarray  # [P] concurrency
    pod_room: np.ndarray  # [P] places plus length of the queue
    shared: int  # 1: processor sharing
    # L7 balancer
    state_of: np.ndarray  # [W] which L7 state a worker uses
    busy_of: np.ndarray  # [W] which row of outstanding attempts a worker uses
    rng_of: np.ndarray  # [W] which stream a worker draws from
    sees_pods: int  # 1: the balancer sees the pods' true numbers
    ms_clock: int  # 1: the L7 balancer reads nginx's millisecond clock
    # key of the L7 balancer: parts that are joined and hashed with crc32
    part_kind: np.ndarray  # [parts] see hashkey.py
    part_row: np.ndarray  # [parts] first row in text_start of that part's table
    text_start: np.ndarray  # [rows + 1] where each text begins in text_bytes
    text_bytes: np.ndarray  # uint8
    key_hash: np.ndarray  # [n] crc32 by index when exactly one part varies


class World(NamedTuple):
    """What changes during a run."""

    heap_time: np.ndarray  # float64
    heap_order: np.ndarray
    heap_load: np.ndarray  # request slot of the event; end under sharing: the pod
    count: np.ndarray  # [8] see N_* below
    clock: np.ndarray  # float64[4] see T_* below
    # requests in flight, by slot
    free: np.ndarray  # [Q] stack of free slots
    number: np.ndarray  # [Q] request number, -1: slot is free
    arrival: np.ndarray  # float64[Q]
    work: np.ndarray  # float64[Q]
    client: np.ndarray  # [Q]
    key: np.ndarray  # [Q]
    session: np.ndarray  # [Q]
    segment: np.ndarray  # [Q]
    conn: np.ndarray  # [Q] connection slot
    sent: np.ndarray  # float64[Q] the client begins to send
    written: np.ndarray  # float64[Q] the connection is open and the request is written
    at_worker: np.ndarray  # float64[Q]
    taken: np.ndarray  # float64[Q]
    left: np.ndarray  # float64[Q] the first attempt leaves the worker
    picked: np.ndarray  # float64[Q] pick of the present attempt
    leave: np.ndarray  # float64[Q] the present attempt leaves
    connected: np.ndarray  # float64[Q]
    at_pod: np.ndarray  # float64[Q]
    start: np.ndarray  # float64[Q]
    end: np.ndarray  # float64[Q]
    position: np.ndarray  # [Q] position in the worker's list
    pod: np.ndarray  # [Q]
    attempts: np.ndarray  # [Q]
    error: np.ndarray  # [Q] error class of the present attempt, -1: none
    cookie: np.ndarray  # [Q] key that the present attempt was picked with
    new_cookie: np.ndarray  # [Q] cookie that the answer sets, -1: none
    served: np.ndarray  # [Q] requests that the upstream connection has carried
    next_one: np.ndarray  # [Q] next in the queue that this request stands in
    tried: np.ndarray  # [Q, MAX_ATTEMPTS]
    n_tried: np.ndarray  # [Q]
    leaves_at: np.ndarray  # float64[Q] processor sharing: virtual time of leaving
    # client connections, by slot
    lane_conn: np.ndarray  # [L] open connection of the lane, -1: none
    conn_free: np.ndarray  # [C] stack
    conn_node: np.ndarray  # [C]
    conn_target: np.ndarray  # [C] replica, or pod on the service path
    conn_worker: np.ndarray  # [C]
    conn_seat: np.ndarray  # [C] position of the target in the node's list
    conn_door: np.ndarray  # [C] position of the node in the load balancer's list
    conn_port: np.ndarray  # [C]
    conn_rtt: np.ndarray  # float64[C]
    conn_ready: np.ndarray  # float64[C]
    conn_users: np.ndarray  # [C] requests that are not finished
    conn_busy: np.ndarray  # [C] requests on the wire
    conn_head: np.ndarray  # [C] waiting requests
    conn_tail: np.ndarray  # [C]
    conn_closing: np.ndarray  # [C] 1: its last request has come
    port_counter: np.ndarray  # [A] connections that this source address has opened
    # stages
    azure_busy: np.ndarray  # [N] open connections by position
    node_busy: np.ndarray  # [N, T] open connections by node and position
    worker_free: np.ndarray  # float64[W]
    pod_busy: np.ndarray  # [rows, P] outstanding attempts by instance and position
    jar: np.ndarray  # [J] cookie of the session, -1: none
    session_pod: np.ndarray  # [J] pod of the session's last answer, -1: none
    # upstream keep-alive caches
    idle_pod: np.ndarray  # [W, K]
    idle_served: np.ndarray  # [W, K]
    idle_since: np.ndarray  # float64[W, K]
    idle_newer: np.ndarray  # [W, K] neighbour in the worker's list, most recent first
    idle_older: np.ndarray  # [W, K]
    idle_up: np.ndarray  # [W, K] neighbour among the same pod's connections
    idle_down: np.ndarray  # [W, K]
    idle_first: np.ndarray  # [W] most recent
    idle_last: np.ndarray  # [W] least recent
    idle_spare: np.ndarray  # [W, K] stack of free places
    idle_n_spare: np.ndarray  # [W]
    idle_top: np.ndarray  # [W, P] most recent connection to the pod
    # pods
    in_system: np.ndarray  # [P]
    serving: np.ndarray  # [P] FIFO: places in use
    queue_head: np.ndarray  # [P] FIFO: waiting; sharing: in order of leaving
    queue_tail: np.ndarray  # [P]
    virtual: np.ndarray  # float64[P] sharing: virtual time
    virtual_at: np.ndarray  # float64[P] when it was brought up to date
    due_time: np.ndarray  # float64[P] sharing: the announced next end
    due_order: np.ndarray  # [P] sharing: its order, -1: none
    since: np.ndarray  # float64[P] when the integrals were brought up to date
    busy_area: np.ndarray  # float64[P]
    flight_area: np.ndarray  # float64[P]


N_HEAP, N_FREE, N_CONN_FREE, N_SEGMENT, N_EVENTS, N_CURSOR, N_REQUEST, N_STOPPED = range(8)
T_STOP, T_LAST, T_ARRIVAL, T_DEADLINE = range(4)


class States(NamedTuple):
    """What the balancers keep: states stacked by instance, and their streams."""

    azure: Any  # arrays [1, ...]
    node: Any  # arrays [N, ...]
    pod: Any  # arrays [instances, ...]
    azure_rng: np.ndarray  # uint64[1, 4]
    node_rng: np.ndarray  # uint64[N, 4]
    pod_rng: np.ndarray  # uint64[streams, 4]


class Records(NamedTuple):
    """One row per request when a run keeps records, else empty; index = request number."""

    arrival: np.ndarray  # float64
    client: np.ndarray
    port: np.ndarray
    key: np.ndarray
    session: np.ndarray
    node: np.ndarray
    replica: np.ndarray
    worker: np.ndarray
    pod: np.ndarray
    attempts: np.ndarray
    start: np.ndarray  # float64
    end: np.ndarray  # float64
    error: np.ndarray  # index into ERRORS, -1: none, -2: unfinished


_FLOAT_QUEUE = (
    "arrival", "work", "sent", "written", "at_worker", "taken", "left", "picked", "leave",
    "connected", "at_pod", "start", "end", "leaves_at",
)  # fmt: skip
_INT_QUEUE = (
    "free", "number", "client", "key", "session", "segment", "conn", "position", "pod",
    "attempts", "error", "cookie", "new_cookie", "served", "next_one", "n_tried",
)  # fmt: skip
_FLOAT_CONN = ("conn_rtt", "conn_ready")
_INT_CONN = (
    "conn_free", "conn_node", "conn_target", "conn_worker", "conn_seat", "conn_door", "conn_port",
    "conn_users", "conn_busy", "conn_head", "conn_tail", "conn_closing",
)  # fmt: skip


def new_world(
    facts: Facts, *, lanes: int, jars: int, targets: int, slots: int, conns: int, heap: int
) -> World:
    """Return the arrays of a run at time 0 with room for ``slots`` requests in flight."""
    nodes, pods = len(facts.node_number), len(facts.pod_node)
    workers, places = len(facts.worker_node), max(facts.keepalive, 1) if facts.ingress else 1
    arrays: dict[str, np.ndarray] = {}
    arrays["heap_time"] = np.zeros(heap)
    arrays["heap_order"] = np.zeros(heap, np.int64)
    arrays["heap_load"] = np.zeros(heap, np.int64)
    arrays["count"] = np.zeros(8, np.int64)
    arrays["clock"] = np.zeros(4)
    arrays["clock"][T_DEADLINE] = np.inf
    arrays["clock"][T_STOP] = np.inf
    arrays |= {name: np.zeros(slots) for name in _FLOAT_QUEUE}
    arrays |= {name: np.zeros(slots, np.int64) for name in _INT_QUEUE}
    arrays["tried"] = np.zeros((slots, MAX_ATTEMPTS), np.int64)
    arrays["number"][:] = -1
    arrays |= {name: np.zeros(conns) for name in _FLOAT_CONN}
    arrays |= {name: np.zeros(conns, np.int64) for name in _INT_CONN}
    arrays["lane_conn"] = np.full(lanes, -1, np.int64)
    arrays["port_counter"] = np.zeros(len(facts.address_number), np.int64)
    arrays["azure_busy"] = np.zeros(nodes, np.int64)
    arrays["node_busy"] = np.zeros((nodes, targets), np.int64)
    arrays["worker_free"] = np.zeros(max(workers, 1))
    rows = int(facts.busy_of.max(initial=0)) + 1
    arrays["pod_busy"] = np.zeros((rows, pods), np.int64)
    arrays["jar"] = np.full(max(jars, 1), -1, np.int64)
    arrays["session_pod"] = np.full(max(jars, 1), -1, np.int64)
    shape = (max(workers, 1), places)
    for name in ("idle_pod", "idle_served", "idle_newer", "idle_older", "idle_up", "idle_down"):
        arrays[name] = np.full(shape, -1, np.int64)
    arrays["idle_since"] = np.zeros(shape)
    arrays["idle_first"] = np.full(shape[0], -1, np.int64)
    arrays["idle_last"] = np.full(shape[0], -1, np.int64)
    arrays["idle_spare"] = np.tile(np.arange(places, dtype=np.int64), (shape[0], 1))
    arrays["idle_n_spare"] = np.full(shape[0], places, np.int64)
    arrays["idle_top"] = np.full((shape[0], pods), -1, np.int64)
    for name in ("in_system", "serving"):
        arrays[name] = np.zeros(pods, np.int64)
    for name in ("queue_head", "queue_tail", "due_order"):
        arrays[name] = np.full(pods, -1, np.int64)
    for name in ("due_time", "virtual", "virtual_at", "since", "busy_area", "flight_area"):
        arrays[name] = np.zeros(pods)
    world = World(**arrays)
    world.free[:] = np.arange(slots)[::-1]
    world.conn_free[:] = np.arange(conns)[::-1]
    world.count[N_FREE] = slots
    world.count[N_CONN_FREE] = conns
    return world


def grown(world: World, *, slots: int = 0, conns: int = 0, heap: int = 0) -> World:
    """Return the world with room for more; what it holds stays where it is."""
    changed: dict[str, np.ndarray] = {}
    if heap:
        for name in ("heap_time", "heap_order", "heap_load"):
            changed[name] = _longer(getattr(world, name), heap)
    if slots > len(world.number):
        old = len(world.number)
        for name in (*_FLOAT_QUEUE, *_INT_QUEUE, "tried"):
            changed[name] = _longer(getattr(world, name), slots)
        changed["number"][old:] = -1
        _refill(changed["free"], world.count, N_FREE, old, slots)
    if conns > len(world.conn_node):
        old = len(world.conn_node)
        for name in (*_FLOAT_CONN, *_INT_CONN):
            changed[name] = _longer(getattr(world, name), conns)
        _refill(changed["conn_free"], world.count, N_CONN_FREE, old, conns)
    return world._replace(**changed)


def _refill(stack: np.ndarray, count: np.ndarray, which: int, old: int, new: int) -> None:
    held = int(count[which])
    stack[held : held + new - old] = np.arange(new - 1, old - 1, -1)
    count[which] = held + new - old


def _longer(array: np.ndarray, length: int) -> np.ndarray:
    made = np.zeros((length, *array.shape[1:]), array.dtype)
    made[: len(array)] = array
    return made
