"""What kube-proxy's rules say: services, their endpoints in rule order, and exact shares."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from lbbench.errors import InputError
from lbbench.inputs.source import Place, Skipped

COMPLETE = 1e-6
"""How far shares may be from 1 in a whole chain; printed decimals are finer than that."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One balancing rule: where it leads and how often, in the order of the chain."""

    chain: str  # KUBE-SEP-...
    address: str | None  # "ip:port", None when the chain's DNAT rule is not in the input
    probability: float  # as written; 1.0 for a rule without a statistic match
    share: float  # exact share of new connections: own probability times what earlier rules leave
    mode: str  # "random" or "nth"
    packets: int | None  # new connections counted by the DNAT rule (iptables-save -c)
    place: Place
    weight: int = 1  # of IPVS


@dataclass(frozen=True, slots=True)
class Service:
    """One port of a Service as the rules of one node show it."""

    name: str  # namespace/name:port as the comments write it
    suffix: str  # of the chains KUBE-SVC-..., KUBE-XLB-..., ...
    protocol: str
    port: int | None
    cluster_ip: str | None
    load_balancer_ips: tuple[str, ...]
    external_ips: tuple[str, ...]  # those of the load balancer included
    node_port: int | None
    health_check_node_port: int | None
    external_policy: str | None  # Cluster, Local, None: not reachable from outside, or not shown
    affinity_seconds: int | None
    endpoints: tuple[Endpoint, ...]  # the cluster-wide chain; the local one where it is not shown
    local_endpoints: tuple[Endpoint, ...] | None  # of this node; None: the rules do not tell
    local_by_file: dict[str, tuple[str, ...]]  # addresses, where several nodes' saves were read
    cluster_wide: bool  # False: `endpoints` are only the local ones
    place: Place  # the first rule that names it
    proxy: str = "iptables"  # kube-proxy's mode: iptables, nftables, ipvs
    scheduler: str | None = None  # of IPVS

    @property
    def addresses(self) -> tuple[str, ...]:
        """The known addresses of the endpoints, in rule order."""
        return tuple(item.address for item in self.endpoints if item.address is not None)

    @property
    def probabilities(self) -> tuple[float, ...]:
        """The probabilities as written, the last 1.0 where the rule has none."""
        return tuple(item.probability for item in self.endpoints)

    @property
    def shares(self) -> tuple[float, ...]:
        """The exact shares of new connections by the product of the rules."""
        return tuple(item.share for item in self.endpoints)

    @property
    def external_shares(self) -> dict[str, float]:
        """Shares of connections that reach this node from outside, by address (or chain)."""
        local = self.external_policy == "Local" and self.local_endpoints is not None
        chosen = self.local_endpoints if local else self.endpoints
        return {item.address or item.chain: item.share for item in chosen or ()}

    @property
    def mode(self) -> str:
        """``random`` or ``nth``; ``mixed`` when both appear."""
        modes = {item.mode for item in self.endpoints if item.probability < 1.0}
        return "mixed" if len(modes) > 1 else next(iter(modes), "random")

    @property
    def complete(self) -> bool:
        """Whether every connection that enters the chain leaves it by one of its rules."""
        return bool(self.endpoints) and abs(sum(self.shares) - 1.0) < COMPLETE

    @property
    def external(self) -> bool:
        """Whether the rules show a way in from outside the cluster."""
        return bool(self.external_ips) or self.node_port is not None

    @property
    def vip(self) -> str | None:
        """Address and port that clients dial: load balancer, external address, cluster address."""
        chosen = next(iter((*self.load_balancer_ips, *self.external_ips)), self.cluster_ip)
        if chosen is None or self.port is None:
            return None
        return f"[{chosen}]:{self.port}" if ":" in chosen else f"{chosen}:{self.port}"

    @property
    def is_controller(self) -> bool:
        """Whether this is an ingress controller, by its name, and reachable from outside.

        ``default/whereami-ingress`` behind a ClusterIP is an application that an ingress leads
        to, ``default/nginx`` is a web server; ``ingress-nginx/controller``,
        ``app-routing-system/nginx`` and ``kube-system/...-nginx-ingress`` are controllers.
        """
        if not self.external:
            return False
        namespace, _, rest = self.name.partition("/")
        plain = rest.partition(":")[0]
        if "ingress" in namespace or "ingress" in plain:
            return True
        return "nginx" in plain and namespace != "default"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """Everything that was read from one node's rules, or from several nodes' saves."""

    services: tuple[Service, ...]
    unresolved: tuple[str, ...]  # services that are named, but none of whose own chains is here
    cluster_cidr: str | None  # the pods' network as the masquerade rules give it
    probability_format: str | None  # "%0.5f", "%0.10f", None: the rules fit both or neither
    duplicate_rules: int
    dangling_chains: tuple[str, ...]  # jumped to, but without a rule here (SVC, SVL, EXT, FW, XLB)
    unresolved_sep: int  # endpoint chains that are jumped to, but whose DNAT rule is not here
    declared_svc_chains: int
    declared_sep_chains: int
    files: tuple[str, ...]
    notes: tuple[str, ...]  # what was inferred, is missing, or was skipped; sentences
    skipped: tuple[Skipped, ...]

    def names(self) -> tuple[str, ...]:
        """Return the names of the services in the order of the rules."""
        return tuple(service.name for service in self.services)

    def service(self, name: str | None = None) -> Service:
        """Return the service called ``name``, or the default: see `ranked`.

        A name may leave out the namespace or the port as long as one service fits.

        Raises
        ------
        InputError
            When no service, or more than one, is called so.
        """
        if name is None:
            return ranked(self.services)[0]
        wanted = name.rstrip(":")
        fits = [item for item in self.services if item.name.rstrip(":") == wanted]
        if not fits:
            fits = [
                item
                for item in self.services
                if wanted
                in {item.name.partition(":")[0], item.name.partition("/")[2].partition(":")[0]}
            ]
        if len(fits) == 1:
            return fits[0]
        known = ", ".join(self.names())
        problem = "is not among" if not fits else "fits more than one of"
        raise InputError(
            f"{self.files[0]}: service {name!r} {problem} the services of the rules: {known}"
        )


def ranked(services: Sequence[Service]) -> list[Service]:
    """Return the services, the likeliest subject of a scenario first.

    Whole chains before broken ones, ingress controllers before other services that are reachable
    from outside before internal ones, port 80 before others, many endpoints before few.
    """
    return sorted(
        services,
        key=lambda item: (
            not item.complete,
            not item.is_controller,
            not item.load_balancer_ips,
            not item.external,
            item.port != 80,
            -len(item.endpoints),
        ),
    )
