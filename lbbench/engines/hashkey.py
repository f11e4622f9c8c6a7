"""The key of hash balancers: `upstream-hash-by` evaluated for a request, as crc32."""

from __future__ import annotations

import numpy as np

from lbbench.core.hashes import crc32_continue
from lbbench.engines.world import Facts

LITERAL = 0  # fixed text
BY_CLIENT = 1  # $remote_addr under Local: the client's address
BY_NODE = 2  # $remote_addr under Cluster: the entry node's or its bridge's address
BY_KEY = 3  # $request_uri


def varying_row(f: Facts, kind: int, client: int, node: int, here: int, key: int) -> int:
    """Return the row of a part's table; ``here`` 1: the replica is on the entry ``node``."""
    if kind == BY_CLIENT:
        return f.client_address[client]
    if kind == BY_NODE:
        return 2 * node + here
    if kind == BY_KEY:
        return key
    return 0


def hash_key(f: Facts, client: int, node: int, here: int, key: int) -> int:
    """Return the crc32 of the evaluated template as int64.

    A template with at most one varying part is a look-up in ``key_hash``; others continue the crc32
    over the texts of their parts.
    """
    if f.key_hash.size > 0:
        return f.key_hash[varying_row(f, f.part_kind[0], client, node, here, key)]
    crc = np.uint32(0)
    for part in range(f.part_kind.size):
        row = f.part_row[part] + varying_row(f, f.part_kind[part], client, node, here, key)
        crc = crc32_continue(crc, f.text_bytes[f.text_start[row] : f.text_start[row + 1]])
    return np.int64(crc)  # type: ignore[return-value]
