"""From rules to a scenario: the same service, policy, affinity, addresses and probabilities.

What the rules do not tell is left out of the scenario (so its default holds, or another import
fills it in) or assumed, and said in the notes.
"""

from __future__ import annotations

from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.imported import SCHEMA, UTILISATION, Imported, plain, put
from lbbench.inputs.placement import Placement, place
from lbbench.inputs.ruleset import Endpoint, RuleSet, Service
from lbbench.inputs.source import Place
from lbbench.model.addresses import split_address

PLACEHOLDER = "192.0.2."
"""Addresses of endpoints whose DNAT rule is missing: the block reserved for documentation."""

SHOWN = 10  # endpoints in the summary

SAVE = {
    "iptables": "sudo iptables-save",
    "nftables": "sudo nft list ruleset",
    "ipvs": "sudo ipvsadm -Ln",
}
"""What prints all rules, by kube-proxy's mode."""

PORTS = {"https": 443, "http": 80}


def to_scenario(
    ruleset: RuleSet, service: str | None = None, *, path: str | None = None
) -> dict[str, Any]:
    """Return the scenario of one service of ``ruleset`` as plain data; see `from_rules`."""
    return from_rules(ruleset, service, path=path).scenario


def from_rules(
    ruleset: RuleSet, service: str | None = None, *, path: str | None = None
) -> Imported:
    """Return the scenario of one service of ``ruleset``, with notes.

    Parameters
    ----------
    service
        Its name; None takes the first of `lbbench.inputs.ruleset.ranked`.
    path
        ``service`` (the endpoints are the pods) or ``ingress`` (the endpoints are replicas of an
        ingress controller); None decides by the name.

    Raises
    ------
    InputError
        When there is no such service, or its endpoints are unknown.
    """
    chosen = ruleset.service(service)
    if not chosen.endpoints:
        others = ", ".join(item.name for item in ruleset.services if item.endpoints) or "none here"
        raise InputError(
            f"{chosen.place[0]}:{chosen.place[1]}: {chosen.name} has no endpoint in these rules; "
            f"take another service ({others}) or save all rules"
        )
    if path is None:
        path = "ingress" if chosen.is_controller else "service"
    imported = Imported({}, list(ruleset.notes), list(ruleset.skipped))
    _choice(imported, ruleset, chosen, path)
    endpoints = _addressed(imported, chosen)
    placement = _placed(endpoints, chosen, ruleset)
    imported.notes.append(placement.note)
    where = f"{chosen.place[0]}:{chosen.place[1]}"
    scenario = imported.scenario
    scenario |= {"schema": SCHEMA, "name": plain(chosen.name), "path": path}
    put(scenario, "cluster.nodes", [{"name": name} for name in placement.nodes])
    if path == "service":
        put(scenario, "cluster.pods", _pods(endpoints, placement))
    else:
        put(scenario, "cluster.ingress.replicas", _replicas(endpoints, placement))
        imported.notes.append(
            "the pods behind the ingress controller and its workers are not in the rules: the "
            "scenario's defaults hold until an access log is imported with --into"
        )
    _vip(imported, chosen)
    _kube_proxy(imported, chosen, endpoints, ruleset)
    put(scenario, "traffic.utilisation", UTILISATION)
    imported.notes.append(f"rules tell no rate: utilisation {UTILISATION} is assumed")
    put(scenario, "observed.note", _facts(chosen))
    if path == "service":
        _counted(imported, endpoints)
    for key in ("cluster", "stages", "traffic", "observed"):
        imported.sources[key] = where
    return imported


def _choice(imported: Imported, ruleset: RuleSet, chosen: Service, path: str) -> None:
    others = [name for name in ruleset.names() if name != chosen.name]
    if others:
        imported.notes.append(
            f"the scenario is of {chosen.name}; other services in the rules, to be chosen with "
            f"--service: {', '.join(others)}"
        )
    imported.notes.append(_summary(chosen))
    if path == "ingress":
        imported.notes.append(
            f"{chosen.name} is taken for an ingress controller: its endpoints are the replicas"
        )
    elif "nginx" in chosen.name:
        imported.notes.append(
            f"{chosen.name} is taken for plain pods, not for an ingress controller: it is in the "
            "namespace default, or not reachable from outside"
        )


def _addressed(imported: Imported, service: Service) -> list[tuple[str, Endpoint]]:
    """Return the endpoints with their addresses in rule order; unknown ones get placeholders."""
    known = [item.address for item in service.endpoints if item.address]
    port = known[0].rpartition(":")[2] if known else str(service.port or 80)
    found: list[tuple[str, Endpoint]] = []
    for number, item in enumerate(service.endpoints, 1):
        if item.address:
            _check_address(item.address, item.place)
        found.append((item.address or f"{PLACEHOLDER}{number}:{port}", item))
    _check_distinct(found, service)
    unknown = len(found) - len(known)
    if unknown:
        imported.notes.append(
            f"{unknown} of {len(found)} endpoints of {service.name} have no DNAT rule in the "
            f"input: they get placeholder addresses {PLACEHOLDER}x:{port}"
        )
    return found


def _check_distinct(endpoints: list[tuple[str, Endpoint]], service: Service) -> None:
    """Raise where two rules lead to one pod, as kube-proxy never writes them."""
    first: dict[str, Endpoint] = {}
    for address, item in endpoints:
        other = first.setdefault(address, item)
        if other is not item:
            raise InputError(
                f"{item.place[0]}:{item.place[1]}: {service.name}: {item.chain} leads to {address} "
                f"as {other.chain} at {other.place[0]}:{other.place[1]} does: are rules of two "
                f"moments mixed? save them again with: {SAVE[service.proxy]}"
            )


def _placed(endpoints: list[tuple[str, Endpoint]], service: Service, ruleset: RuleSet) -> Placement:
    others = [item.address for other in ruleset.services for item in other.endpoints]
    local = service.local_endpoints
    return place(
        [address for address, _ in endpoints],
        cidr=ruleset.cluster_cidr,
        others=[address for address in others if address],
        local=None if local is None else [item.address for item in local if item.address],
        by_file=service.local_by_file,
    )


def _pods(endpoints: list[tuple[str, Endpoint]], placement: Placement) -> list[dict[str, Any]]:
    pods: list[dict[str, Any]] = [
        {"name": f"pod-{i}", "node": placement.node_of[address], "address": address}
        for i, (address, _) in enumerate(endpoints)
    ]
    for pod, (_, item) in zip(pods, endpoints, strict=True):
        if item.weight != 1:
            pod["weight"] = item.weight
    return pods


def _replicas(endpoints: list[tuple[str, Endpoint]], placement: Placement) -> list[dict[str, str]]:
    return [
        {"name": f"ingress-{i}", "node": placement.node_of[address], "address": address}
        for i, (address, _) in enumerate(endpoints)
    ]


def _vip(imported: Imported, service: Service) -> None:
    vip = service.vip
    if vip is None:
        ip = next(iter((*service.load_balancer_ips, *service.external_ips)), service.cluster_ip)
        if ip is None:
            imported.notes.append(f"{service.name}: no address that clients dial is in the rules")
            return
        port = PORTS.get(service.name.rpartition(":")[2], 80)
        vip = f"[{ip}]:{port}" if ":" in ip else f"{ip}:{port}"
        imported.notes.append(f"{service.name}: the port of {ip} is not shown, {port} is assumed")
    _check_address(vip, service.place)
    put(imported.scenario, "cluster.vip", vip)
    if not service.external:
        imported.notes.append(
            f"{service.name} is not reachable from outside in these rules: the scenario dials its "
            f"cluster address {vip} through the load balancer all the same"
        )


def _check_address(address: str, place: Place) -> None:
    try:
        split_address(address)
    except ValueError:
        raise InputError(
            f"{place[0]}:{place[1]}: {address!r} is not an address with a port: is the input "
            "damaged? save the rules again"
        ) from None


def _kube_proxy(
    imported: Imported,
    service: Service,
    endpoints: list[tuple[str, Endpoint]],
    ruleset: RuleSet,
) -> None:
    policy = service.external_policy or "Cluster"
    stage: dict[str, Any] = {"mode": service.proxy, "external_traffic_policy": policy}
    if service.scheduler:
        stage["scheduler"] = service.scheduler
    if service.mode == "nth" and service.proxy == "iptables":
        stage["mode"] = "iptables_nth"
    if service.affinity_seconds:
        stage["session_affinity"] = "ClientIP"
        stage["affinity_timeout"] = f"{service.affinity_seconds}s"
        put(imported.scenario, "stages.azure_lb.distribution", "SourceIP")
        imported.notes.append(
            f"{service.name} has session affinity: Azure's controller then sets the load balancer "
            "to SourceIP, and so does the scenario"
        )
    if ruleset.probability_format:
        stage["probability_format"] = ruleset.probability_format
    if not service.complete:
        raise InputError(
            f"{service.place[0]}:{service.place[1]}: rules of {service.name} are missing, the "
            f"shares of its {len(endpoints)} rules add up to {sum(service.shares):.4f}; "
            f"save all rules with: {SAVE[service.proxy]}"
        )
    plain_rules = service.proxy == "iptables" and service.mode != "nth"
    if policy == "Cluster" and len(endpoints) > 1 and plain_rules:
        stage["probabilities"] = _probabilities(imported, service, endpoints)
    put(imported.scenario, "stages.kube_proxy", stage)


def _probabilities(
    imported: Imported, service: Service, endpoints: list[tuple[str, Endpoint]]
) -> list[float]:
    """Return the probabilities in the order of the addresses as text, which is the scenario's.

    kube-proxy writes its rules in that order. Rules in another order are converted so that every
    endpoint keeps its share.
    """
    ordered = sorted(endpoints)
    if [address for address, _ in ordered] == [address for address, _ in endpoints]:
        return list(service.probabilities)
    imported.notes.append(
        f"{service.name}: the rules are not in the order of their addresses; the probabilities are "
        f"converted to that order, as written they are {list(service.probabilities)}"
    )
    left, found = 1.0, []
    for _, item in ordered[:-1]:
        found.append(min(1.0, item.share / left) if left > 0.0 else 0.0)
        left -= item.share
    return [*found, 1.0]


def _summary(service: Service) -> str:
    """Return what was read of the service in one sentence."""
    written = service.proxy == "iptables"
    shown = [
        f"{item.address or item.chain} "
        + (f"{item.probability:.11g} ({item.share:.5f})" if written else f"{item.share:.5f}")
        for item in service.endpoints[:SHOWN]
    ]
    more = len(service.endpoints) - len(shown)
    affinity = f", affinity {service.affinity_seconds} s" if service.affinity_seconds else ""
    return (
        f"{_facts(service)}, externalTrafficPolicy {service.external_policy or 'not shown'}"
        f"{affinity}; endpoints with "
        f"{'probability as written (exact share)' if written else 'share'}: {', '.join(shown)}"
        + (f" and {more} more" if more else "")
    )


def _facts(service: Service) -> str:
    """Return what the rules say of the service and no stage needs."""
    facts = {
        "cluster address": service.cluster_ip,
        "external addresses": " ".join(service.external_ips),
        "node port": service.node_port,
        "health-check node port": service.health_check_node_port,
    }
    shown = "".join(f", {name} {value}" for name, value in facts.items() if value)
    return f"service {service.name}{shown}"


def _counted(imported: Imported, endpoints: list[tuple[str, Endpoint]]) -> None:
    """Keep the counters of `iptables-save -c`: new connections that each endpoint got."""
    counts = {address: item.packets for address, item in endpoints if item.packets is not None}
    total = sum(counts.values())
    if not total:
        return
    put(imported.scenario, "observed.pods", counts)
    put(imported.scenario, "observed.requests", total)
    note = "new connections by the counters of the rules, since these were last written"
    imported.scenario["observed"]["note"] += f"; {note}"
    imported.notes.append(f"observed: {total} {note}")
