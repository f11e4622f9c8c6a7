"""On which node does a pod run? Guessed from its address where nodes own slices of the pod network.

kubenet (and the overlay networks that took its place) give every node a /24 of the pod network, so
the third number of 10.244.1.6 is the number of the node. Where pods have addresses of the virtual
network itself, nothing can be told from them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from lbbench.model.addresses import split_address

KUBENET = IPv4Network("10.244.0.0/16")
"""The pod network of kubenet, flannel and kind unless told otherwise."""

SLICE = {4: 24, 6: 64}
"""Prefix length of a node's slice, by IP version."""

ROOM = 4  # bits that a pod network must leave for the number of the node: sixteen nodes
OTHERS = 2  # further nodes that are assumed where the rules show only one


@dataclass(frozen=True)
class Placement:
    """Nodes in order, and the node of every address."""

    nodes: tuple[str, ...]
    node_of: dict[str, str]
    note: str


def host_of(address: str) -> str:
    """Return the IP of ``ip:port`` or ``[ip]:port``."""
    return address.rpartition(":")[0].strip("[]") or address


def with_port(text: str) -> str | None:
    """Return ``ip:port``, port 80 where none is given; None for what is no address."""
    for written in (text, f"{text}:80"):
        try:
            split_address(written)
        except ValueError:
            continue
        return written
    return None


def in_pod_network(client: str) -> bool:
    """Tell whether an address (an IPv6 one with a port in brackets) is of the usual pod network."""
    try:
        return ip_address(host_of(client) if "]" in client else client) in KUBENET
    except ValueError:
        return False


def place(
    addresses: Sequence[str],
    *,
    cidr: str | None = None,
    others: Iterable[str] = (),
    local: Sequence[str] | None = None,
    by_file: dict[str, tuple[str, ...]] | None = None,
) -> Placement:
    """Return the likeliest nodes of ``addresses`` (``ip:port``).

    Parameters
    ----------
    cidr
        The pods' network, None when unknown.
    others
        Further addresses that show which nodes exist.
    local
        Those known to be on one node, None when unknown.
    by_file
        Those known to be local to the node of each file, where several nodes' rules were read.
    """
    known = [number for number in (_slice(item, cidr) for item in addresses) if number is not None]
    told = _by_file(addresses, by_file or {})
    if told is not None:
        return told
    if addresses and len(known) == len(addresses) and _agrees(addresses, known, local):
        more = {number for item in others if (number := _slice(item, cidr)) is not None}
        names = [f"node-{number}" for number in sorted({*known, *more})]
        of = dict(zip(addresses, (f"node-{number}" for number in known), strict=True))
        return Placement(
            tuple(names),
            of,
            f"nodes are guessed from the pods' addresses, one slice (/24, IPv6 /64) of the pod "
            f"network per node as kubenet does: {', '.join(names)}",
        )
    if local:
        return _around(addresses, local)
    count = max(1, min(3, len(addresses)))
    names = [f"node-{i}" for i in range(count)]
    of = {item: names[i % count] for i, item in enumerate(addresses)}
    return Placement(
        tuple(names), of, f"nothing tells where the pods run: spread over {count} nodes (assumed)"
    )


def _slice(address: str, cidr: str | None) -> int | None:
    """Return the number of a node's slice, None when the network has none."""
    try:
        ip = ip_address(host_of(address))
        network = ip_network(cidr, strict=False) if cidr else KUBENET
    except ValueError:
        return None
    if ip.version != network.version and isinstance(ip, IPv6Address):
        network = IPv6Network((int(ip) >> 80 << 80, 48)) if ip.is_private else network
    if ip.version != network.version or ip not in network:
        return None
    if network.prefixlen > SLICE[ip.version] - ROOM:
        return None
    return (int(ip) - int(network.network_address)) >> (ip.max_prefixlen - SLICE[ip.version])


def _agrees(addresses: Sequence[str], slices: Sequence[int], local: Sequence[str] | None) -> bool:
    """Tell whether the local endpoints are exactly the pods of one slice."""
    if not local:
        return True
    inside = {number for item, number in zip(addresses, slices, strict=True) if item in local}
    rest = {number for item, number in zip(addresses, slices, strict=True) if item not in local}
    return len(inside) <= 1 and not inside & rest


def _by_file(addresses: Sequence[str], by_file: dict[str, tuple[str, ...]]) -> Placement | None:
    """Return the placement that the local chains of several nodes show, None without."""
    lists = list(by_file.values())
    seen = [item for part in lists for item in part]
    if len(lists) < 2 or len(seen) != len(set(seen)) or not set(addresses) <= set(seen):
        return None
    names = tuple(f"node-{i}" for i in range(len(lists)))
    of = {item: name for name, part in zip(names, lists, strict=True) for item in part}
    shown = ", ".join(f"{name} = {path}" for name, path in zip(names, by_file, strict=True))
    return Placement(names, of, f"nodes are those whose rules were read: {shown}")


def _around(addresses: Sequence[str], local: Sequence[str]) -> Placement:
    """Put the local endpoints on node-0 and the rest on others."""
    rest = [item for item in addresses if item not in local]
    count = min(OTHERS, len(rest))
    names = [f"node-{i}" for i in range(1 + count)]
    of = dict.fromkeys(local, names[0])
    of |= {item: names[1 + i % count] for i, item in enumerate(rest)}
    return Placement(
        tuple(names),
        of,
        "node-0 is the node whose rules these are"
        + (f"; the other pods are spread over {count} more nodes (assumed)" if rest else ""),
    )
