"""Which random numbers a column of the traffic gets: one numpy Generator per column, by name.

A stream depends on the seed, the replication and its name alone, so a change of one column's
distribution, or of anything outside the traffic, leaves every other column as it was. Columns draw
in row order from samplers that take their numbers one row after the other, so that the size of the
blocks does not matter. `Generator.integers` is not such a sampler and is not used.
"""

from __future__ import annotations

import hashlib

import numpy as np

GAPS = "gaps"
STATES = "arrival states"
THINNING = "arrival thinning"
WORK = "work"
WORK_BRANCH = "work branch"
CLIENT = "client"
KEY = "key"
SESSION = "session"
BUDGET = "requests per connection"

WORD = 2**32


def generator(seed: int, replication: int, name: str) -> np.random.Generator:
    """Return the Generator of the stream ``name`` at its start.

    The spawn key is SHA-256 of the name, so streams need no register and no order.
    """
    digest = hashlib.sha256(name.encode()).digest()
    words = np.frombuffer(digest[:16], dtype="<u4").tolist()
    # two words for the seed: a seed above 2^32 must not run into the replication
    entropy = [seed % WORD, seed // WORD, replication]
    sequence = np.random.SeedSequence(entropy, spawn_key=tuple(words))
    return np.random.Generator(np.random.PCG64DXSM(sequence))


class Streams:
    """The streams of one replication; `open` gives each of them at its start."""

    def __init__(self, seed: int, replication: int) -> None:
        self.seed = seed
        self.replication = replication

    def open(self, name: str) -> np.random.Generator:
        """Return the stream ``name`` at its start."""
        return generator(self.seed, self.replication, name)


def pick_index(uniforms: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Return floor(u n) for u in [0, 1): a uniform index below ``n``, int64, one per row.

    The bias of an index is below n / 2^53, and u n never rounds up to n.
    """
    return (uniforms * n).astype(np.int64)
