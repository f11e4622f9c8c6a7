"""Addresses, flow hashes, members and round trips: the plan's view of the network."""

from __future__ import annotations

import ipaddress
import socket
import zlib
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lbbench.core.hashes import RSS_KEY, Distribution, flow_bytes, toeplitz, toeplitz_tables
from lbbench.core.rng import mix64, stream
from lbbench.engines.tables import ADDRESS, NODE, table
from lbbench.model.topology import PodInfo, ReplicaInfo, Topology

PORT_AT = {4: 8, 6: 32}  # where the source port begins in the flow's bytes
SLICE = {4: 24, 6: 64}  # kubenet gives every node a /24 of pod addresses
MOST_KEPT = 2**16  # addresses whose hashes are kept for the next run: 2 MB, and 6 MB of texts


def address_number(text: str) -> int:
    """Return an address as the uint32 that per-source rules see; IPv6 is folded by crc32."""
    family = socket.AF_INET6 if ":" in text else socket.AF_INET
    return int(_numbers(_packed([text], family))[0])


def flow_tables(
    addresses: Sequence[str], vip: str, distribution: Distribution, seed: int
) -> dict[str, Any]:
    """Return the fields ``address`` and ``port_hash``: the flow hash by source address and port.

    Parameters
    ----------
    addresses
        The A distinct source addresses.
    vip
        "ADDRESS:PORT" that clients dial.
    distribution
        ``Default`` (5-tuple), ``SourceIPProtocol`` (3-tuple) or ``SourceIP`` (2-tuple).
    """
    made = _flow_tables if len(addresses) <= MOST_KEPT else _flow_tables.__wrapped__
    known, ports = made(tuple(addresses), vip, distribution)
    rows = known.copy()
    base = stream(seed, 0, "traffic", "ports")[0]
    each: Any = np.arange(len(addresses), dtype=np.uint64)  # mix64 works element by element
    rows["salt"] = mix64(base ^ mix64(each))
    return {"address": rows, "port_hash": ports.copy()}


@lru_cache(maxsize=4)
def _flow_tables(
    addresses: tuple[str, ...], vip: str, distribution: Distribution
) -> tuple[np.ndarray, np.ndarray]:
    """Return what of the `flow_tables` no seed changes."""
    tables = toeplitz_tables(RSS_KEY)
    target, port = vip.rsplit(":", 1)
    target = target.strip("[]")
    rows = table(ADDRESS, len(addresses))
    for packed, places in zip(*_packed_by_family(addresses), strict=True):
        if len(places) == 0:
            continue
        # the hash is linear over XOR: the flow from address 0, and what each source byte adds
        nobody = str(ipaddress.ip_address(bytes(packed.shape[1])))
        data = flow_bytes(distribution, nobody, 0, target, int(port))
        hashes = np.full(len(packed), toeplitz(tables, np.frombuffer(data, np.uint8)), np.uint32)
        for position in range(packed.shape[1]):
            hashes ^= tables[position, packed[:, position]]
        rows["hash"][places] = hashes
        rows["family"][places] = int(packed.shape[1] == 16)
        rows["number"][places] = _numbers(packed)
    ports = np.zeros((2, 2, 256), np.int64)
    if distribution == "Default":
        for i, version in enumerate((4, 6)):
            ports[i] = tables[PORT_AT[version] : PORT_AT[version] + 2]
    return rows, ports


def _packed_by_family(
    addresses: Sequence[str],
) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Return ((IPv4 bytes uint8[n, 4], IPv6 bytes uint8[m, 16]), their places in the list)."""
    is_six = np.array([":" in text for text in addresses], bool)
    four = [text for text in addresses if ":" not in text]
    six = [text for text in addresses if ":" in text]
    places = np.flatnonzero(~is_six), np.flatnonzero(is_six)
    return (_packed(four, socket.AF_INET), _packed(six, socket.AF_INET6)), places


def _packed(addresses: Sequence[str], family: socket.AddressFamily) -> np.ndarray:
    """Return the bytes of addresses of one family, uint8[n, 4 or 16]."""
    data = b"".join(socket.inet_pton(family, text) for text in addresses)
    return np.frombuffer(data, np.uint8).reshape(-1, 16 if family == socket.AF_INET6 else 4)


def _numbers(packed: np.ndarray) -> np.ndarray:
    """Return addresses as uint32 in int64: IPv4 as it is, IPv6 folded by crc32."""
    if packed.shape[1] == 4:
        return packed.astype(np.int64) @ (256 ** np.arange(3, -1, -1, dtype=np.int64))
    return np.array([zlib.crc32(row.tobytes()) for row in packed], np.int64)


def node_table(top: Topology) -> np.ndarray:
    """Return the nodes' records: addresses as numbers."""
    rows = table(NODE, len(top.nodes))
    bridges = bridge_addresses(top)
    for i, node in enumerate(top.nodes):
        rows["number"][i] = address_number(node.address)
        rows["bridge"][i] = address_number(bridges[i])
    return rows


def pod_networks(top: Topology) -> list[str]:
    """Return each node's own pod network, "" where its pods do not lie in one of its own.

    A network is the /24 (IPv6: /64) that holds all pods and replicas of a node and of no other.
    """
    found: list[set[str]] = [set() for _ in top.nodes]
    placed: list[PodInfo | ReplicaInfo] = [*top.pods, *top.replicas]
    for item in placed:
        host = item.address.rpartition(":")[0].strip("[]")
        found[item.node].add(_slice(host))
    owners = Counter(text for networks in found for text in networks)
    return [
        min(networks) if len(networks) == 1 and owners[min(networks)] == 1 else ""
        for networks in found
    ]


def bridge_addresses(top: Topology) -> list[str]:
    """Return the address of each node's pod bridge: the source after SNAT towards a local pod.

    It is the first address of the node's own pod network, or a synthetic one.
    """
    return [
        str(ipaddress.ip_network(own)[1]) if own else f"10.{244 + i // 256}.{i % 256}.1"
        for i, own in enumerate(pod_networks(top))
    ]


@lru_cache(maxsize=4096)
def _slice(host: str) -> str:
    bits = SLICE[ipaddress.ip_address(host).version]
    return str(ipaddress.ip_network(f"{host}/{bits}", strict=False))


def hop_rtts(nodes: int, same: float, cross: float) -> np.ndarray:
    """Return the round trip between two nodes, float64[N, N] seconds."""
    rtts = np.full((nodes, nodes), cross)
    np.fill_diagonal(rtts, same)
    return rtts
