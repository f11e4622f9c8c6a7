"""What all IPVS schedulers share: a node's list of destinations, persistence, connection counts.

Originals: torvalds/linux net/netfilter/ipvs/ip_vs_ctl.c at 6724af48, ip_vs_core.c at f5ca0eb3,
ip_vs_conn.c at 3c3d7cb1, and kubernetes/kubernetes pkg/proxy/ipvs/proxier.go at 9dce6402. All state
is a node's own.

**Order.** kube-proxy adds missing destinations in the order of their addresses as text, and the
kernel puts each at the *head* of the list. So schedulers walk from the last address to the first,
newer destinations before older ones, and a tie goes to the one that was added last.

**Persistence** (ClientIP affinity): a template per client keeps the destination, renewed by each
new connection. A template whose timer runs out while connection entries of the client exist is not
removed but armed anew for 60 s, and an entry lasts for ``fin`` (120 s) after its connection is
closed. So a timeout below ``fin`` lasts for timeout + 60 k seconds, with the least k that reaches
``fin`` (kubernetes/kubernetes issue 89358). kube-proxy sets expire_quiescent_template: a template
to a destination that left is void.

**Counts.** a = connections open through this node, I = those that were closed within ``fin``
seconds. A balancer is not told when a connection ends: each pick takes the difference between what
it knew to be open and what is open now for connections that end at this moment, and keeps them in
buckets of one second.

Deviations: what ends between two picks counts as ended at the second one, so I is late by at most
the gap between two picks; it lasts for 120 to 121 s; a connection whose SYN found nobody counts as
closed at the next pick (the kernel waits 60 s for it). The client's entries are taken to exist for
``fin`` seconds after its last connection was *opened*, not closed; after an extension the kernel
goes on with 60 s instead of the timeout. A removed destination leaves at once; kube-proxy gives it
weight 0 until it has neither active nor inactive connections, and looks once a minute. One that
comes back begins with no inactive connections. Weights are the endpoints' (kube-proxy sets 1).
Thresholds (OVERLOAD) are never set by kube-proxy. Templates are kept in client_map.py. Clients with
IPv6 addresses count as the number that stands for them in this program. Units: seconds.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.client_map import (
    ENTRIES,
    client_map,
    forget_endpoint,
    remember,
    remembered,
    remembers,
)
from lbbench.balancers.figures import seconds, whole
from lbbench.errors import BalancerError
from lbbench.model.addresses import split_address

SOURCE = (
    "torvalds/linux net/netfilter/ipvs/{files}, "
    "kubernetes/kubernetes pkg/proxy/ipvs/proxier.go@9dce6402"
)
FIN_S = 120  # ip_vs_proto_tcp.c: tcp_timeouts, FIN_WAIT and TIME_WAIT
REARM_S = 60.0  # ip_vs_conn.c: ip_vs_conn_expire, expire_later
PARAMS: Mapping[str, Any] = MappingProxyType(
    {"affinity_timeout": 0.0, "affinity_entries": ENTRIES, "fin": FIN_S}
)
"""Options of every scheduler; ``fin`` in whole seconds."""

WORD = 0xFFFFFFFF
PORT_BITS = 16  # a key with the port is 65536 x address + port
PORTS = 0xFFFF

HEAD = -1
UNKNOWN = -1
LISTED, AT, STEP, MOST, CURRENT, SECOND = range(6)


class IpvsState(NamedTuple):
    """One node's virtual service; E endpoints, B buckets, M table entries, K clients.

    B is 1 and M is 1 where the scheduler has no use for them.
    """

    number: np.ndarray  # int64[6] listed; rr, wrr: place of the last choice in `row`, HEAD: none;
    # wrr: step, most and current weight; second that the buckets are up to
    weight: np.ndarray  # int64[E] by id
    row: np.ndarray  # int64[E] ids in the list's order, the one added last first
    seat: np.ndarray  # int64[E] by id: position as the engine has it, -1: not listed
    held: np.ndarray  # int64[E] by id: open after the last pick, UNKNOWN
    inactive: np.ndarray  # int64[E] by id
    ended: np.ndarray  # int64[E, B] connections that ended, by second modulo B
    table: np.ndarray  # int64[M] hashes: endpoint ids, -1: none
    offset: np.ndarray  # int64[2, E] mh: offset and skip by id
    place: np.ndarray  # int64[2, E] scratch
    rule: np.ndarray  # int64[] numbers of the scheduler's own, as given
    client: np.ndarray  # int64[K] see client_map.py, as are those below
    until: np.ndarray  # float64[K] seconds
    owner: np.ndarray  # int64[2, K]
    life: np.ndarray  # int64[E]
    span: np.ndarray  # float64[1] seconds


def ipvs_state(
    name: str,
    params: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    *,
    counts: bool = False,
    table: int = 1,
    rule: tuple[int, ...] = (0,),
) -> IpvsState:
    """Return a virtual service without destinations.

    Parameters
    ----------
    counts
        Whether inactive connections are counted.
    table
        Entries of the scheduler's table of hashes.
    rule
        Numbers of the scheduler's own that never change.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    n, fin = len(endpoints), whole(name, params, "fin", 1)
    timeout = seconds(name, params, "affinity_timeout")
    affinity = client_map(name, n, timeout, params["affinity_entries"])
    affinity["span"][0] = template_span(timeout, fin)
    return IpvsState(
        number=np.array([0, HEAD, 1, 0, 0, 0], np.int64),
        weight=np.array([item.weight for item in endpoints], np.int64),
        row=np.zeros(n, np.int64),
        seat=np.full(n, -1, np.int64),
        held=np.full(n, UNKNOWN, np.int64),
        inactive=np.zeros(n, np.int64),
        ended=np.zeros((n, fin + 1 if counts else 1), np.int64),
        table=np.full(table, -1, np.int64),
        offset=np.zeros((2, n), np.int64),
        place=np.zeros((2, n), np.int64),
        rule=np.array(rule, np.int64),
        **affinity,
    )


def template_span(timeout: float, fin: int) -> float:
    """Return how many seconds a template lasts after its client's last connection."""
    if timeout <= 0.0 or timeout >= fin:
        return max(timeout, 0.0)
    return timeout + REARM_S * math.ceil((fin - timeout) / REARM_S)


def folded(name: str, address: str) -> tuple[int, int]:
    """Return (the 32 bits that hashes see of an address, port) of "ADDRESS:PORT"; IPv6 is folded.

    Raises
    ------
    BalancerError
        When the text is no such thing.
    """
    try:
        host, port = split_address(address)
        number = int(ipaddress.ip_address(host))
    except ValueError as error:
        raise BalancerError(f"{name}: {address}: must be ADDRESS:PORT") from error
    found = 0
    while number:
        found ^= number & WORD
        number >>= 32
    return found, port


# --- the list -------------------------------------------------------------------------------------


def on_endpoints(
    state: IpvsState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take another list: destinations that are new come to its head, the last of them first."""
    was_in = state.place[0]
    for k in range(state.number[LISTED]):
        was_in[state.row[k]] = 1
    for k in range(len(old)):
        state.seat[old[k]] = -1
    for k in range(len(new)):
        state.seat[new[k]] = k
    _delete_unseated(state)
    added = 0
    for k in range(len(new)):
        added += 1 - was_in[new[k]]
    n = state.number[LISTED] + added
    for k in range(n - 1, added - 1, -1):
        state.row[k] = state.row[k - added]
    at = added
    for k in range(len(new)):
        if was_in[new[k]] == 0:
            at -= 1
            state.row[at] = new[k]
            _begin_to_count(state, new[k])
    state.number[LISTED] = n
    if state.number[AT] != HEAD:
        state.number[AT] += added
    for k in range(len(old)):
        was_in[old[k]] = 0


def _delete_unseated(state: IpvsState) -> None:
    """Delete the destinations that have no seat; the pointer goes one back from a deleted one."""
    at = state.number[AT]
    kept = 0
    for k in range(state.number[LISTED]):
        endpoint = state.row[k]
        if state.seat[endpoint] >= 0:
            state.row[kept] = endpoint
            kept += 1
            continue
        forget_endpoint(state, endpoint)
        if k <= at:
            state.number[AT] -= 1
    state.number[LISTED] = kept


def _begin_to_count(state: IpvsState, endpoint: int) -> None:
    state.held[endpoint] = UNKNOWN
    state.inactive[endpoint] = 0
    for k in range(state.ended.shape[1]):
        state.ended[endpoint, k] = 0


# --- persistence ----------------------------------------------------------------------------------


def templated(state: IpvsState, client: int, now: float) -> int:
    """Return the id of the destination of a client's template, -1 when there is none."""
    if not remembers(state):
        return -1
    return remembered(state, client, now)


def chosen(state: IpvsState, client: int, endpoint: int, now: float) -> int:
    """Return the position of the destination that a client gets, and keep a template.

    ``endpoint`` is an id, -1 for none.
    """
    if endpoint < 0:
        return -1
    if remembers(state):
        remember(state, client, endpoint, now)
    return int(state.seat[endpoint])
