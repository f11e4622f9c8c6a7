"""Streams of many users that are seeded at once are numpy's own streams."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lbbench.traffic.crowd import Crowd, seeds_of
from lbbench.traffic.streams import BUDGET, THINK, WORK, Streams, branch_of, seed_sequence

SEEDS = st.integers(0, 2**64 - 1)
REPLICATIONS = st.integers(0, 2**32 - 1)
USERS = st.lists(st.integers(0, 2**32 - 1), min_size=1, max_size=5)


@given(SEEDS, REPLICATIONS, st.text(max_size=20), USERS)
def test_words_are_those_of_the_seed_sequence_with_the_users_word(seed, replication, name, users):
    """Bit for bit what SeedSequence generates whose spawn key ends with the user."""
    before = seed_sequence(seed, replication, name)
    found = seeds_of(before, np.array(users, np.uint32))
    assert found.dtype == np.uint64
    for user, words in zip(users, found, strict=True):
        sequence = seed_sequence(seed, replication, name, user=user)
        assert words.tolist() == sequence.generate_state(4, np.uint64).tolist()


@given(SEEDS, USERS)
def test_members_have_the_streams_of_their_users(seed, users):
    """Each member opens each stream as `Streams.of_user` does, again and again at its start."""
    streams = Streams(seed, 3)
    for user, member in zip(users, Crowd(streams, users).members(), strict=True):
        assert member.user == user
        for name in (WORK, THINK, BUDGET, branch_of(WORK), WORK):
            wanted = streams.of_user(user).open(name).random(5)
            assert member.open(name).random(5).tolist() == wanted.tolist()


def test_streams_opened_by_turns_do_not_disturb_each_other():
    """The Generators of a crowd keep their own states."""
    streams = Streams(1, 0)
    opened = [member.open(WORK) for member in Crowd(streams, range(4)).members()]
    by_turns = np.array([[stream.random() for stream in opened] for _ in range(10)])
    for user in range(4):
        wanted = streams.of_user(user).open(WORK).random(10)
        assert by_turns[:, user].tolist() == wanted.tolist()
