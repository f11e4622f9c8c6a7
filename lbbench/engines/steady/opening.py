"""Layer 4 of a steady run: who gets a connection."""

from __future__ import annotations

from lbbench.engines.counters import Counters
from lbbench.engines.l4 import flow_hash, node_key, source_port, worker_of
from lbbench.engines.parts import INGRESS, azure_at, azure_pick, node_at, node_pick
from lbbench.engines.steady.ports import open_port
from lbbench.engines.steady.slots import stray
from lbbench.engines.steady.world import Steady
from lbbench.engines.world import Facts, Lists, States
from lbbench.model.tally import ATTEMPTS, CONNECTIONS, CROSS_NODE, SNAT


def pick_port(f: Facts, w: Steady, where: int) -> int:
    """Return the source port of the next connection of a source address."""
    port = source_port(f.address[where].salt, w.opened[where])
    w.opened[where] += 1
    return port


def pick_node(
    f: Facts, lists: Lists, w: Steady, s: States, where: int, port: int, now: float
) -> int:
    """Let the load balancer pick a node for a connection."""
    address = f.address[where]
    key = flow_hash(address.hash, f.port_hash[address.family], port)
    unseen = w.unseen[: lists.azure_seen[0].n]
    place = azure_pick(azure_at(s.azure, 0, 0), s.azure_rng[0], now, key, unseen, w.unseen[:0])
    if place < 0:
        stray(w)
        place = 0
    return lists.azure[0, place]


def pick_target(lists: Lists, w: Steady, s: States, node: int, key: int, now: float) -> int:
    """Let a node's rules pick a target for a connection."""
    unseen = w.unseen[: lists.node_seen[node].n]
    state = node_at(s.node, node, 0)
    place = node_pick(state, s.node_rng[node], now, key, unseen, w.unseen[:0])
    if place < 0:
        stray(w)
        place = 0
    return lists.node[node, place]


def worker_for(f: Facts, where: int, node: int, target: int, port: int) -> int:
    """Return the worker of the replica ``target`` that gets a connection through ``node``."""
    source = f.address[where].number
    if f.local == 0:
        own = f.target_node[target] == node
        source = f.node[node].bridge if own else f.node[node].number
    worker = worker_of(f.replica_salt[target], source, port, f.replica_workers)
    return target * f.replica_workers + worker


def open_connection(
    f: Facts, lists: Lists, w: Steady, c: Counters, s: States, slot: int, now: float
) -> None:
    """Open the request's connection: the load balancer and a node's rules pick."""
    request = w.request[slot]
    where = f.client_address[request.client]
    port = pick_port(f, w, where)
    node = request.given_node + 0
    if node < 0:
        node = pick_node(f, lists, w, s, where, port, now)
    target = pick_target(lists, w, s, node, node_key(f.address[where].number, port, f.by_port), now)
    request.rtt = f.client_rtt + f.hop_rtt[node, f.target_node[target]]
    request.node = node
    request.target = target
    request.port = port
    c.totals[CONNECTIONS] += 1
    if f.local == 0:
        c.totals[SNAT] += 1
        open_port(w, c, node, target, now, now)
    segment = request.segment
    c.node[segment, node].connections += 1
    if not INGRESS:
        c.pod[segment, target].connections += 1
        return
    request.worker = worker_for(f, where, node, target, port)
    c.replica[segment, target].connections += 1
    c.worker[segment, request.worker].connections += 1


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
    if c.window_pods.shape[1] > 0:
        c.window_pods[request.window, pod] += 1
