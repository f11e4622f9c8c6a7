"""Addresses, flow hashes, members and round trips: the plan's view of the network."""

from __future__ import annotations

import ipaddress
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from lbbench.core.hashes import RSS_KEY, Distribution, flow_bytes, toeplitz, toeplitz_tables
from lbbench.core.rng import mix64, stream, wrapping
from lbbench.engines.world import ADDRESS, NODE, table
from lbbench.model.topology import Topology

PORT_AT = {4: 8, 6: 32}  # where the source port begins in the flow's bytes


def address_number(text: str) -> int:
    """Return an address as the uint32 that per-source rules see; IPv6 is folded by crc32."""
    address = ipaddress.ip_address(text)
    return int(address) if address.version == 4 else zlib.crc32(address.packed)


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
    tables = toeplitz_tables(RSS_KEY)
    target, port = vip.rsplit(":", 1)
    base = stream(seed, 0, "traffic", "ports")[0]
    rows = table(ADDRESS, len(addresses))
    with wrapping():
        for i, text in enumerate(addresses):
            data = flow_bytes(distribution, text, 0, target.strip("[]"), int(port))
            rows["hash"][i] = toeplitz(tables, np.frombuffer(data, np.uint8))
            rows["family"][i] = 1 if ":" in text else 0
            rows["number"][i] = address_number(text)
            rows["salt"][i] = mix64(base ^ mix64(np.uint64(i)))
    ports = np.zeros((2, 2, 256), np.int64)
    if distribution == "Default":
        for i, version in enumerate((4, 6)):
            ports[i] = tables[PORT_AT[version] : PORT_AT[version] + 2]
    return {"address": rows, "port_hash": ports}


def node_table(top: Topology, targets: np.ndarray) -> np.ndarray:
    """Return the nodes' records: addresses as numbers, and how many targets each one lists."""
    rows = table(NODE, len(top.nodes))
    for i, node in enumerate(top.nodes):
        rows["number"][i] = address_number(node.address)
        rows["bridge"][i] = address_number(bridge_address(i))
        rows["targets"][i] = targets[i]
    return rows


def bridge_address(node: int) -> str:
    """Return the address of a node's pod bridge: the source after SNAT towards a local pod."""
    return f"10.{244 + node // 256}.{node % 256}.1"


def members(
    target_node: np.ndarray, nodes: int, *, local: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (healthy nodes, targets by node [N, T], their number [N]).

    Under ``Local`` a node lists only its own targets, and a node without one fails the load
    balancer's HTTP probe, so it is out from the start.
    """
    everyone = np.arange(len(target_node))
    listed_by = np.zeros((nodes, max(len(target_node), 1)), np.int64)
    counts = np.zeros(nodes, np.int64)
    for node in range(nodes):
        listed = everyone[target_node == node] if local else everyone
        listed_by[node, : len(listed)] = listed
        counts[node] = len(listed)
    healthy = np.flatnonzero(counts > 0).astype(np.int64)
    return healthy, listed_by, counts


def hop_rtts(nodes: int, same: float, cross: float) -> np.ndarray:
    """Return the round trip between two nodes, float64[N, N] seconds."""
    rtts = np.full((nodes, nodes), cross)
    np.fill_diagonal(rtts, same)
    return rtts
