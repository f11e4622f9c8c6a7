"""A whole rule set: what `iptables-restore` takes to make a node of a scenario's cluster.

The chains are those that kube-proxy writes since 1.24 for one Service of type LoadBalancer:
KUBE-SERVICES and, for a node port, KUBE-NODEPORTS lead to KUBE-EXT, that to KUBE-SVC (all
endpoints) or KUBE-SVL (those of this node), these to one KUBE-SEP per endpoint. A scenario knows no
cluster address, so no rule is for one. The rules are those of the start of a run.

Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go; the texts are those of `rules.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from lbbench import __version__
from lbbench.balancers.iptables import written_probability
from lbbench.core.chains import service_port_name
from lbbench.engines.timeline.cluster import Endpoints
from lbbench.engines.timeline.policy import Policy
from lbbench.errors import InputError
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.packetwalk.hop import Rule
from lbbench.packetwalk.names import node_of
from lbbench.packetwalk.rules import (
    MARK_MASQ,
    balancing,
    chain,
    dropping,
    endpoint,
    entrance,
    external,
    postrouting,
    translating,
)
from lbbench.packetwalk.scenario_site import NAMESPACE, site_of
from lbbench.packetwalk.site import Service, Site, Target

MODES = ("iptables", "iptables_nth")

HOOKS = (
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
)

DROP_HOOKS = tuple(
    f"-A {name} -m conntrack --ctstate NEW -m comment --comment "
    '"kubernetes externally-visible service portals" -j KUBE-EXTERNAL-SERVICES'
    for name in ("INPUT", "FORWARD")
)

LAST_PORT = 65535
LABEL = 63  # characters of a Service's name (RFC 1035 label)


def restore_text(
    scenario: Scenario, *, node: str | None = None, node_port: int | None = None
) -> str:
    """Return the rules of one node as `iptables-restore` reads them, table by table.

    Parameters
    ----------
    node
        Its name, address or number; the first one when not given.
    node_port
        The Service's node port; without one there is no rule in KUBE-NODEPORTS.

    Returns
    -------
    str
        Table ``nat``. Under ``Local`` a node without endpoints also gets a table ``filter`` that
        drops what comes for the Service. Addresses of IPv6 are for `ip6tables-restore`.

    Raises
    ------
    InputError
        When kube-proxy runs in another mode, there is no such node, the node port is none, an
        affinity timeout is no whole number of seconds, or IPv4 and IPv6 are mixed.
    """
    _check_mode(scenario)
    site = site_of(scenario)
    number = 0 if node is None else node_of(site, node)
    _check(site, node_port)
    everywhere, here = _endpoints(scenario, site, number)
    if not everywhere:
        raise InputError(
            f"{site.name}: the Service has no endpoint at the start, so kube-proxy writes no "
            "chain for it; give the scenario pods"
        )
    name = service_name(site.name)
    service = replace(site.service, port_name=service_port_name(NAMESPACE, name))
    parts = [
        f"# Rules of {site.nodes[number].name} in {name}, written by lbbench {__version__}",
        *_nat(service, everywhere, here, node_port),
    ]
    if site.local and not here:
        parts += _filter(service)
    return "\n".join(parts) + "\n"


def service_name(name: str) -> str:
    """Return the name of a scenario as a Service may have it: ``E1_n3`` becomes ``e1-n3``."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:LABEL].strip("-") or "service"


def _check_mode(scenario: Scenario) -> None:
    mode = scenario.stages.kube_proxy.mode
    if mode not in MODES:
        raise InputError(
            f"{scenario.name}: stages.kube_proxy.mode = {mode}: has no iptables rules to write; "
            f"use {' or '.join(MODES)}"
        )


def _check(site: Site, node_port: int | None) -> None:
    timeout = site.service.affinity_timeout_s
    if timeout and (timeout < 1.0 or timeout != int(timeout)):
        raise InputError(
            f"{site.name}: stages.kube_proxy.affinity_timeout = {timeout}s: rules count whole "
            "seconds; give a whole number from 1s"
        )
    if node_port is not None and not 1 <= node_port <= LAST_PORT:
        raise InputError(f"--node-port {node_port}: must be a port from 1 to {LAST_PORT}")
    versions = {ip_address(ip).version for ip in (site.service.vip, *(t.ip for t in site.targets))}
    if len(versions) > 1:
        raise InputError(
            f"{site.name}: cluster.vip = {site.service.vip}: with the addresses of the endpoints "
            "it mixes IPv4 and IPv6, and a table of rules holds one of them; give cluster.vip and "
            "the endpoints addresses of the same kind"
        )


def _endpoints(
    scenario: Scenario, site: Site, node: int
) -> tuple[tuple[Target, ...], tuple[Target, ...]]:
    """Return the endpoints in KUBE-SVC and those in KUBE-SVL, each sorted by address as text."""
    policy = Policy(
        [item.node for item in site.targets],
        [item.zone for item in topology(scenario).nodes],
        local=False,
        topology=scenario.stages.kube_proxy.topology,
    )
    listed = policy.rules(Endpoints(tuple(range(len(site.targets))), ()), node).listed
    everywhere = sorted((site.targets[i] for i in listed), key=lambda item: item.address)
    return tuple(everywhere), site.endpoints(node) if site.local else ()


def _nat(
    service: Service,
    everywhere: Sequence[Target],
    here: Sequence[Target],
    node_port: int | None,
) -> list[str]:
    chains = ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ"]
    chains += [chain(service, kind) for kind in ("EXT", "SVC")]
    chains += [chain(service, "SVL")] if here else []
    seps = {item.address: item for item in (*everywhere, *here)}
    chains += [endpoint(service, item) for item in seps.values()]
    rules = [*HOOKS, entrance(service).text]
    rules.append(
        '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be '
        'the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS'
    )
    if node_port is not None:
        rules.append(
            f'-A KUBE-NODEPORTS -p tcp -m comment --comment "{service.port_name}" -m tcp '
            f"--dport {node_port} -j {chain(service, 'EXT')}"
        )
    rules += [*_texts(postrouting(service, marked=True)), MARK_MASQ]
    rules += [
        text
        for text in _texts(external(service, has_endpoints=bool(here)))
        if text != MARK_MASQ  # belongs to the walk of a packet; written once above
    ]
    inside = replace(service, policy="Cluster")
    rules += _choosing(inside, everywhere)
    if here:
        rules += _choosing(service, here)
    for item in seps.values():
        rules += _texts(translating(service, item))
    return ["*nat", *(f":{name} - [0:0]" for name in chains), *rules, "COMMIT"]


def _choosing(service: Service, targets: Sequence[Target]) -> list[str]:
    """Return the rules of KUBE-SVC or KUBE-SVL, with probabilities as kube-proxy prints them."""
    texts = _texts(balancing(service, targets, chosen=0))
    n = len(targets)
    given = service.probabilities
    if service.mode == "iptables_nth" or (given is not None and len(given) == n):
        return texts
    kept = texts[: len(texts) - n]  # affinity
    for i, text in enumerate(texts[len(kept) :]):
        before, option, after = text.partition("--probability ")
        target = after.partition(" ")[2]
        printed = written_probability(n - i, service.probability_format)
        kept.append(f"{before}{option}{printed} {target}" if option else text)
    return kept


def _filter(service: Service) -> list[str]:
    return [
        "*filter",
        ":KUBE-EXTERNAL-SERVICES - [0:0]",
        *DROP_HOOKS,
        *_texts(dropping(service)),
        "COMMIT",
    ]


def _texts(rules: Iterable[Rule]) -> list[str]:
    return [rule.text for rule in rules]
