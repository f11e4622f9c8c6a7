"""Hash lookups in numba, in the loops of ``c/pick.c``: 65 536 random keys of 12 bytes.

Toeplitz is the load balancer's flow hash over addresses and ports; ring is what `upstream-hash-by`
does: crc32 of the key, then the owner of the first point at or after it.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.instances import NOBODY, state_of
from lbbench.balancers.base import registry
from lbbench.core.hashes import RSS_KEY, crc32_continue, toeplitz, toeplitz_tables
from lbbench.core.jit import bind
from lbbench.core.rng import stream, wrapping

KEYS = 65_536
KEY_BYTES = 12
REPEATS = 16

pick: Any = None  # bound by `bind`


def toeplitz_loop(tables: np.ndarray, keys: np.ndarray, repeats: int) -> int:
    """Hash every key (uint8[n, 12]) and return the sum, so that nothing is left out."""
    total = 0
    for _ in range(repeats):
        for i in range(keys.shape[0]):
            total += np.int64(toeplitz(tables, keys[i]))
    return total


def ring_loop(
    state: Any,
    rng: np.ndarray,
    keys: np.ndarray,
    busy: np.ndarray,
    tried: np.ndarray,
    repeats: int,
) -> int:
    """Find the owner of every key (uint8[n, 12]) in the ring of `chash`; return the sum."""
    total = 0
    for _ in range(repeats):
        for i in range(keys.shape[0]):
            crc = np.int64(crc32_continue(np.uint32(0), keys[i]))
            total += pick(state, rng, 0.0, crc, busy, tried)
    return total


class Lookup:
    """A compiled loop; `measure` returns nanoseconds per key."""

    def __init__(self, picker: str, nodes: int) -> None:
        """Prepare ``toeplitz`` (``nodes`` does not matter) or ``ring``."""
        keys = np.random.default_rng(1).integers(0, 256, (KEYS, KEY_BYTES), np.uint8)
        if picker == "toeplitz":
            self.loop = bind(toeplitz_loop)
            self.arguments: tuple[Any, ...] = (toeplitz_tables(RSS_KEY), keys, REPEATS)
        else:
            chash = registry()["chash"]
            rng = stream(1, 0, "lookup", "")
            state = state_of(chash, nodes, rng)
            busy = np.zeros(nodes, np.int64)
            self.loop = bind(ring_loop, pick=chash.pick)
            self.arguments = (state, rng, keys, busy, NOBODY, REPEATS)
        self.loop.prepare(*self.arguments)

    def run(self) -> None:
        """Look up every key."""
        with wrapping():
            self.loop(*self.arguments)

    def measure(self) -> float:
        """Return nanoseconds per lookup of one run."""
        started = time.perf_counter()
        self.run()
        return (time.perf_counter() - started) / (REPEATS * KEYS) * 1e9


LOOKUPS = (("toeplitz", 1), ("ring", 16), ("ring", 256), ("ring", 4096))
