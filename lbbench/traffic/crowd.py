"""The streams of many users at once: the same Generators, seeded five times as fast.

To seed a Generator takes numpy 25 us, nearly all of it for mixing its words one by one in
`SeedSequence`. The streams of the users of a closed loop differ in the last word alone, so here the
state of the mixer before that word is asked for once, and the rest is done for all users in arrays.

References
----------
numpy, ``numpy/random/bit_generator.pyx``: ``SeedSequence`` (`mix_entropy`, `generate_state`), after
M. O'Neill, "Developing a seed_seq alternative" (2015). numpy promises that it never changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.random.bit_generator import ISeedSequence

from lbbench.traffic.streams import Streams, seed_sequence

POOL = 4  # words of the mixer
WORDS_BEFORE = 8  # the user's word comes after four of entropy and four of the name
INIT_A, MULT_A = 0x43B0D7E5, 0x931E8875
INIT_B, MULT_B = 0x8B51F9DD, 0x58F38DED
MIX_L, MIX_R = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
SHIFT = np.uint32(16)
MASK = 2**32 - 1


def seeds_of(before: np.random.SeedSequence, users: np.ndarray) -> np.ndarray:
    """Return what ``before`` with the spawn key's last word u generates for each u in ``users``.

    ``users`` are uint32[n], ``before`` has eight words; the answer is uint64[n, 4], that of
    ``generate_state(4, uint64)``.
    """
    # the mixer multiplies its constant once per word and place: 16 times for the first four words
    const = INIT_A * pow(MULT_A, 16 + POOL * (WORDS_BEFORE - POOL), 2**32) & MASK
    mixed = np.empty((POOL, len(users)), np.uint32)
    for place in range(POOL):
        value = users ^ np.uint32(const)
        const = const * MULT_A & MASK
        value = _folded(value * np.uint32(const))
        mixed[place] = _folded(MIX_L * before.pool[place : place + 1] - MIX_R * value)
    words = np.empty((len(users), 2 * POOL), np.uint32)
    const = INIT_B
    for i in range(2 * POOL):
        value = mixed[i % POOL] ^ np.uint32(const)
        const = const * MULT_B & MASK
        words[:, i] = _folded(value * np.uint32(const))
    low, high = words[:, 0::2].astype(np.uint64), words[:, 1::2].astype(np.uint64)
    return np.ascontiguousarray(low | high << np.uint64(32))


def _folded(value: np.ndarray) -> np.ndarray:
    return value ^ value >> SHIFT


class _Seeds(ISeedSequence):
    """Hands a Generator the state that was worked out for it."""

    def __init__(self) -> None:
        self.state = np.zeros(POOL, np.uint64)

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> np.ndarray:
        """Return the state; a PCG64DXSM asks for four words of 64 bits."""
        assert (n_words, dtype) == (POOL, np.uint64)
        return self.state


class Crowd:
    """The streams of several users; those of one name are seeded together at their first use."""

    def __init__(self, streams: Streams, users: Sequence[int]) -> None:
        self.streams = streams
        self.users = np.array(users, np.uint32)
        self._states: dict[str, np.ndarray] = {}
        self._seeds: Any = _Seeds()  # numpy's stubs leave its own base class out

    def members(self) -> list[Streams]:
        """Return the streams of each user, as `Streams.of_user` gives them."""
        return [_Member(self, i, int(user)) for i, user in enumerate(self.users)]

    def open(self, name: str, i: int) -> np.random.Generator:
        """Return the stream ``name`` of the user at place ``i`` at its start."""
        states = self._states.get(name)
        if states is None:
            before = seed_sequence(self.streams.seed, self.streams.replication, name)
            states = self._states[name] = seeds_of(before, self.users)
        self._seeds.state = states[i]
        return np.random.Generator(np.random.PCG64DXSM(self._seeds))


class _Member(Streams):
    """The streams of one of a crowd."""

    def __init__(self, crowd: Crowd, place: int, user: int) -> None:
        super().__init__(crowd.streams.seed, crowd.streams.replication, user=user)
        self._crowd = crowd
        self._place = place

    def open(self, name: str) -> np.random.Generator:
        """Return the stream ``name`` at its start."""
        return self._crowd.open(name, self._place)
