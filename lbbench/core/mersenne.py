"""The Mersenne Twister that C++ calls mt19937, seeded with one number, drawn from one by one.

Plain Python that numba can compile; int64 throughout, nothing wraps. The state is int64[625]: 624
words of 32 bits and how many of them are used up. A word is made when it is drawn, so a generator
that is asked for a few numbers costs its seeding only.

References
----------
M. Matsumoto and T. Nishimura, "Mersenne Twister", ACM TOMACS 8 (1998), in the form of 2002
(init_genrand); ISO/IEC 14882, std::mt19937: the 10 000th draw from seed 5489 is 4123659995.
"""

from __future__ import annotations

import numpy as np

WORDS, SHIFT = 624, 397
USED = WORDS
MASK = 2**32 - 1
UPPER, LOWER = 1 << 31, (1 << 31) - 1
SEEDING = 1812433253
TWIST = 0x9908B0DF
TEMPER_B, TEMPER_C = 0x9D2C5680, 0xEFC60000


def seed_twister(twister: np.ndarray, seed: int) -> None:
    """Seed the state (int64[625]) with a uint32 in an int64."""
    word = seed & MASK
    twister[0] = word
    for i in range(1, WORDS):
        word = (SEEDING * (word ^ (word >> 30)) + i) & MASK
        twister[i] = word
    twister[USED] = 0


def next_twisted(twister: np.ndarray) -> int:
    """Draw 32 bits (int64)."""
    i = twister[USED]
    after = i + 1 if i + 1 < WORDS else 0
    far = i + SHIFT if i + SHIFT < WORDS else i + SHIFT - WORDS
    mixed = (twister[i] & UPPER) | (twister[after] & LOWER)
    word = twister[far] ^ (mixed >> 1)
    if mixed & 1 == 1:
        word ^= TWIST
    twister[i] = word
    twister[USED] = after
    word ^= word >> 11
    word ^= (word << 7) & TEMPER_B
    word ^= (word << 15) & TEMPER_C
    return word ^ (word >> 18)


def below(twister: np.ndarray, n: int) -> int:
    """Draw a whole number from 0 to n - 1, 0 < n < 2^32; what division leaves over is redrawn."""
    part = (MASK + 1) // n
    while True:
        drawn = next_twisted(twister) // part
        if drawn < n:
            return drawn
