"""The four choices on the way of a packet: node, endpoint, nginx worker, pod.

Each takes the same hash or the same named random stream as a run of the scenario, so a walk shows
the choice that the first connection of a run meets at that instance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.iptables import ALWAYS, rule_shares
from lbbench.core.hashes import RSS_KEY, crc32_text, flow_bytes, toeplitz, toeplitz_tables
from lbbench.core.rng import bits31, mix64, next_u64, stream, uniform, wrapping
from lbbench.engines.keys import split_template
from lbbench.engines.l4 import FIRST_PORT, N_PORTS, node_key, source_port, worker_of
from lbbench.engines.network import address_number
from lbbench.errors import RunError
from lbbench.packetwalk.hop import Decision, Draw, Flow
from lbbench.packetwalk.rules import thresholds
from lbbench.packetwalk.site import Controller, Service, Site, Target

NO_IDS = np.zeros(0, np.int64)
NO_KEY = -1  # a balancer's key for "no hash, no cookie"
U32 = np.uint64(32)

FIELDS = {"Default": "5-tuple", "SourceIP": "2-tuple", "SourceIPProtocol": "3-tuple"}

SCOPES = {
    "worker": "one state per worker",
    "replica": "one state for all workers of the replica",
    "shared": "the same for all workers",
    "node": "one state per node",
}


def first_port(seed: int, client: int) -> int:
    """Return the source port of the first connection of synthetic client number ``client``."""
    with wrapping():
        base = stream(seed, 0, "traffic", "ports")[0]
        return source_port(mix64(base ^ mix64(np.uint64(client))), 0)


@cache
def _tables() -> np.ndarray:
    return toeplitz_tables(RSS_KEY)


def flow_hash(site: Site, flow: Flow) -> int:
    """Return the load balancer's Toeplitz hash of a flow (uint32)."""
    data = flow_bytes(
        site.front.distribution,
        flow.source,
        flow.source_port,
        flow.destination,
        flow.destination_port,
    )
    with wrapping():
        return int(toeplitz(_tables(), np.frombuffer(data, np.uint8)))


def pick_node(
    site: Site, flow: Flow, seed: int, given: tuple[int, str] | None
) -> tuple[int, Decision]:
    """Return the entry node and why; ``given`` is (node, who chose it)."""
    front, healthy = site.front, site.healthy()
    value = flow_hash(site, flow)
    n = len(healthy)
    by = f"{front.balancer.name}, {front.distribution} ({FIELDS[front.distribution]})"
    wanted = None if given is None else given[0]
    asked = _ask(
        front.balancer,
        front.options,
        [node.address for node in site.nodes],
        healthy,
        stream(seed, 0, "azure_lb", "all"),
        value,
        given=healthy.index(wanted) if wanted in healthy else None,
    )
    if front.balancer.name == "azure_lb" and front.mapping == "modulo":
        by += f": Toeplitz {value:#010x} mod {n} = {value % n} -> "
        by += site.nodes[healthy[value % n]].name
    elif front.balancer.name == "azure_lb":
        by += f": Toeplitz {value:#010x}, {front.mapping} over {n} nodes"
    node = healthy[asked.position] if wanted is None else wanted
    return node, Decision(
        by,
        site.nodes[node].name,
        n,
        probability=asked.share if node in healthy else 0.0,
        hash=value,
        uniform=asked.uniform,
        given=None if given is None else given[1],
    )


def pick_endpoint(
    site: Site, node: int, flow: Flow, seed: int, given: tuple[str, str] | None
) -> tuple[int, Decision]:
    """Return the position of the endpoint in ``site.endpoints(node)`` and why.

    ``given`` is (address, who chose it); the list must not be empty.
    """
    service = site.service
    listed = site.endpoints(node)
    n = len(listed)
    by = _how_endpoint(service, n)
    limits = thresholds(service, n) if service.mode == "iptables" else []
    wanted = None if given is None else _position(listed, given[0])
    rng = stream(seed, 0, "kube_proxy", site.nodes[node].name)
    draws: tuple[Draw, ...] = ()
    if service.mode == "iptables":
        shares = rule_shares(limits)
        position = wanted
        if position is None:
            position, draws = statistic_random(limits, rng)
        share = shares[position] if position >= 0 else 1.0 - shares.sum()
        asked = Asked(position, None, float(share))
    else:
        asked = _ask(
            service.balancer,
            service.options,
            [item.address for item in listed],
            range(n),
            rng,
            node_key(address_number(flow.source), flow.source_port, int(service.balancer.by_port)),
            given=wanted,
        )
    return asked.position, Decision(
        by,
        listed[asked.position].address if asked.position >= 0 else "no endpoint",
        n,
        probability=asked.share,
        draws=draws,
        uniform=asked.uniform,
        given=None if given is None else given[1],
    )


def _how_endpoint(service: Service, n: int) -> str:
    if n == 1:
        return "one endpoint, nothing to choose"
    words = {
        "iptables": "statistic random: a new random number per rule, the last takes the rest",
        "iptables_nth": "statistic nth: a counter per rule, round robin over new connections",
        "nftables": f"numgen random mod {n}",
        "ipvs": f"IPVS scheduler {service.balancer.name.removeprefix('ipvs_')}",
        "maglev": "Maglev table, hash of the flow",
    }
    return f"{words.get(service.mode, service.mode)}, {n} endpoints"


def statistic_random(limits: Sequence[int], rng: np.ndarray) -> tuple[int, tuple[Draw, ...]]:
    """Return the rule that matches (-1: none), and the draws: 31 bits against a threshold each.

    A rule without a probability draws nothing (Linux net/netfilter/xt_statistic.c@02b5a603).
    """
    draws: list[Draw] = []
    for i, limit in enumerate(limits):
        if limit >= ALWAYS:
            return i, tuple(draws)
        with wrapping():
            bits = int(bits31(rng))
        draws.append(Draw(bits / ALWAYS, limit / ALWAYS, bits < limit))
        if bits < limit:
            return i, tuple(draws)
    return -1, tuple(draws)


def masquerade_port(site: Site, node: int, port: int, seed: int) -> int:
    """Return the source port after MASQUERADE: kept, or drawn under ``--random-fully``."""
    if site.service.naming == "old":
        return port
    with wrapping():
        bits = next_u64(stream(seed, 0, "masquerade", site.nodes[node].name))
    return 1024 + int(bits) % (65536 - 1024)


def pick_worker(controller: Controller, replica: Target, flow: Flow, seed: int) -> int:
    """Return the worker whose SO_REUSEPORT socket gets the connection ``flow`` of ``replica``."""
    salt = stream(seed, 0, "reuse_port", replica.name)[0]
    source = address_number(flow.source)
    with wrapping():
        return worker_of(salt, source, flow.source_port, controller.workers)


def pick_pod(
    controller: Controller,
    replica: Target,
    worker: int,
    source: str,
    seed: int,
    given: tuple[str, str] | None,
) -> tuple[Target, Decision]:
    """Return the pod for the first request of a fresh worker and why."""
    pods = sorted(controller.pods, key=lambda item: item.address)
    balancer = controller.balancer
    instance = replica.name if balancer.scope == "replica" else f"{replica.name}/{worker}"
    text = evaluated(controller, source)
    key = NO_KEY if balancer.cookies else crc32_text(text)
    by = f"{balancer.name}, {SCOPES[balancer.scope]}, {len(pods)} pods"
    hashed = key if balancer.name.startswith("chash") else None
    if hashed is not None:
        by += f"; {controller.hash_by} = {text!r}, crc32 {key:#010x}"
    asked = _ask(
        balancer,
        controller.options,
        [item.address for item in pods],
        range(len(pods)),
        stream(seed, 0, "ingress", instance),
        key,
        given=None if given is None else _position(pods, given[0]),
    )
    pod = pods[asked.position]
    return pod, Decision(
        by,
        pod.address,
        len(pods),
        probability=asked.share,
        hash=hashed,
        uniform=asked.uniform,
        given=None if given is None else given[1],
    )


def _position(targets: Sequence[Target], address: str) -> int:
    return next(i for i, item in enumerate(targets) if item.address == address)


def second_port(controller: Controller, replica: Target, worker: int, seed: int) -> int:
    """Return the source port of nginx's connection to a pod."""
    if controller.port is not None:
        return controller.port
    with wrapping():
        bits = next_u64(stream(seed, 0, "upstream_port", f"{replica.name}/{worker}"))
    return FIRST_PORT + int(bits >> U32) % N_PORTS


def evaluated(controller: Controller, source: str) -> str:
    """Return ``upstream-hash-by`` for the walk's request, ``GET /`` from ``source``."""
    known = {
        "remote_addr": source,
        "binary_remote_addr": source,
        "request_uri": "/",
        "uri": "/",
        "host": controller.host,
        "http_host": controller.host,
    }
    parts = split_template(controller.hash_by)
    return "".join(known.get(text, "") if is_variable else text for is_variable, text in parts)


class Asked(NamedTuple):
    """The first pick of a fresh balancer."""

    position: int
    uniform: float | None  # its first draw, None when it drew nothing
    share: float  # of the position, by the rules alone


def _ask(
    balancer: Balancer,
    options: Mapping[str, Any],
    addresses: Sequence[str],
    listed: Sequence[int],
    rng: np.ndarray,
    key: int,
    *,
    given: int | None = None,
) -> Asked:
    """Return what a fresh ``balancer`` picks for its first connection or request.

    ``given`` is a position that is taken instead, without a pick.

    Raises
    ------
    RunError
        When the balancer picks none of the ``listed``.
    """
    n = len(listed)
    ids = np.array(listed, np.int64)
    start = rng.copy()
    with wrapping():
        state = balancer.state(options, [Endpoint(address) for address in addresses])
        if balancer.on_endpoints is not None:
            balancer.on_endpoints(state, rng, NO_IDS, ids, 0.0)
        share = np.full(n, 1.0 / n) if balancer.shares is None else balancer.shares(state, n)
        if given is not None:
            return Asked(given, None, float(share[given]))
        found = int(balancer.pick(state, rng, 0.0, key, np.zeros(n, np.int64), NO_IDS))
        drawn = None if np.array_equal(rng, start) else uniform(start)
    if not 0 <= found < n:
        raise RunError(
            f"balancer {balancer.name}: its first pick is {found}, which is none of the {n} "
            "listed; name what it shall pick with --node or --pod"
        )
    return Asked(found, drawn, float(share[found]))
