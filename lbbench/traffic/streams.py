"""Which random numbers a column of the traffic gets: one numpy Generator per column, by name.

A stream depends on the seed, the replication and its name alone, so a change of one column's
distribution, or of anything outside the traffic, leaves every other column as it was. Columns draw
in row order from samplers that take their numbers one row after the other, so that the size of the
blocks does not matter. `Generator.integers` is not such a sampler and is not used. The users of a
closed loop have streams of their own: a user's column depends on the user's number too, and not on
how many users there are.
"""

from __future__ import annotations

import functools
import hashlib

import numpy as np

GAPS = "gaps"
STATES = "arrival states"
THINNING = "arrival thinning"
WORK = "work"
CLIENT = "client"
KEY = "key"
SESSION = "session"
BUDGET = "requests per connection"
ANSWER_GAP = "gap after an answer"
THINK = "think time"
LIFETIME = "session lifetime"

WORD = 2**32


def branch_of(column: str) -> str:
    """Return the name of the stream from which a mixture takes the branch of each row."""
    return f"{column} branch"


def generator(
    seed: int, replication: int, name: str, *, user: int | None = None
) -> np.random.Generator:
    """Return the Generator of the stream ``name`` at its start."""
    sequence = seed_sequence(seed, replication, name, user=user)
    return np.random.Generator(np.random.PCG64DXSM(sequence))


def seed_sequence(
    seed: int, replication: int, name: str, *, user: int | None = None
) -> np.random.SeedSequence:
    """Return what seeds the stream ``name``.

    The spawn key is SHA-256 of the name, so streams need no register and no order; ``user`` adds a
    word to it.
    """
    key = _words(name) if user is None else (*_words(name), user)
    # two words for the seed: a seed above 2^32 must not run into the replication
    entropy = [seed % WORD, seed // WORD, replication]
    return np.random.SeedSequence(entropy, spawn_key=key)


@functools.cache
def _words(name: str) -> tuple[int, ...]:
    digest = hashlib.sha256(name.encode()).digest()
    return tuple(np.frombuffer(digest[:16], dtype="<u4").tolist())


class Streams:
    """The streams of one replication, or of one ``user`` in it; `open` gives each at its start."""

    def __init__(self, seed: int, replication: int, *, user: int | None = None) -> None:
        self.seed = seed
        self.replication = replication
        self.user = user

    def open(self, name: str) -> np.random.Generator:
        """Return the stream ``name`` at its start."""
        return generator(self.seed, self.replication, name, user=self.user)

    def of_user(self, user: int) -> Streams:
        """Return the streams of user number ``user`` (below 2^32) of a closed loop."""
        return Streams(self.seed, self.replication, user=user)


def pick_index(uniforms: np.ndarray, n: int | np.ndarray) -> np.ndarray:
    """Return floor(u n) for u in [0, 1): a uniform index below ``n``, int64, one per row.

    The bias of an index is below n / 2^53, and u n never rounds up to n.
    """
    return (uniforms * n).astype(np.int64)
