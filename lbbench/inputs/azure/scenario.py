"""From az's output to the load balancer's stage: distribution, probe, timeout, reset, nodes.

Where several rules disagree about a key and none is chosen, the key is left at its default and
every rule's value is said. Outbound rules and routes need no stage: they are said.
"""

from __future__ import annotations

from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.azure.reader import AzureDump, Thing, pool_nodes
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, ordered, plain, put
from lbbench.inputs.kubernetes.objects import number, rows, table, text

DISTRIBUTIONS = {
    "default": "Default",
    "sourceip": "SourceIP",
    "sourceipprotocol": "SourceIPProtocol",
}
OUTBOUND = "aksOutboundBackendPool"

PORTS = ((50, 1024), (100, 512), (200, 256), (400, 128), (800, 64), (1000, 32))
"""Default SNAT ports per node by the size of the pool (Azure documentation, outbound rules)."""


def from_azure(dump: AzureDump, rule: str | None = None) -> Imported:
    """Return the scenario of what ``az`` said, with notes.

    Parameters
    ----------
    rule
        Name of a load balancing rule; None takes what all rules agree on.

    Raises
    ------
    InputError
        When there is no such rule; the rules are listed.
    """
    imported = Imported({"schema": SCHEMA}, list(dump.notes), list(dump.skipped))
    balancer = next(iter(dump.of("load balancer")), None)
    imported.scenario["name"] = plain(f"azure-{balancer.name}" if balancer else "azure")
    rules = _chosen(dump, rule)
    values = _rules(rules)
    values += _probes(imported, dump, rules, rule)
    _agreed(imported, values)
    _balancer(imported, dump)
    _nodes(imported, dump)
    _outbound(imported, dump)
    _profile(imported, dump)
    _routes(imported, dump)
    if not dump.of("rule"):
        imported.notes.append(
            f"{dump.files[0]}: no load balancing rule: distribution, idle timeout and reset keep "
            "their defaults" + (" (no service of type LoadBalancer exists yet)" if balancer else "")
        )
    put(imported.scenario, "traffic.utilisation", UTILISATION)
    imported.sources["traffic.utilisation"] = dump.files[0]
    imported.notes.append(f"az tells no rate: utilisation {UTILISATION} is assumed")
    imported.scenario = ordered(imported.scenario)
    return imported


def default_ports(nodes: int) -> int:
    """Return the SNAT ports that each of ``nodes`` gets by default from one address."""
    return next((ports for size, ports in PORTS if nodes <= size), PORTS[-1][1])


def _set(imported: Imported, key: str, value: Any, place: str) -> None:
    put(imported.scenario, key, value)
    imported.sources[key] = place


def _chosen(dump: AzureDump, name: str | None) -> list[Thing]:
    every = dump.of("rule")
    if name is None:
        return every
    found = [item for item in every if item.name == name]
    if not found:
        shown = ", ".join(item.name for item in every[:10]) or "none"
        raise InputError(f"--rule {name}: there is no such rule; there are {shown}")
    return found


def _rules(rules: list[Thing]) -> list[tuple[str, Any, Thing]]:
    """Return (key, value, rule) of everything that the rules say."""
    made: list[tuple[str, Any, Thing]] = []
    for item in rules:
        mode = DISTRIBUTIONS.get(text(item.data, "loadDistribution").lower())
        if mode:
            made.append(("distribution", mode, item))
        minutes = number(item.data, "idleTimeoutInMinutes")
        if minutes:
            made.append(("idle_timeout", f"{minutes}min", item))
        reset = item.data.get("enableTcpReset")
        if isinstance(reset, bool):
            made.append(("tcp_reset", reset, item))
    return made


def _probes(
    imported: Imported, dump: AzureDump, rules: list[Thing], chosen: str | None
) -> list[tuple[str, Any, Thing]]:
    probes = dump.of("probe")
    if chosen is not None and probes:
        mine = [item for item in probes if any(_belongs(item, rule) for rule in rules)]
        if not mine:
            imported.notes.append(f"no probe of rule {chosen} is among the {len(probes)} saved")
        probes = mine
    made: list[tuple[str, Any, Thing]] = []
    for item in probes:
        kind = text(item.data, "protocol").lower()
        if kind in ("tcp", "http", "https"):
            made.append(("probe.kind", "tcp" if kind == "tcp" else "http", item))
        interval = number(item.data, "intervalInSeconds")
        if interval:
            made.append(("probe.interval", f"{interval}s", item))
        # of both, current API versions honour probeThreshold
        threshold = number(item.data, "probeThreshold") or number(item.data, "numberOfProbes")
        if threshold:
            made.append(("probe.threshold", threshold, item))
        if text(item.data, "noHealthyBackendsBehavior") == "AllProbedUp":
            made.append(("on_all_down", "all_up", item))
    return made


def _belongs(probe: Thing, rule: Thing) -> bool:
    """Tell whether a rule uses a probe: by its id, else by the service's name before -TCP-."""
    told = text(rule.data, "probe", "id").rpartition("/")[2]
    if told:
        return told == probe.name
    return rule.name.rpartition("-TCP-")[0] == probe.name.rpartition("-TCP-")[0]


def _agreed(imported: Imported, values: list[tuple[str, Any, Thing]]) -> None:
    for key in dict.fromkeys(name for name, _, _ in values):
        told = {value: item for name, value, item in reversed(values) if name == key}
        if len(told) == 1:
            value, item = next(iter(told.items()))
            _set(imported, f"stages.azure_lb.{key}", value, item.where)
            continue
        shown = "; ".join(f"{item.where} has {value}" for value, item in reversed(told.items()))
        imported.notes.append(
            f"stages.azure_lb.{key} keeps its default, the rules differ: {shown}; choose one with "
            "--rule NAME"
        )


def _balancer(imported: Imported, dump: AzureDump) -> None:
    found = dump.of("load balancer")
    if len(found) > 1:
        names = ", ".join(item.name for item in found)
        imported.notes.append(f"{len(found)} load balancers ({names}) are taken together")
    for item in found[:1]:
        sku = text(item.data, "sku", "name") or text(item.data, "sku")
        if sku in ("Standard", "Basic"):
            _set(imported, "stages.azure_lb.sku", sku, item.where)
        if sku == "Basic":
            _set(imported, "stages.azure_lb.on_all_down", "drop_all", item.where)
            imported.notes.append(f"{item.where}: SKU Basic drops all when every probe fails")


def _nodes(imported: Imported, dump: AzureDump) -> None:
    """Take the nodes of the inbound pools, else count those of the AKS profile."""
    pools = dump.of("pool")
    for item in pools:
        names = pool_nodes(item.data)
        imported.notes.append(
            f"{item.where}: {len(names)} nodes"
            + (f": {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}" if names else "")
        )
    inbound = [item for item in pools if item.name != OUTBOUND] or pools
    nodes = dict.fromkeys(name for item in inbound for name in pool_nodes(item.data))
    if nodes:
        _set(imported, "cluster.nodes", [{"name": name} for name in nodes], inbound[0].where)
        return
    for item in dump.of("AKS cluster"):
        counts = [number(pool, "count") or 0 for pool in rows(item.data, "agentPoolProfiles")]
        if sum(counts):
            _set(imported, "cluster.nodes", sum(counts), item.where)


def _outbound(imported: Imported, dump: AzureDump) -> None:
    sizes = [len(pool_nodes(item.data)) for item in dump.of("pool")]
    nodes = max(sizes, default=0)
    for item in dump.of("outbound rule"):
        ports = number(item.data, "allocatedOutboundPorts")
        minutes = number(item.data, "idleTimeoutInMinutes")
        imported.notes.append(
            f"{item.where}: {_ports(ports, nodes)}, idle timeout {minutes} min; outbound "
            "connections are not simulated"
        )


def _ports(ports: int | None, nodes: int) -> str:
    if ports:
        return f"{ports} SNAT ports per node"
    size = f"{default_ports(nodes)} for the {nodes} of this pool" if nodes else "by the pool's size"
    return f"SNAT ports per node by default, {size} (1024 per node up to 50 nodes)"


def _profile(imported: Imported, dump: AzureDump) -> None:
    for item in dump.of("profile"):
        data = table(item.data, "loadBalancerProfile") or item.data
        count = number(data, "managedOutboundIPs", "count")
        minutes = number(data, "idleTimeoutInMinutes")
        imported.notes.append(
            f"{item.where}: {count or len(rows(data, 'effectiveOutboundIPs'))} outbound addresses, "
            f"{_ports(number(data, 'allocatedOutboundPorts'), 0)}, outbound idle timeout "
            f"{f'{minutes} min' if minutes else '30 min by default'}"
        )
        mode = text(data, "clusterServiceLoadBalancerHealthProbeMode")
        if mode == "Shared":
            _set(imported, "stages.azure_lb.probe.kind", "http", item.where)
    for item in dump.of("AKS cluster"):
        plugin = text(item.data, "networkProfile", "networkPlugin")
        sku = text(item.data, "networkProfile", "loadBalancerSku").capitalize()
        if sku in ("Standard", "Basic"):
            _set(imported, "stages.azure_lb.sku", sku, item.where)
        if plugin == "kubenet":
            _set(imported, "preset", "aks-kubenet", item.where)
            imported.notes.append(f"{item.where}: kubenet: the preset aks-kubenet sets round trips")
        elif plugin:
            imported.notes.append(f"{item.where}: network plugin {plugin}")


def _routes(imported: Imported, dump: AzureDump) -> None:
    """Say which nodes have a route to their pods, and which lack one."""
    routes = [
        item
        for item in dump.of("route")
        if text(item.data, "nextHopIpAddress") not in ("", "None")
        or text(item.data, "nextHopType") == "VirtualAppliance"
    ]
    if not routes:
        if dump.of("route table"):
            imported.notes.append(
                f"{dump.of('route table')[0].where}: has no route to a node: under kubenet all "
                "cross-node hops are lost; add {at: 0s, routes: missing} to the timeline to "
                "simulate it"
            )
        return
    shown = ", ".join(
        f"{text(item.data, 'addressPrefix')} to {text(item.data, 'nextHopIpAddress')}"
        for item in routes[:5]
    )
    imported.notes.append(f"{routes[0].where}: {len(routes)} routes to nodes: {shown}")
    nodes = imported.scenario.get("cluster", {}).get("nodes")
    known = {item.name.partition("____")[0].lower() for item in routes}
    for node in nodes if isinstance(nodes, list) else []:
        if node["name"] not in known:
            imported.notes.append(
                f"{routes[0].place}: no route to the pods of {node['name']}: cross-node hops to it "
                "are lost; under kubenet, see timeline routes: missing"
            )
