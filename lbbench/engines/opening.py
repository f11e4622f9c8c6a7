"""Opening a client connection in the fast engine: layer 4 picks, and what a lost SYN costs."""

from __future__ import annotations

import math

from lbbench.core.held import hold
from lbbench.engines.busy import tell_load_balancer
from lbbench.engines.condition import door_of, is_cut_off, is_down
from lbbench.engines.counters import Counters
from lbbench.engines.events import CLIENT, SYN_TIMER, TIMER, event_order
from lbbench.engines.l4 import PORTS_PER_TARGET, flow_hash, node_key, worker_of
from lbbench.engines.parts import INGRESS, azure_at, azure_pick, node_at, node_pick
from lbbench.engines.pods import plan_event, plan_order
from lbbench.engines.recording import count_dead
from lbbench.engines.script import REFUSE, SILENT
from lbbench.engines.views import see_busy
from lbbench.engines.world import Facts, States, World
from lbbench.model.tally import (
    CONNECT_REFUSED,
    CONNECT_TIMEOUT,
    CONNECTIONS,
    LB_DROP,
    LOST_CONNECTIONS,
    LOST_SYNS,
    NO_PORT,
    SNAT,
)

CONNECTED = 0
REFUSED = 1  # a reset, or kube-proxy's REJECT
DROPPED = 2  # no answer: the client sends its SYN again
NOBODY = -1


def send_syn(  # noqa: C901  (the ways in which a SYN ends)
    f: Facts, w: World, c: Counters, s: States, slot: int, now: float
) -> int:
    """Send the SYN of the connection that the request in ``slot`` opens; return its fate.

    The load balancer looks at every SYN anew; a node's conntrack keeps the target that it picked
    for the first. The error class is set where the connection does not come about.
    """
    request = w.request[slot]
    conn = w.conn[request.conn]
    address = f.address[conn.where]
    conn.syns += 1
    node = request.given_node
    if node < 0:
        node = _pick_node(
            w, s, flow_hash(address.hash, f.port_hash[address.family], conn.port), now
        )
        conn.by_balancer = 1
    if node < 0:
        conn.by_balancer = 0
        request.error = LB_DROP
        return _lost(c, conn.syns)
    request.error = CONNECT_TIMEOUT
    if is_down(w, node):
        return _lost(c, conn.syns)
    if conn.node != node or conn.target < 0 or conn.node_boot != w.host[node].boot:
        conn.node = node
        conn.node_boot = w.host[node].boot
        conn.target = _pick_target(w, s, node, node_key(address.number, conn.port, f.by_port), now)
    if conn.target < 0:
        if w.lists.node_seen[node].drops:
            return _lost(c, conn.syns)
        conn.rtt = f.client_rtt
        request.error = CONNECT_REFUSED
        return REFUSED
    target = conn.target
    there = f.target_node[target]
    conn.rtt = f.client_rtt + f.hop_rtt[node, there]
    if is_cut_off(w, there, node):
        return _lost(c, conn.syns)
    if INGRESS == 0 and door_of(w, target) == REFUSE:
        count_dead(c, target, now)
        request.error = CONNECT_REFUSED
        return REFUSED
    if is_down(w, there) or (INGRESS == 0 and door_of(w, target) == SILENT):
        if INGRESS == 0:
            count_dead(c, target, now)
        return _lost(c, conn.syns)
    if f.local == 0 and w.node_busy[node, target] >= PORTS_PER_TARGET:
        c.totals[NO_PORT] += 1
        return _lost(c, conn.syns)
    request.error = -1
    conn.target_boot = w.host[there].boot
    conn.ready = now + conn.rtt
    c.totals[CONNECTIONS] += 1
    if conn.by_balancer:
        w.azure_busy[0, node] += 1
    w.node_busy[node, target] += 1
    c.totals[SNAT] += 1 - f.local
    c.snat_peak[0] = max(c.snat_peak[0], (1 - f.local) * w.node_busy[node, target])
    segment = request.segment
    c.node[segment, node].connections += 1
    if INGRESS == 0:
        c.pod[segment, target].connections += 1
        return CONNECTED
    source = address.number
    if f.local == 0:
        source = f.node[node].bridge if there == node else f.node[node].number
    conn.worker = target * f.replica_workers + worker_of(
        f.replica_salt[target], source, conn.port, f.replica_workers
    )
    c.replica[segment, target].connections += 1
    c.worker[segment, conn.worker].connections += 1
    return CONNECTED


def _pick_node(w: World, s: States, key: int, now: float) -> int:
    """Let the load balancer pick a node for a flow's hash; -1 when it holds none eligible."""
    n = w.lists.azure_seen[0].n
    see_busy(w, w.azure_busy[0], w.lists.azure[0], n)
    busy = w.azure_busy[0] if n == w.lists.azure.shape[1] else w.busy_seen[:n]
    nothing = w.tried_seen[:0]
    tell_load_balancer(s.azure, w.azure_busy[0])
    place = azure_pick(hold(azure_at(s.azure, 0, 0)), s.azure_rng[0], now, key, busy, nothing)
    return w.lists.azure[0, place] if place >= 0 else NOBODY


def _pick_target(w: World, s: States, node: int, key: int, now: float) -> int:
    """Let a node's rules pick a target for a connection; -1 when they have none."""
    n = w.lists.node_seen[node].n
    see_busy(w, w.node_busy[node], w.lists.node[node], n)
    busy = w.node_busy[node] if n == w.lists.node.shape[1] else w.busy_seen[:n]
    nothing = w.tried_seen[:0]
    place = node_pick(hold(node_at(s.node, node, 0)), s.node_rng[node], now, key, busy, nothing)
    return w.lists.node[node, place] if place >= 0 else NOBODY


def _lost(c: Counters, syns: int) -> int:
    c.totals[LOST_SYNS] += 1
    if syns == 1:
        c.totals[LOST_CONNECTIONS] += 1
    return DROPPED


def next_syn(opened: float, syns: int, limit: float) -> float:
    """Return when the client sends its SYN again, or gives up: 1, 3, 7, ... s after the first."""
    return opened + min(math.ldexp(1.0, int(syns)) - 1.0, limit)


def open_line(f: Facts, w: World, c: Counters, s: States, slot: int, now: float) -> bool:
    """Send the SYN of the request's connection; True: it is open and the request goes."""
    fate = send_syn(f, w, c, s, slot, now)
    request = w.request[slot]
    conn = w.conn[request.conn]
    if fate == CONNECTED:
        conn.busy += 1
        return True
    if fate == DROPPED:
        request.due = next_syn(conn.opened, conn.syns, f.client_timeout)
        plan_order(w, request.due, event_order(TIMER, request.number, SYN_TIMER), slot)
    else:
        request.breaks = 1
        plan_event(w, now + conn.rtt, CLIENT, slot, slot)
    return False
