"""The rules that kube-proxy writes for one Service, as `iptables-save` prints them.

Two generations. Old (to 1.23, the seed's): the load balancer's address leads to KUBE-FW, under
``Local`` on to KUBE-XLB. New: it leads to KUBE-EXT, under ``Local`` on to KUBE-SVL.

Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go of both generations; the old texts are
those of the seed, the new ones agree with saves of AKS nodes.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbbench.balancers.iptables import (
    ALWAYS,
    printed_probability,
    threshold,
    written_probability,
)
from lbbench.core.chains import ServiceChain, endpoint_chain, service_chain
from lbbench.packetwalk.hop import Rule, Verdict
from lbbench.packetwalk.site import Service, Target

MASQUERADE_MARK = 0x4000
"""Bit 14: to be masqueraded in POSTROUTING."""

DROP_MARK = 0x8000
"""Bit 15: to be dropped by the filter table (old generation)."""

MARK_MASQ = "-A KUBE-MARK-MASQ -j MARK --set-xmark 0x4000/0x4000"
MARK_DROP = "-A KUBE-MARK-DROP -j MARK --set-xmark 0x8000/0x8000"


def chain(service: Service, kind: ServiceChain) -> str:
    """Return the name of one of the Service's chains."""
    return service_chain(kind, service.port_name)


def endpoint(service: Service, target: Target) -> str:
    """Return the name of an endpoint's chain."""
    return endpoint_chain(service.port_name, target.address)


def thresholds(service: Service, n: int) -> list[int]:
    """Return what the kernel compares 31 random bits with, rule by rule; 2^31 matches always.

    Rule i carries 1 / (n - i) in the Service's print format, or what a rule set was written with.
    """
    given = service.probabilities
    if given is not None and len(given) == n:
        return [threshold(f"{p:.11f}") for p in given]
    rest = (written_probability(n - i, service.probability_format) for i in range(n - 1))
    return [threshold(text) for text in rest] + [ALWAYS] * min(n, 1)


def entrance(service: Service) -> Rule:
    """Return the rule of KUBE-SERVICES for the load balancer's address."""
    bits = 128 if ":" in service.vip else 32
    kind: ServiceChain = "FW" if service.naming == "old" else "EXT"
    return Rule(
        f"-A KUBE-SERVICES -d {service.vip}/{bits} -p tcp -m comment --comment "
        f'"{service.port_name} loadbalancer IP" -m tcp --dport {service.port} '
        f"-j {chain(service, kind)}",
        "match",
    )


def external(service: Service, *, has_endpoints: bool) -> tuple[Rule, ...]:
    """Return the rules of KUBE-FW or KUBE-EXT, and of the marking chain when they lead there."""
    local = service.policy == "Local"
    if service.naming == "old":
        return _firewall(service, local=local)
    name = chain(service, "EXT")
    port = service.port_name
    if not local:
        return (
            _rule(name, f"masquerade traffic for {port} external destinations", "KUBE-MARK-MASQ"),
            Rule(MARK_MASQ, "match"),
            Rule(f"-A {name} -j {chain(service, 'SVC')}", "match"),
        )
    svc = chain(service, "SVC")
    from_node = "-m addrtype --src-type LOCAL"
    rules = [
        Rule(
            f"-A {name} -s {service.pod_cidr} -m comment --comment "
            f'"pod traffic for {port} external destinations" -j {svc}',
            "no match",
        ),
        _rule(
            name,
            f"masquerade LOCAL traffic for {port} external destinations",
            "KUBE-MARK-MASQ",
            test=from_node,
            verdict="no match",
        ),
        _rule(
            name,
            f"route LOCAL traffic for {port} external destinations",
            svc,
            test=from_node,
            verdict="no match",
        ),
    ]
    if has_endpoints:
        rules.append(Rule(f"-A {name} -j {chain(service, 'SVL')}", "match"))
    return tuple(rules)


def _firewall(service: Service, *, local: bool) -> tuple[Rule, ...]:
    name = chain(service, "FW")
    comment = f"{service.port_name} loadbalancer IP"
    drop = _rule(name, comment, "KUBE-MARK-DROP", verdict="not reached")
    if local:
        return _rule(name, comment, chain(service, "XLB")), drop
    return (
        _rule(name, comment, "KUBE-MARK-MASQ"),
        Rule(MARK_MASQ, "match"),
        _rule(name, comment, chain(service, "SVC")),
        drop,
    )


def balancing_chain(service: Service) -> str:
    """Return the chain in which an endpoint is chosen for traffic from outside."""
    if service.policy == "Cluster":
        return chain(service, "SVC")
    return chain(service, "XLB" if service.naming == "old" else "SVL")


def balancing(service: Service, targets: Sequence[Target], chosen: int) -> tuple[Rule, ...]:
    """Return the rules that choose among ``targets``, which must not be empty."""
    name = balancing_chain(service)
    n = len(targets)
    rules = _redirect(service)
    if service.affinity_timeout_s:
        rules += [
            _rule(
                name,
                _comment(service, i, item),
                endpoint(service, item),
                test=f"-m recent --name {endpoint(service, item)} --rcheck "
                f"--seconds {service.affinity_timeout_s:.0f} --reap --rsource",
                verdict="no match",
            )
            for i, item in enumerate(targets)
        ]
    limits = thresholds(service, n)
    for i, item in enumerate(targets):
        verdict: Verdict = "match" if i == chosen else "no match" if i < chosen else "not reached"
        rules.append(
            _rule(
                name,
                _comment(service, i, item),
                endpoint(service, item),
                test=_statistic(service, i, n, limits[i]),
                verdict=verdict,
            )
        )
    return tuple(rules)


def _redirect(service: Service) -> list[Rule]:
    """Return the first rule of KUBE-XLB, which keeps the cluster's own pods out."""
    if service.naming == "new" or service.policy == "Cluster":
        return []
    return [
        Rule(
            f"-A {chain(service, 'XLB')} -s {service.pod_cidr} -m comment --comment "
            f'"Redirect pods trying to reach external loadbalancer VIP to clusterIP" '
            f"-j {chain(service, 'SVC')}",
            "no match",
        )
    ]


def _comment(service: Service, i: int, target: Target) -> str:
    if service.naming == "new":
        return f"{service.port_name} -> {target.address}"
    if service.policy == "Local":
        return f"Balancing rule {i} for {service.port_name}"
    return service.port_name


def _statistic(service: Service, i: int, n: int, limit: int) -> str:
    if limit >= ALWAYS:
        return ""
    if service.mode == "iptables_nth":
        return f"-m statistic --mode nth --every {n - i} --packet 0"
    return f"-m statistic --mode random --probability {printed_probability(limit)}"


def dropping(service: Service) -> tuple[Rule, ...]:
    """Return the rules that drop a packet on a node without local endpoints."""
    said = f"{service.port_name} has no local endpoints"
    if service.naming == "new":
        bits = 128 if ":" in service.vip else 32
        return (
            Rule(
                f"-A KUBE-EXTERNAL-SERVICES -d {service.vip}/{bits} -p tcp -m comment --comment "
                f'"{said}" -m tcp --dport {service.port} -j DROP',
                "match",
            ),
        )
    return (
        *_redirect(service),
        _rule(chain(service, "XLB"), said, "KUBE-MARK-DROP"),
        Rule(MARK_DROP, "match"),
        Rule(
            '-A KUBE-FIREWALL -m comment --comment "kubernetes firewall for dropping marked '
            'packets" -m mark --mark 0x8000/0x8000 -j DROP',
            "match",
        ),
    )


def translating(service: Service, target: Target) -> tuple[Rule, ...]:
    """Return the rules of an endpoint's chain: hairpin mark, then DNAT."""
    name = endpoint(service, target)
    bits = 128 if ":" in target.ip else 32
    recent = f" -m recent --set --name {name} --rsource" if service.affinity_timeout_s else ""
    return (
        Rule(
            f'-A {name} -s {target.ip}/{bits} -m comment --comment "{service.port_name}" '
            "-j KUBE-MARK-MASQ",
            "no match",
        ),
        Rule(
            f'-A {name} -p tcp -m comment --comment "{service.port_name}"{recent} -m tcp '
            f"-j DNAT --to-destination {target.address}",
            "match",
        ),
    )


def postrouting(service: Service, *, marked: bool) -> tuple[Rule, ...]:
    """Return the rules of KUBE-POSTROUTING for a packet with or without the mark."""
    said = '-m comment --comment "kubernetes service traffic requiring SNAT"'
    if service.naming == "old":
        return (
            Rule(
                f"-A KUBE-POSTROUTING {said} -m mark --mark 0x4000/0x4000 -j MASQUERADE",
                "match" if marked else "no match",
            ),
        )
    rest: Verdict = "match" if marked else "not reached"
    return (
        Rule(
            "-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN",
            "no match" if marked else "match",
        ),
        Rule("-A KUBE-POSTROUTING -j MARK --set-xmark 0x4000/0x0", rest),
        Rule(f"-A KUBE-POSTROUTING {said} -j MASQUERADE --random-fully", rest),
    )


def _rule(
    name: str, comment: str, target: str, *, test: str = "", verdict: Verdict = "match"
) -> Rule:
    tested = f" {test}" if test else ""
    return Rule(f'-A {name} -m comment --comment "{comment}"{tested} -j {target}', verdict)
