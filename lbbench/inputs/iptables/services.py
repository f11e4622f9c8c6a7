"""From chains to services: addresses, ports, policy, affinity, endpoints and shares."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from lbbench.inputs.iptables.chains import Chains
from lbbench.inputs.iptables.probabilities import U31
from lbbench.inputs.iptables.rules import Rule
from lbbench.inputs.ruleset import Endpoint, Service
from lbbench.inputs.source import Place

NAME = re.compile(r"[a-z0-9][a-z0-9.-]*/[a-z0-9][a-z0-9.-]*(?::[A-Za-z0-9._-]*)?")
ARROW = re.compile(r"-> (\S+:\d+)$")
UNKNOWN: Place = ("?", 0)


class Reader:
    """Reads one service after the other from ``chains`` and keeps notes of what it inferred."""

    def __init__(self, chains: Chains) -> None:
        self.chains = chains
        self.notes: list[str] = []
        self._port: int | None = None  # of the service that is being read
        self._entries: dict[str, list[Rule]] = {}
        self._targets: dict[str, list[Rule]] = {}
        self._health: dict[str, list[Rule]] = {}  # by namespace/name
        for chain in ("KUBE-SERVICES", "KUBE-NODEPORTS"):
            for rule in chains.get(chain):
                self._targets.setdefault(rule.target.rpartition("-")[2], []).append(rule)
                found = NAME.search(rule.comment)
                if found:
                    self._entries.setdefault(found[0], []).append(rule)
                    if "health check" in rule.comment:
                        self._health.setdefault(found[0].partition(":")[0], []).append(rule)

    def named(self) -> list[str]:
        """Return the services that the entry chains name."""
        return list(self._entries)

    def rejected(self) -> list[str]:
        """Return the services that have no endpoint at all: their connections are refused."""
        return [
            name
            for name, rules in self._entries.items()
            if any(rule.target == "REJECT" for rule in rules)
        ]

    def cluster_cidr(self) -> str | None:
        """Return the pods' network, from the rules that masquerade what comes from elsewhere."""
        for rules in self.chains.rules.values():
            for rule in rules:
                negated, value = rule.options.get("source", (False, ""))
                masquerades = negated and rule.target == "KUBE-MARK-MASQ"
                pods = not negated and rule.target.startswith("KUBE-SVC-")
                if "/" in value and (masquerades or pods):
                    return value
        return None

    def services(self) -> list[Service]:
        """Return every service that has a rule in a chain of its own."""
        return [self._service(suffix) for suffix in self.chains.suffixes()]

    def _service(self, suffix: str) -> Service:
        name, place = self._name(suffix)
        entries = self._entry_rules(suffix, name)
        ways = [rule for rule in entries if rule.chain == "KUBE-SERVICES"]
        node_ports = [rule for rule in entries if rule.chain == "KUBE-NODEPORTS"]
        balancer = _addresses(ways, suffix, "loadbalancer")
        outside = _addresses(ways, suffix, "loadbalancer", "external")
        inside = _addresses(ways, suffix, "cluster")
        health = next((r for r in node_ports if "health check" in r.comment), None)
        opened = next((r for r in node_ports if "health check" not in r.comment), None)
        dialled = next((r for r in ways if r.get("dport")), None)
        self._port = _number(dialled.get("dport")) if dialled else None
        endpoints, affinity = self._endpoints(f"KUBE-SVC-{suffix}")
        local, local_affinity = self._local(suffix)
        ways_in = [
            rule for rule in self._targets.get(suffix, []) if _kind(rule, suffix) != "cluster"
        ]
        policy = self._policy(suffix, name, ways_in, health=health is not None)
        whole = bool(endpoints)
        if not whole and local:
            self.notes.append(
                f"{name}: KUBE-SVC-{suffix} is not in the input; its endpoints are those of the "
                "local chain"
            )
        return Service(
            name=name,
            suffix=suffix,
            protocol=next((r.get("protocol") for r in entries if r.get("protocol")), None) or "tcp",
            port=self._port,
            cluster_ip=next(iter(inside), None),
            load_balancer_ips=tuple(balancer),
            external_ips=tuple(outside),
            node_port=_number(opened.get("dport")) if opened else None,
            health_check_node_port=_number(health.get("dport")) if health else None,
            external_policy=policy,
            affinity_seconds=affinity or local_affinity,
            endpoints=endpoints or local or (),
            local_endpoints=local,
            local_by_file=self._by_file(suffix),
            cluster_wide=whole,
            place=place,
        )

    def _name(self, suffix: str) -> tuple[str, Place]:
        """Return the name that the rules' comments give a service, and where it first appears."""
        own = [
            rule
            for kind in ("SVC", "EXT", "FW", "XLB", "SVL")
            for rule in self.chains.get(f"KUBE-{kind}-{suffix}")
        ]
        seps = [rule for jump in own for rule in self.chains.get(jump.target)]
        for rule in (*self._targets.get(suffix, []), *own, *seps):
            found = NAME.search(rule.comment)
            if found:
                return found[0], rule.place
        place = own[0].place if own else UNKNOWN
        self.notes.append(f"{place[0]}:{place[1]}: no comment names the service of {suffix}")
        return f"unnamed/{suffix.lower()}", place

    def _entry_rules(self, suffix: str, name: str) -> list[Rule]:
        """Return the rules of the entry chains that lead to a service or name it.

        A health-check port is named after the whole Service, whichever port the chain is for.
        """
        health = self._health.get(name.partition(":")[0], [])
        found = [*self._targets.get(suffix, []), *self._entries.get(name, []), *health]
        return list({id(rule): rule for rule in found}.values())

    def _endpoints(self, chain: str) -> tuple[tuple[Endpoint, ...], int | None]:
        """Return the balancing rules of a chain with their shares, and the affinity's seconds."""
        rules = self.chains.get(chain)
        affinity, endpoints, left = None, [], 1.0
        for rule in rules:
            if not rule.target.startswith("KUBE-SEP-"):
                continue
            if rule.get("rcheck") is not None:
                affinity = _number(rule.get("seconds"))
                continue
            if left <= 0.0:
                self.notes.append(
                    f"{rule.place[0]}:{rule.place[1]}: never reached, the rules of {chain} before "
                    "it take every connection"
                )
                continue
            mode, probability, exact = _chance(rule)
            endpoints.append(self._endpoint(rule, mode, probability, left * exact))
            left *= 1.0 - exact
        if affinity is None and any(
            sep.get("set") is not None and sep.target == "DNAT"
            for item in endpoints
            for sep in self.chains.get(item.chain)
        ):
            affinity = 10_800  # the default of sessionAffinityConfig.clientIP.timeoutSeconds
            self.notes.append(
                f"{chain}: its endpoints keep client lists (recent --set), the rules that look "
                "them up are missing: affinity with the default of 10800 s is assumed"
            )
        return tuple(endpoints), affinity

    def _endpoint(self, jump: Rule, mode: str, probability: float, share: float) -> Endpoint:
        nat = next((r for r in self.chains.get(jump.target) if r.target == "DNAT"), None)
        return Endpoint(
            chain=jump.target,
            address=self._address(jump, nat),
            probability=probability,
            share=share,
            mode=mode,
            packets=nat.packets if nat else None,
            place=jump.place,
        )

    def _address(self, jump: Rule, nat: Rule | None) -> str | None:
        """Return where an endpoint chain leads: its DNAT rule, else what else tells it."""
        written = (nat.get("to-destination") or "").split() if nat else []
        if written and not written[0].startswith(":"):
            return written[0]
        told = ARROW.search(jump.comment)
        if told:
            self._infer(f"{jump.target}: {told[1]} is from the comment of", jump)
            return told[1]
        own = next((r for r in self.chains.get(jump.target) if r.get("source")), None)
        if nat is None or own is None or self._port is None:
            return None
        host = (own.get("source") or "").partition("/")[0]
        address = f"[{host}]:{self._port}" if ":" in host else f"{host}:{self._port}"
        # mixed iptables versions print "--to-destination :0 --persistent"
        self._infer(f"{jump.target}: its DNAT rule is unreadable, {address} is guessed from", own)
        return address

    def _infer(self, what: str, rule: Rule) -> None:
        note = f"{what} {rule.place[0]}:{rule.place[1]}"
        if note not in self.notes:
            self.notes.append(note)

    def _local(self, suffix: str) -> tuple[tuple[Endpoint, ...] | None, int | None]:
        """Return this node's endpoints: known, known to be none, or None when nothing tells."""
        for kind in ("SVL", "XLB"):
            chain = f"KUBE-{kind}-{suffix}"
            endpoints, affinity = self._endpoints(chain)
            if endpoints:
                return endpoints, affinity
            if any("no local endpoints" in r.comment for r in self.chains.get(chain)):
                return (), None
        return None, None

    def _by_file(self, suffix: str) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for kind in ("SVL", "XLB"):
            for path, rules in self.chains.local.get(f"KUBE-{kind}-{suffix}", {}).items():
                jumps = [r for r in rules if r.target.startswith("KUBE-SEP-")]
                known = [
                    self._endpoint(r, "random", 1.0, 1.0).address
                    for r in jumps
                    if r.get("rcheck") is None
                ]
                found[path] = tuple(address for address in known if address)
        return found

    def _policy(
        self, suffix: str, name: str, outside: Sequence[Rule], *, health: bool
    ) -> str | None:
        """Return the external traffic policy that the chains show; ``outside``: ways in."""
        external = self.chains.get(f"KUBE-EXT-{suffix}")
        ways = [*external, *self.chains.get(f"KUBE-FW-{suffix}"), *outside]
        local = {f"KUBE-SVL-{suffix}", f"KUBE-XLB-{suffix}"}
        if any(rule.target in local for rule in ways) or self.chains.get(f"KUBE-XLB-{suffix}"):
            return "Local"
        if any(rule.get("src-type") == "LOCAL" for rule in external):
            here = bool(self.chains.get(f"KUBE-SVL-{suffix}"))
            self.notes.append(
                f"{name}: KUBE-EXT-{suffix} treats this node's own traffic apart, so the policy is "
                f"Local; its jump to KUBE-SVL-{suffix} is missing and is inferred (that chain is "
                + ("here)" if here else "missing too, or this node has no endpoint)")
            )
            return "Local"
        if health:
            self.notes.append(f"{name}: a health-check node port is open, so the policy is Local")
            return "Local"
        return "Cluster" if ways else None


def _chance(rule: Rule) -> tuple[str, float, float]:
    """Return (mode, probability as written, exact probability) of a balancing rule.

    The kernel compares 31 random bits with ``round(p 2^31)`` (xt_statistic): that is exact.
    """
    if rule.get("mode") == "nth" or rule.get("every"):
        every = _number(rule.get("every")) or 1
        return "nth", 1.0 / every, 1.0 / every
    written = rule.get("probability")
    if written is None:
        return "random", 1.0, 1.0
    try:
        probability = float(written)
    except ValueError:
        probability = math.nan
    if not 0.0 <= probability <= 1.0:
        return "random", 1.0, 1.0
    return "random", probability, round(probability * U31) / U31


def _addresses(ways: Sequence[Rule], suffix: str, *kinds: str) -> list[str]:
    """Return the destinations of entry rules whose comment (or target) is one of ``kinds``."""
    found: dict[str, None] = {}
    for rule in ways:
        destination = (rule.get("destination") or "").partition("/")[0]
        if destination and _kind(rule, suffix) in kinds:
            found[destination] = None
    return list(found)


def _kind(rule: Rule, suffix: str) -> str:
    """Return what an entry rule is for; large clusters leave the comments out."""
    if rule.chain == "KUBE-NODEPORTS":
        return "node port"
    for kind in ("loadbalancer IP", "external IP", "cluster IP"):
        if kind in rule.comment:
            return kind.split()[0]
    if rule.target in {f"KUBE-{kind}-{suffix}" for kind in ("EXT", "FW", "XLB")}:
        return "loadbalancer"
    return "cluster"


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isdecimal() and len(text) < 19 else None
