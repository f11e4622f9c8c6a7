"""What ``az`` says of a load balancer: rules, probes, pools, outbound rules, routes, AKS profile.

JSON of ``az network lb show|list``, ``lb rule|probe|outbound-rule list``, ``route-table
show|list``, ``route list`` and ``aks show``, and the same as tables (``-o table``) and as rows
without headings (``-o tsv``).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbbench.errors import InputError
from lbbench.inputs.azure.tables import from_table
from lbbench.inputs.documents import Document, Text, read_documents
from lbbench.inputs.kubernetes.objects import rows, table, text
from lbbench.inputs.source import Skipped, listed, named

MOST_THINGS = 300_000
"""Things that are kept; more is refused: the load balancers of a subscription have fewer."""

_VMSS = re.compile(r"/virtualMachineScaleSets/([^/]+)/virtualMachines/([0-9]+)/", re.IGNORECASE)
_NIC = re.compile(r"/networkInterfaces/([^/]+?)-nic-([0-9]+)/", re.IGNORECASE)


@dataclass(frozen=True)
class Thing:
    """A rule, probe, pool, outbound rule, route or profile in az's JSON shape, and its place."""

    kind: str
    name: str
    data: dict[str, Any]
    place: str

    @property
    def where(self) -> str:
        """Its place for messages."""
        return f"{self.place} ({self.kind}{' ' if self.name else ''}{self.name})"


@dataclass
class AzureDump:
    """Everything that was read, in the order of the files."""

    things: list[Thing] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    files: list[str] = field(default_factory=list)

    def of(self, kind: str) -> list[Thing]:
        """Return the things of one kind."""
        return [item for item in self.things if item.kind == kind]


def read_azure(paths: str | Path | list[str]) -> AzureDump:
    """Return what files of ``az`` output hold: JSON, tables or tsv, any mix.

    Raises
    ------
    InputError
        When a file cannot be read, or none of them holds anything of a load balancer.
    """
    dump = AzureDump()
    for path in listed(paths):
        dump.files.append(named(path))
        for item in read_documents(path):
            if isinstance(item, Text):
                for kind, name, data, line in from_table(item, dump.skipped):
                    dump.things.append(Thing(kind, name, data, f"{item.name}:{line}"))
            else:
                _take(dump, item)
            if len(dump.things) + len(dump.skipped) > MOST_THINGS:
                raise InputError(
                    f"{named(path)}: more than {MOST_THINGS} objects; save those of one load "
                    "balancer"
                )
    if not dump.things:
        raise InputError(
            f"{dump.files[0]}: no load balancer, rule, probe, route or AKS profile of az in it; "
            "save: az network lb show -g MC_GROUP -n kubernetes -o json"
        )
    kinds = dict.fromkeys(item.kind for item in dump.things)
    dump.notes.insert(0, "read " + ", ".join(f"{len(dump.of(kind))} {kind}" for kind in kinds))
    return dump


def node_of(ip_configuration: str) -> str:
    """Return the node that the id of an IP configuration belongs to, empty when it tells none.

    Instance N of a scale set is the node SETNAME and N in base 36 with six digits; a machine of an
    availability set has a network interface NAME-nic-N and is the node NAME-N.
    """
    match = _VMSS.search(ip_configuration)
    if match and len(match[2]) < 10:
        return f"{match[1].lower()}{_base36(int(match[2])):0>6}"
    match = _NIC.search(ip_configuration)
    return f"{match[1].lower()}-{match[2]}" if match else ""


def pool_nodes(pool: dict[str, Any]) -> list[str]:
    """Return the nodes in a backend pool, in their order."""
    ids = [text(item, "id") for item in rows(pool, "backendIPConfigurations")]
    ids += [
        text(item, "networkInterfaceIPConfiguration", "id")
        for item in rows(pool, "loadBalancerBackendAddresses")
    ]
    return list(dict.fromkeys(name for item in ids if (name := node_of(item))))


def _base36(number: int) -> str:
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits or "0"


def _take(dump: AzureDump, item: Document) -> None:
    """Take one JSON object by its shape; a REST answer holds its list in ``value``."""
    data, place = _flat(item.data), item.place
    inner = rows(data, "value")
    if inner:
        for one in inner:
            _take(dump, Document(one, place))
        return
    name = text(data, "name")
    if "loadBalancingRules" in data and "backendAddressPools" in data:
        dump.things.append(Thing("load balancer", name, data, place))
        for key, kind in (
            ("loadBalancingRules", "rule"),
            ("probes", "probe"),
            ("backendAddressPools", "pool"),
            ("outboundRules", "outbound rule"),
        ):
            dump.things += [
                Thing(kind, text(one, "name"), _flat(one), place) for one in rows(data, key)
            ]
        return
    if "routes" in data and "nodeResourceGroup" not in data:
        dump.things.append(Thing("route table", name, data, place))
        for one in rows(data, "routes"):
            dump.things.append(Thing("route", text(one, "name"), _flat(one), place))
        return
    if "agentPoolProfiles" in data or "networkProfile" in data:
        dump.things.append(Thing("AKS cluster", name, data, place))
        profile = table(data, "networkProfile", "loadBalancerProfile")
        if profile:
            dump.things.append(Thing("profile", name, profile, place))
        return
    kind = _kind(data)
    if kind:
        dump.things.append(Thing(kind, name, data, place))
    else:
        shown = ", ".join(list(data)[:4])
        dump.skipped.append((place, 1, f"nothing of a load balancer (keys {shown})"))


def _kind(data: dict[str, Any]) -> str:
    """Return what a single object is, by the keys that only it has."""
    for kind, keys in (
        ("profile", {"managedOutboundIPs", "allocatedOutboundPorts"}),
        ("profile", {"loadBalancerProfile"}),
        ("rule", {"loadDistribution"}),
        ("rule", {"frontendPort", "backendPort", "enableFloatingIP"}),
        ("probe", {"intervalInSeconds"}),
        ("outbound rule", {"allocatedOutboundPorts", "idleTimeoutInMinutes"}),
        ("route", {"addressPrefix", "nextHopType"}),
        ("pool", {"loadBalancerBackendAddresses"}),
        ("pool", {"backendIPConfigurations"}),
    ):
        if keys <= set(data):
            return kind
    return ""


def _flat(data: dict[str, Any]) -> dict[str, Any]:
    """Return a REST object (``properties`` apart) in the shape that az prints."""
    inner = table(data, "properties")
    return {**data, **inner} if inner else data
