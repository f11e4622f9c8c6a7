"""Import of ``ipvsadm`` output: kube-proxy's IPVS mode, or IPVS alone.

IPVS knows no names: a service is called by its virtual address. kube-proxy makes one virtual
service per way in (cluster address, load balancer, node address and node port) with the same
destinations; those ways are put together. Destinations of weight 0 are being drained: they get no
new connection and are left out (kubernetes/kubernetes, pkg/proxy/ipvs/graceful_termination.go).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from pathlib import Path

from lbbench.errors import InputError
from lbbench.inputs.ipvs.text import Destination, IpvsText, Virtual, read_ipvs
from lbbench.inputs.nftables.services import port_number
from lbbench.inputs.placement import host_of
from lbbench.inputs.ruleset import Endpoint, RuleSet, Service
from lbbench.inputs.source import listed

NODE_PORTS = range(30_000, 32_768)
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh")
WEIGHTED = ("wrr", "wlc", "sed", "nq", "sh", "mh")
SHOWN = 10
BUSIEST = 3
"""Virtual services whose open connections are shown."""


def read_ruleset(paths: str | Path | Sequence[str | Path]) -> RuleSet:
    """Return what the listings or saves in ``paths`` say, those of one node put together.

    Raises
    ------
    InputError
        When a file cannot be read, is cut off in a service, or holds no virtual service.
    """
    texts = [read_ipvs(path) for path in listed(paths)]
    ruleset = gather(texts)
    for text in texts:
        cut = next((item for item in text.skipped if item[2].endswith("cut off?")), None)
        if cut:
            raise InputError(
                f"{cut[0]}:{cut[1]}: truncated input: {cut[2].removesuffix(': cut off?')}; "
                "save it again with: sudo ipvsadm -Ln > node.ipvs"
            )
    if not ruleset.services:
        first = texts[0]
        line = first.skipped[0][1] if first.skipped else 1
        raise InputError(
            f"{first.path}:{line}: no virtual service of IPVS in it ({len(ruleset.skipped)} lines "
            "that are none); write it on a node with: sudo ipvsadm -Ln > node.ipvs"
        )
    return ruleset


def gather(texts: Sequence[IpvsText]) -> RuleSet:
    """Return the virtual services of one or several files, complete or not."""
    notes = _Notes()
    virtuals = _merged(texts)
    notes.lines += _open(list(virtuals.values()))
    services = _joined([_service(item, notes) for item in virtuals.values()])
    skipped = tuple(item for text in texts for item in text.skipped)
    notes.lines += [
        f"{item[0]}:{item[1]}: {len(skipped)} lines are not used, this is the first: {item[2]}"
        for item in skipped[:1]
    ]
    return RuleSet(
        services=tuple(services),
        unresolved=(),
        cluster_cidr=None,
        probability_format=None,
        duplicate_rules=0,
        dangling_chains=(),
        unresolved_sep=sum(item.address is None for s in services for item in s.endpoints),
        declared_svc_chains=0,
        declared_sep_chains=0,
        files=tuple(text.path for text in texts),
        notes=tuple(dict.fromkeys(notes.lines)),
        skipped=skipped,
    )


@dataclass(slots=True)
class _Notes:
    lines: list[str] = field(default_factory=list)


def _merged(texts: Sequence[IpvsText]) -> Mapping[tuple[str, str], Virtual]:
    """Return the virtual services of all files: what one listing lacks, another one has."""
    found: dict[tuple[str, str], Virtual] = {}
    for text in texts:
        for key, virtual in text.services.items():
            known = found.setdefault(key, virtual)
            if known is virtual:
                continue
            known.scheduler = known.scheduler or virtual.scheduler
            known.persistent_s = known.persistent_s or virtual.persistent_s
            for address, item in virtual.destinations.items():
                have = known.destinations.setdefault(address, item)
                for name in ("weight", "active", "inactive", "connections"):
                    if getattr(have, name) is None:
                        setattr(have, name, getattr(item, name))
    return found


def _open(virtuals: Sequence[Virtual]) -> list[str]:
    """Return how many connections are open where most are."""
    counted = {
        item.address: sum((d.active or 0) + (d.inactive or 0) for d in item.destinations.values())
        for item in virtuals
    }
    busiest = sorted(virtuals, key=lambda item: -counted[item.address])[:BUSIEST]
    return [
        f"{item.address}: open connections (active + inactive): "
        + ", ".join(
            f"{d.address} {d.active}+{d.inactive}"
            for d in [*item.destinations.values()][:SHOWN]
            if d.active is not None
        )
        for item in busiest
        if counted[item.address]
    ]


def _service(virtual: Virtual, notes: _Notes) -> Service:
    """Return a virtual service as a service of its own."""
    where = f"{virtual.place[0]}:{virtual.place[1]}"
    scheduler = virtual.scheduler
    if scheduler is None:
        notes.lines.append(
            f"{where}: the scheduler of {virtual.address} is not shown (--stats, --rate): rr, "
            "kube-proxy's default, is assumed; sudo ipvsadm -Ln shows it"
        )
        scheduler = "rr"
    elif scheduler not in SCHEDULERS:
        notes.lines.append(
            f"{where}: scheduler {scheduler} of {virtual.address} is not simulated: wlc is used"
        )
        scheduler = "wlc"
    endpoints = _endpoints(virtual, scheduler, notes)
    host, port = _split(virtual.address)
    global_ = _is_global(host)
    node_port = port if port in NODE_PORTS else None
    ways = (host,) if global_ and node_port is None and host else ()
    return Service(
        name=f"{virtual.address}/{virtual.protocol.lower()}",
        suffix=virtual.address,
        protocol=virtual.protocol.lower(),
        port=None if node_port else port,
        cluster_ip=None if ways or node_port else host,
        load_balancer_ips=ways,
        external_ips=ways,
        node_port=node_port,
        health_check_node_port=None,
        external_policy="Cluster" if ways or node_port else None,
        affinity_seconds=virtual.persistent_s,
        endpoints=endpoints,
        local_endpoints=None,
        local_by_file={},
        cluster_wide=True,
        place=virtual.place,
        proxy="ipvs",
        scheduler=scheduler,
    )


def _endpoints(virtual: Virtual, scheduler: str, notes: _Notes) -> tuple[Endpoint, ...]:
    """Return the destinations that take new connections, with the shares that weights give."""
    where = f"{virtual.place[0]}:{virtual.place[1]}"
    alive = [item for item in virtual.destinations.values() if item.weight != 0]
    drained = [item.address for item in virtual.destinations.values() if item.weight == 0]
    if drained:
        notes.lines.append(
            f"{where}: {len(drained)} destinations of {virtual.address} have weight 0 and get no "
            f"new connection: left out: {', '.join(drained[:SHOWN])}"
        )
    weights = {item.address: item.weight or 1 for item in alive}
    total = math.fsum(weights.values())
    divisor = math.gcd(*weights.values()) or 1
    uneven = len(set(weights.values())) > 1
    if uneven and scheduler in WEIGHTED:
        shown = ", ".join(f"{name} {weight}" for name, weight in [*weights.items()][:SHOWN])
        notes.lines.append(
            f"{where}: the destinations of {virtual.address} have unequal weights ({shown}): so "
            "have the scenario's pods; replicas of an ingress controller have none"
        )
    return tuple(
        _endpoint(item, weights[item.address] / total if uneven and scheduler in WEIGHTED
                  else 1.0 / len(alive), weights[item.address] // divisor)
        for item in alive
    )  # fmt: skip


def _endpoint(item: Destination, share: float, weight: int) -> Endpoint:
    host, port = _split(item.address)
    address = None
    if host and port:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    return Endpoint(
        item.address, address, share, share, "random", item.connections, item.place, weight
    )


def _joined(services: Sequence[Service]) -> list[Service]:
    """Put the ways into one set of destinations together: node ports and load balancers."""
    main: dict[tuple[str, frozenset[str]], Service] = {}
    rest: list[Service] = []
    for service in services:
        key = (service.protocol, frozenset(item.chain for item in service.endpoints))
        if service.cluster_ip and service.endpoints and key not in main:
            main[key] = service
        else:
            rest.append(service)
    alone: list[Service] = []
    for service in rest:
        key = (service.protocol, frozenset(item.chain for item in service.endpoints))
        known = main.get(key)
        if known is None or service.cluster_ip or service.protocol == "fwm":
            alone.append(service)
            continue
        ways = (*known.load_balancer_ips, *service.load_balancer_ips)
        main[key] = replace(
            known,
            load_balancer_ips=ways,
            external_ips=ways,
            node_port=known.node_port or service.node_port,
            external_policy="Cluster",
            affinity_seconds=known.affinity_seconds or service.affinity_seconds,
            endpoints=_counted(known.endpoints, service.endpoints),
        )
    return [*main.values(), *alone]


def _counted(known: Sequence[Endpoint], more: Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Add the connections of another way in to the same endpoints."""
    added = {item.chain: item.packets for item in more}
    return tuple(
        item
        if added.get(item.chain) is None
        else replace(item, packets=(item.packets or 0) + (added[item.chain] or 0))
        for item in known
    )


def _split(address: str) -> tuple[str | None, int | None]:
    """Return (ip, port) of an address; None for what is a name (ipvsadm without -n)."""
    host, _, port = address.rpartition(":")
    number = port_number(port)
    try:
        return str(ip_address(host_of(address) if host else address)), number
    except ValueError:
        return None, number


def _is_global(host: str | None) -> bool:
    if host is None:
        return False
    ip = ip_address(host)
    documentation = host.startswith(("203.0.113.", "198.51.100.", "192.0.2.", "2001:db8:"))
    return ip.is_global or documentation
