"""Names of kube-proxy's iptables chains: what KUBE-SVC-7G2JV7LNOR6DDNIY stands for.

A chain's suffix is a hash of what it stands for, so every node names it alike and a walk can be
written down without looking at a node.

Source: kubernetes/kubernetes pkg/proxy/iptables/proxier.go (``portProtoHash``,
``servicePortEndpointChainName``) and pkg/proxy/types.go@0096f4a4 (``ServicePortName``).
"""

from __future__ import annotations

import base64
import hashlib
from typing import Literal

Naming = Literal["old", "new"]
"""``old``: KUBE-FW and KUBE-XLB, to 1.23 (the seed's); ``new``: KUBE-EXT and KUBE-SVL."""

ServiceChain = Literal["SVC", "FW", "XLB", "EXT", "SVL"]

SUFFIX = 16  # characters of the base32 text that are kept


def suffix(text: str) -> str:
    """Return the first 16 characters of base32(SHA-256(text)), alphabet A-Z 2-7."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode()[:SUFFIX]


def service_port_name(namespace: str, name: str, port: str = "", *, naming: Naming = "new") -> str:
    """Return what chains and comments call one port of a Service: ``default/whereami``.

    An unnamed port leaves a colon at the end in the old generation, so the same Service has other
    suffixes there.
    """
    if port or naming == "old":
        return f"{namespace}/{name}:{port}"
    return f"{namespace}/{name}"


def service_chain(kind: ServiceChain, port_name: str, protocol: str = "tcp") -> str:
    """Return a chain of a Service's port; all kinds of one port share the suffix."""
    return f"KUBE-{kind}-{suffix(port_name + protocol)}"


def endpoint_chain(port_name: str, endpoint: str, protocol: str = "tcp") -> str:
    """Return the chain of one endpoint (``ip:port``) of a Service's port."""
    return f"KUBE-SEP-{suffix(port_name + protocol + endpoint)}"
