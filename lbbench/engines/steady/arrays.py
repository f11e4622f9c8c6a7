"""Layer 4 by whole arrays: a batch of requests opens its connections, one step after the other."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.l4 import node_key
from lbbench.engines.parts import INGRESS
from lbbench.engines.steady.counting import arrive
from lbbench.engines.steady.opening import pick_node, pick_port, pick_target, worker_for
from lbbench.engines.steady.world import N_FREE, N_REQUEST, N_SEGMENT, T_ARRIVAL, Steady
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.tally import CROSS_NODE
from lbbench.model.trace import Trace

FIRST, LAST = range(2)


def open_batch(
    f: Facts, lists: Lists, w: Steady, c: Counters, s: States, block: Trace, row: int, end: int
) -> None:
    """Let the requests in rows ``row`` .. ``end`` of the block come and open their connections.

    One step after the other for all of them: the processor works on several requests at a time
    where the code for one is short.
    """
    lot = w.lot
    for at in range(row, end):
        place = lot[at - row]
        place.where = f.client_address[block.client[at]]
        place.node = block.node[at]
        place.port = pick_port(f, w, place.where)
    for k in range(end - row):
        place = lot[k]
        if place.node < 0:
            place.node = pick_node(f, lists, w, s, place.where, place.port, block.arrival[row + k])
    for k in range(end - row):
        place = lot[k]
        key = node_key(f.address[place.where].number, place.port, f.by_port)
        place.target = pick_target(lists, w, s, place.node, key, block.arrival[row + k])
    for k in range(end - row):
        _come(f, w, c, block, row + k, lot[k].node, lot[k].target, lot[k].port, lot[k].where)


def _come(
    f: Facts,
    w: Steady,
    c: Counters,
    block: Trace,
    row: int,
    node: int,
    target: int,
    port: int,
    where: int,
) -> None:
    """Let the request in ``row`` of the block come, on its connection; it goes on its way."""
    now = block.arrival[row]
    w.number[N_FREE] -= 1
    slot = w.free[w.number[N_FREE]]
    request = w.request[slot]
    request.number = w.number[N_REQUEST]
    request.arrival = now
    request.work = block.work[row]
    request.client = block.client[row]
    request.key = block.key[row]
    request.session = -1
    request.cookie = -1
    request.last = 1
    request.node = node
    request.target = target
    request.port = port
    w.number[N_REQUEST] += 1
    w.clock[T_ARRIVAL] = now
    segment, window = arrive(f, w, c, request.number, now)
    request.segment = segment
    request.window = window
    while w.number[N_SEGMENT] <= segment:
        w.opening[w.number[N_SEGMENT]] = now
        w.number[N_SEGMENT] += 1
    there = f.target_node[target]
    rtt = f.client_rtt + f.hop_rtt[node, there]
    c.node[segment, node].connections += 1
    if INGRESS:
        request.worker = worker_for(f, where, node, target, port)
        c.worker[segment, request.worker].connections += 1
    else:
        request.pod = target
        c.pod[segment, target].connections += 1
        if there != node:
            c.totals[CROSS_NODE] += 1
        if c.window_pods.shape[1] > 0:
            c.window_pods[window, target] += 1
    request.sent = now
    request.rtt = rtt
    request.written = now + rtt
    request.at_worker = arrival_time(f, now, rtt)
    request.next = -1
    way = 0 if there == node else 1
    if w.way[way, FIRST] < 0:
        w.way[way, FIRST] = slot
    else:
        w.request[w.way[way, LAST]].next = slot
    w.way[way, LAST] = slot


def arrival_time(f: Facts, sent: float, rtt: float) -> float:
    """Return when a request arrives whose connection is opened when it is ``sent``."""
    return ((sent + rtt) + 0.5 * rtt) + f.path_delay
