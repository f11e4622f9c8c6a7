"""Every array of a run: what is given (`Facts`), what changes (`World`), what balancers keep.

L lanes, A source addresses, J cookie jars, U users of closed traffic, Q slots for requests in
flight, C slots for open connections, N nodes, R ingress replicas, W workers of all replicas, P pods
that ever exist, T targets of kube-proxy (replicas on the ingress path, else pods), V views
(endpoint lists of workers), K places of one worker's upstream keep-alive cache. Times are float64
seconds. The records are in tables.py.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.engines.growth import longer, refilled
from lbbench.engines.tables import (
    CONN,
    DESK,
    HOST,
    IDLE,
    INT,
    JAR,
    QUEUE,
    REQUEST,
    SITE,
    UNIT,
    USER_ROW,
    table,
)
from lbbench.traffic.closed import CHUNK


class Facts(NamedTuple):
    """What a run is given and never changes."""

    ingress: int  # 1: ingress path, 0: service path
    local: int  # 1: externalTrafficPolicy Local (the client address reaches the replica)
    streams: int  # requests that one client connection carries at a time
    tries: int  # attempts per request, the first included
    retry_on_error: int  # 1: a refused or reset attempt is retried
    retry_on_timeout: int  # 1: an attempt that timed out is retried
    cookies: int  # 1: the L7 balancer reads and sets cookies
    sees_pods: int  # 1: the L7 balancer sees the pods' true numbers
    sees_work: int  # 1: the L7 balancer sees the pods' work left, 2: when a place is free
    ms_clock: int  # 1: the L7 balancer reads nginx's millisecond clock
    any_answer: int  # 1: `done` takes an answer of 5xx for a good one
    first_counts: int  # 1: `done` hears of a request's first attempt, 0: of its last
    shared: int  # 1: pods share their cores, 0: FIFO
    by_port: int  # 1: kube-proxy's key holds the source port
    records: int  # 1: keep one row per request
    keepalive: int  # places of the upstream keep-alive cache, 0: off
    keepalive_requests: int  # requests per upstream connection
    keepalive_timeout: float  # seconds an idle upstream connection stays usable
    connect_timeout: float  # nginx's, towards pods
    read_timeout: float
    client_timeout: float  # the client's own: connecting, and silence
    client_requests: int  # requests per client connection that nginx allows
    client_idle: float  # seconds after which nginx closes an idle client connection
    flow_idle: float  # seconds after which the load balancer forgets a flow
    flow_reset: int  # 1: it sends resets then
    lock_hold: float  # seconds that an update of ewma holds its lock
    backends: int  # 2 with a canary
    canary_weight: int
    canary_total: int
    worker_cpu: float  # seconds of worker time per request
    replica_workers: int
    client_rtt: float
    path_delay: float
    path_jitter: float  # mean of the exponential jitter
    drain: float  # seconds after the last arrival
    duration: float  # seconds, 0: the run is given by its number of requests
    n_requests: int  # 0: the run is given by its duration
    users: int  # of closed traffic, 0: open
    chained: int  # 1: connections bring their own lanes and their requests follow each other
    window: float  # width of a window
    settled: int  # first segment of the histograms that are not kept per segment
    by_key: int  # 1: remaps are counted by key, 0: by session
    quota: float  # CPU seconds that a pod may use per period, 0: no limit
    period: float
    jitter_salt: np.ndarray  # uint64[1]
    client_address: np.ndarray  # int64[clients] index into the addresses
    user_client: np.ndarray  # int64[U]
    user_session: np.ndarray  # int64[U] cookie jar, -1: none
    address: np.ndarray  # ADDRESS[A]
    port_hash: np.ndarray  # int64[2, 2, 256] what the port bytes add to the hash, by family
    node: np.ndarray  # NODE[N]
    target_node: np.ndarray  # int64[T]
    replica_salt: np.ndarray  # uint64[R] salt of the replica's SO_REUSEPORT hash
    worker: np.ndarray  # WORKER[W]
    view_of: np.ndarray  # VIEW_OF[V]
    hop_rtt: np.ndarray  # float64[N, N]
    pod: np.ndarray  # POD[P]
    step: np.ndarray  # STEP[S] what happens to the cluster
    listed: np.ndarray  # int64[] the lists of the steps
    part_kind: np.ndarray  # int64[parts] of the hash key: see hashkey.py
    part_row: np.ndarray  # int64[parts] first row of that part's table in text_start
    text_start: np.ndarray  # int64[rows + 1] where each text begins in text_bytes
    text_bytes: np.ndarray  # uint8
    key_hash: np.ndarray  # int64[n] crc32 by index when at most one part varies


class Lists(NamedTuple):
    """What every viewer holds to be there, in the order of the addresses."""

    azure: np.ndarray  # int64[1, N] nodes that are eligible
    azure_seen: np.ndarray  # SEEN[1]
    node: np.ndarray  # int64[N, T] targets in each node's rules
    node_seen: np.ndarray  # SEEN[N]
    pod: np.ndarray  # int64[V, P] pods of each view
    pod_seen: np.ndarray  # SEEN[V]


class World(NamedTuple):
    """What changes during a run."""

    heap_time: np.ndarray  # float64
    heap_order: np.ndarray  # int64
    heap_load: np.ndarray  # int64: slot of the request; pod when pods share; -1 - connection slot
    out_time: np.ndarray  # float64[] events that the present one schedules
    out_order: np.ndarray  # int64[]
    out_load: np.ndarray  # int64[]
    number: np.ndarray  # int64[] see N_* below
    clock: np.ndarray  # float64[] see T_* below
    free: np.ndarray  # int64[Q] stack of free request slots
    request: np.ndarray  # REQUEST[Q]
    tried: np.ndarray  # int64[Q, tries] pods where the request failed
    conn_free: np.ndarray  # int64[C] stack of free connection slots
    conn: np.ndarray  # CONN[C]
    lane_conn: np.ndarray  # int64[L] open connection of the lane, -1: none
    lane_free: np.ndarray  # int64[L] stack of free lanes, where connections bring their own
    opened: np.ndarray  # int64[A] connections that the source address has opened
    azure_busy: np.ndarray  # int64[1, N] open connections by node
    node_busy: np.ndarray  # int64[N, T] open connections by node and target
    desk: np.ndarray  # DESK[W]
    idle: np.ndarray  # IDLE[W, K]
    idle_top: np.ndarray  # int64[W, P] most recent idle connection to the pod, -1: none
    pod_busy: np.ndarray  # int64[rows, P] outstanding attempts by instance and pod
    lock_until: np.ndarray  # float64[rows, P] end of the hold of an update's lock
    lock_owner: np.ndarray  # int64[rows, P] worker that holds it
    jar: np.ndarray  # JAR[J]
    unit: np.ndarray  # UNIT[J or keys]
    in_system: np.ndarray  # int64[P] requests at the pod
    queue: np.ndarray  # QUEUE[P]
    site: np.ndarray  # SITE[P]
    host: np.ndarray  # HOST[N]
    served: (
        np.ndarray
    )  # int64[P, places] slots in service at a FIFO pod, where a balancer sees work
    free_at: np.ndarray  # int64[places] scratch: when the places are free, nanoseconds
    lists: Lists
    busy_seen: np.ndarray  # int64[] scratch: busy by position
    tried_seen: np.ndarray  # int64[] scratch: tried by position
    old_list: np.ndarray  # int64[] scratch: the list before a change
    user_row: np.ndarray  # USER_ROW[U, 2 CHUNK] rows of each user, one chunk ahead
    user_at: np.ndarray  # int64[U] rows used
    user_fed: np.ndarray  # int64[U] chunks of rows given
    hungry: np.ndarray  # int64[U] users whose older chunk is used up


(
    N_HEAP,
    N_FREE,
    N_CONN_FREE,
    N_LANE_FREE,
    N_SEGMENT,
    N_CURSOR,
    N_REQUEST,
    N_STOPPED,
    N_OUT,
    N_STEP,
    N_COMING,
    N_THINKING,
    N_TAIL,
    N_HUNGRY,
    N_STARVED,
    N_BEGUN,
    N_OLDEST,
    N_NEWEST,
    N_IDLE_OLDEST,
    N_IDLE_NEWEST,
    N_ROUTES,
) = range(21)
T_LAST, T_ARRIVAL, T_DEADLINE, T_READ, T_IDLE, T_CUT = range(6)

OUT = 64  # events that one event can schedule, beside two for each request


class States(NamedTuple):
    """What the balancers keep: states stacked by instance, and their streams."""

    azure: Any  # arrays [1, ...]
    node: Any  # arrays [N, ...]
    pod: Any  # arrays [V or groups, ...]
    new_node: Any  # the same as they were before their first list
    new_pod: Any
    azure_rng: np.ndarray  # uint64[1, 4]
    node_rng: np.ndarray  # uint64[N, 4]
    pod_rng: np.ndarray  # uint64[streams, 4]


def new_world(
    facts: Facts,
    lists: Lists,
    members: np.ndarray,
    *,
    lanes: int,
    jars: int,
    units: int,
    slots: int,
    conns: int,
    heap: int,
) -> World:
    """Return the arrays of a run at time 0 with room for ``slots`` requests in flight.

    ``members`` holds the pods that belong to the cluster then.
    """
    nodes, pods, targets = len(facts.node), len(facts.pod), len(facts.target_node)
    workers, places = len(facts.worker), max(facts.keepalive, 1)
    rows = int(facts.worker["busy"].max(initial=0)) + 1
    most = int(facts.pod["places"].max(initial=1)) if facts.sees_work else 1
    world = World(
        heap_time=np.zeros(heap),
        heap_order=np.zeros(heap, INT),
        heap_load=np.zeros(heap, INT),
        out_time=np.zeros(2 * slots + OUT),
        out_order=np.zeros(2 * slots + OUT, INT),
        out_load=np.zeros(2 * slots + OUT, INT),
        number=np.zeros(24, INT),
        clock=np.zeros(8),
        free=np.arange(slots, dtype=INT)[::-1].copy(),
        request=table(REQUEST, slots),
        tried=np.zeros((slots, facts.tries), INT),
        conn_free=np.arange(conns, dtype=INT)[::-1].copy(),
        conn=table(CONN, conns),
        lane_conn=np.full(lanes, -1, INT),
        lane_free=np.arange(lanes, dtype=INT)[::-1].copy(),
        opened=np.zeros(len(facts.address), INT),
        azure_busy=np.zeros((1, nodes), INT),
        node_busy=np.zeros((nodes, targets), INT),
        desk=table(DESK, workers),
        idle=table(IDLE, workers, places),
        idle_top=np.full((workers, pods), -1, INT),
        pod_busy=np.zeros((rows, pods), INT),
        lock_until=np.zeros((rows, pods) if facts.lock_hold > 0.0 else (1, 1)),
        lock_owner=np.zeros((rows, pods) if facts.lock_hold > 0.0 else (1, 1), INT),
        jar=table(JAR, max(jars, 1)),
        unit=table(UNIT, max(units, 1)),
        in_system=np.zeros(pods, INT),
        queue=table(QUEUE, pods),
        site=table(SITE, pods),
        host=table(HOST, nodes),
        served=np.zeros((pods if facts.sees_work else 1, most), INT),
        free_at=np.zeros(most, INT),
        lists=Lists(*(array.copy() for array in lists)),
        busy_seen=np.zeros(max(nodes, pods, targets), INT),
        tried_seen=np.zeros(facts.tries, INT),
        old_list=np.zeros(max(nodes, pods, targets), INT),
        user_row=table(USER_ROW, facts.users, 2 * CHUNK),
        user_at=np.zeros(facts.users, INT),
        user_fed=np.zeros(facts.users, INT),
        hungry=np.zeros(facts.users, INT),
    )
    world.request["number"] = -1
    world.conn["lane"] = -1
    for name in ("first", "last"):
        world.desk[name] = -1
    world.desk["n_spare"] = places
    world.idle["spare"] = np.arange(places)
    for name in ("head", "tail", "due_order"):
        world.queue[name] = -1
    world.queue["budget"] = facts.quota
    world.queue["turn"] = np.inf
    world.jar["cookie"] = -1
    world.jar["expires"] = -np.inf
    for name in ("last", "pod", "before"):
        world.unit[name] = -1
    world.site["speed"] = facts.pod["speed"]
    world.site["member"][members] = 1
    world.host["up"] = 1
    for count, value in (
        (N_FREE, slots),
        (N_CONN_FREE, conns),
        (N_LANE_FREE, lanes),
        (N_ROUTES, 1),
        (N_OLDEST, -1),
        (N_NEWEST, -1),
        (N_IDLE_OLDEST, -1),
        (N_IDLE_NEWEST, -1),
    ):
        world.number[count] = value
    for timer in (T_DEADLINE, T_READ, T_IDLE):
        world.clock[timer] = np.inf
    world.clock[T_CUT] = -np.inf
    return world


def grown(world: World, *, slots: int = 0, conns: int = 0, lanes: int = 0, heap: int = 0) -> World:
    """Return the world with room for more; what it holds stays where it is."""
    changed: dict[str, np.ndarray] = {}
    if heap:
        for name in ("heap_time", "heap_order", "heap_load"):
            changed[name] = longer(getattr(world, name), heap)
    if slots:
        old = len(world.request)
        changed |= {name: longer(getattr(world, name), slots) for name in ("request", "tried")}
        changed["request"]["number"][old:] = -1
        for name in ("out_time", "out_order", "out_load"):
            changed[name] = longer(getattr(world, name), 2 * slots + OUT)
        changed["free"] = refilled(world.free, world.number, N_FREE, slots)
    if conns:
        old = len(world.conn)
        changed["conn"] = longer(world.conn, conns)
        changed["conn"]["lane"][old:] = -1
        changed["conn_free"] = refilled(world.conn_free, world.number, N_CONN_FREE, conns)
    if lanes:
        old = len(world.lane_conn)
        changed["lane_conn"] = longer(world.lane_conn, lanes)
        changed["lane_conn"][old:] = -1
        changed["lane_free"] = refilled(world.lane_free, world.number, N_LANE_FREE, lanes)
    return world._replace(**changed)  # type: ignore[arg-type]
