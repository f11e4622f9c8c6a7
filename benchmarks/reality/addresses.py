"""What is different for addresses of IPv4 and of IPv6."""

from __future__ import annotations

import socket

FIRST_SOURCE = {32: "10.1.0.1", 128: "2001:db8:1::1"}
"""An address for a client that has none, by `bits_of` the address that it dials."""


def family_of(address: str) -> socket.AddressFamily:
    """Return the family of an IP, or of an address with a port."""
    is_six = address.count(":") > 1
    return socket.AF_INET6 if is_six else socket.AF_INET


def bits_of(ip: str) -> int:
    """Return the length of an IP in bits: 32 or 128."""
    return 128 if ":" in ip else 32
