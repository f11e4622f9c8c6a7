"""Layer 4 of a steady run: who gets a connection."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.l4 import flow_hash, source_port, worker_of
from lbbench.engines.parts import INGRESS, azure_at, azure_pick, node_at, node_pick
from lbbench.engines.steady.ports import open_port
from lbbench.engines.steady.world import N_STRAYED, Steady
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.tally import ATTEMPTS, CONNECTIONS, CROSS_NODE


def open_connection(
    f: Facts, lists: Lists, w: Steady, c: Counters, s: States, slot: int, now: float
) -> None:
    """Open the request's connection: the load balancer and a node's rules pick."""
    request = w.request[slot]
    where = f.client_address[request.client]
    address = f.address[where]
    port = source_port(address.salt, w.opened[where])
    w.opened[where] += 1
    node = request.given_node + 0
    if node < 0:
        busy = w.unseen[: lists.azure_seen[0].n]
        key = flow_hash(address.hash, f.port_hash[address.family], port)
        place = azure_pick(azure_at(s.azure, 0, 0), s.azure_rng[0], now, key, busy, w.unseen[:0])
        if place < 0:
            w.number[N_STRAYED] = 1
            place = 0
        node = lists.azure[0, place]
    busy = w.unseen[: lists.node_seen[node].n]
    place = node_pick(
        node_at(s.node, node, 0), s.node_rng[node], now, address.number, busy, w.unseen[:0]
    )
    if place < 0:
        w.number[N_STRAYED] = 1
        place = 0
    target = lists.node[node, place]
    there = f.target_node[target]
    request.rtt = f.client_rtt + f.hop_rtt[node, there]
    request.node = node
    request.target = target
    request.port = port
    c.totals[CONNECTIONS] += 1
    if f.local == 0:
        open_port(w, c, node, target, now)
    else:
        w.node_busy[node, target] += 1
    segment = request.segment
    c.node[segment, node].connections += 1
    if not INGRESS:
        c.pod[segment, target].connections += 1
        return
    source = address.number
    if f.local == 0:
        source = f.node[node].bridge if there == node else f.node[node].number
    worker = target * f.replica_workers + worker_of(
        f.replica_salt[target], source, port, f.replica_workers
    )
    request.worker = worker
    c.replica[segment, target].connections += 1
    c.worker[segment, worker].connections += 1


def count_sent(f: Facts, w: Steady, c: Counters, slot: int) -> None:
    """Count a request that goes on the wire, by what it will meet."""
    request = w.request[slot]
    segment = request.segment
    c.node[segment, request.node].requests += 1
    if INGRESS:
        c.replica[segment, request.target].requests += 1
        c.worker[segment, request.worker].requests += 1
        return
    pod = request.target
    request.pod = pod
    c.totals[ATTEMPTS] += 1
    if f.target_node[pod] != request.node:
        c.totals[CROSS_NODE] += 1
    served = c.pod[segment, pod]
    served.attempts += 1
    served.first += 1
    if c.window_pods.shape[1] > 0:
        c.window_pods[request.window, pod] += 1
