"""Addresses: how they are written, and the synthetic ones of nodes and pods."""

from __future__ import annotations

import ipaddress
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

HOSTS = 253
"""Pods in a node's /24 network: .2 to .254; .1 is the bridge."""

MAX_NODES = 12 * 256
"""As many /24 networks as 10.244.0.0 to 10.255.255.0 hold: each node has its own."""

SECOND = (*range(244, 256), *range(243, 224, -1), *range(223, -1, -1))
"""Second octets of pod networks in the order of use; 224 belongs to the nodes."""


def split_address(text: str) -> tuple[str, int]:
    """Return (address, port) of "10.244.0.4:8080" or "[fd00::1]:80".

    Raises
    ------
    ValueError
        With a sentence when it is not an address with a port.
    """
    host, _, port = text.rpartition(":")
    bare = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        version: int = ipaddress.ip_address(bare).version
        number = int(port) if port.isascii() and port.isdigit() else 0
    except ValueError:
        version = 0
    if version == 0 or (version == 6) != (bare is not host and bare != host):
        raise ValueError(
            'is not an address with a port; write for instance "10.244.0.4:8080" or "[fd00::4]:80"'
        )
    if not 0 < number < 65536:
        raise ValueError("the port must be between 1 and 65535")
    return bare, number


def node_address(node: int) -> str:
    """Return the synthetic address of a node: 10.224.0.4, 10.224.0.5, ..."""
    number = node + 4
    return f"10.224.{number >> 8}.{number & 255}"


def pod_address(node: int, k: int, port: int, nodes: int) -> str:
    """Return the synthetic address of the k-th pod (from 0) of node number ``node`` of ``nodes``.

    10.244.<node>.<2 + k>. Nodes from 256 on continue in 10.245, 10.246, ... A node's pods from the
    254th on continue in further networks: number ``node + nodes x (k // 253)``, after 10.255 in
    10.243, 10.242, ... No two pods share an address because no two share (network, host).

    Raises
    ------
    ValueError
        When the 65280 networks do not reach.
    """
    block, host = divmod(k, HOSTS)
    network = node + nodes * block
    if network >= len(SECOND) * 256:
        raise ValueError(
            f"pod {k} of node {node} gets no synthetic address: too many pods on one node; "
            f"spread them, or give addresses"
        )
    return f"10.{SECOND[network >> 8]}.{network & 255}.{2 + host}:{port}"


def _ip(value: object) -> str:
    try:
        return str(ipaddress.ip_address(str(value)))
    except ValueError:
        raise ValueError('is not an IP address; write for instance "10.224.0.4"') from None


def _ip_and_port(value: object) -> str:
    text = str(value).strip()
    split_address(text)
    return text


def _any_text(value: object) -> str:
    """Read a pod's address: any text, since to balancers it is a text to sort and to hash."""
    text = str(value).strip() if isinstance(value, (str, int, float)) else ""
    if not 0 < len(text) <= 253:
        raise ValueError('must be a text of 1 to 253 signs, for instance "10.244.0.4:8080"')
    return text


def host_of(address: str) -> str:
    """Return the IP of "IP:port"; another text is its own host."""
    try:
        return split_address(address)[0]
    except ValueError:
        return address


Ip = Annotated[str, BeforeValidator(_ip), WithJsonSchema({"type": "string"})]
IpAndPort = Annotated[str, BeforeValidator(_ip_and_port), WithJsonSchema({"type": "string"})]
Address = Annotated[str, BeforeValidator(_any_text), WithJsonSchema({"type": "string"})]
