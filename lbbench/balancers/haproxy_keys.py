"""What HAProxy's hash balancers hash: ``source``, or a text such as ``uri``.

Original: haproxy/haproxy src/backend.c (get_server_sh, get_server_uh) and src/hash.c at v2.6.12. A
text goes through the function sdbm, ``hash-type``'s default. An address, which is what ``source``
hashes, is the exclusive or of its 32-bit words, whatever the function. Where the type is consistent
and no function is given both go through the avalanche `full_hash`.

Here ``hash_by`` says what is hashed: one that gives an address counts as ``source``, anything else
as ``uri`` or ``hdr``. A text that is empty, as a header that is not there, has no key.
"""

from __future__ import annotations

import ipaddress

from lbbench.core.nearest import MASK, full_hash

NO_KEY = -1


def sdbm(text: bytes) -> int:
    """Return the hash sdbm of a text, uint32."""
    value = 0
    for byte in text:
        value = (byte + (value << 6) + (value << 16) - value) & MASK
    return value


def folded(packed: bytes) -> int:
    """Return the exclusive or of the 32-bit words of an address, uint32."""
    value = 0
    for at in range(0, len(packed), 4):
        value ^= int.from_bytes(packed[at : at + 4], "big")
    return value


def plain_key(text: bytes) -> int:
    """Return the key of a map-based hash, uint32; -1 without a text."""
    if not text:
        return NO_KEY
    try:
        return folded(ipaddress.ip_address(text.decode()).packed)
    except ValueError:
        return sdbm(text)


def avalanche_key(text: bytes) -> int:
    """Return the key of a consistent hash, uint32; -1 without a text."""
    return full_hash(plain_key(text)) if text else NO_KEY
