"""What is different for addresses of IPv4 and of IPv6."""

from __future__ import annotations

import socket

FIRST_SOURCE = {4: "10.1.0.1", 6: "2001:db8:1::1"}
"""An address for a client that has none, by `version_of` the address that it dials."""

BITS = {4: 32, 6: 128}


def version_of(address: str) -> int:
    """Return 4 or 6: of an IP, or of an address with a port."""
    return 6 if address.count(":") > 1 else 4


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of an IP, or of an address with a port."""
    return socket.AF_INET6 if version_of(address) == 6 else socket.AF_INET


def bits_of(ip: str) -> int:
    """Return the length of an IP in bits: 32 or 128."""
    return BITS[version_of(ip)]
