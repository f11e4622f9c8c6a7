"""The ranking holds the listed endpoints in groups of equal level, whatever happens to them."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import Counted, fed
from hypothesis import given
from hypothesis import strategies as st

from lbbench.core import ranking
from lbbench.core.ranking import (
    LISTED,
    NOWHERE,
    UNUSED,
    group_above,
    group_size,
    lowest_group,
    member,
    new_ranking,
    rank_only,
    set_aside,
    set_level,
)

E = 6
LEVELS = st.one_of(st.integers(0, 4), st.integers(0, 2**50))
STEPS = st.lists(
    st.one_of(
        st.tuples(st.integers(0, E - 1), st.sampled_from([-1, 1])),  # an attempt ends or begins
        st.tuples(st.integers(0, E - 1), LEVELS.map(lambda level: (level,))),  # a jump
        st.sets(st.integers(0, E - 1)).map(sorted),  # another list
    ),
    max_size=60,
)


def groups(r) -> list[tuple[int, set[int]]]:
    """Return (level, ids) of all groups from the lowest, as the ranking tells them."""
    found, group = [], lowest_group(r)
    while group != NOWHERE:
        members = [int(member(r, group, k)) for k in range(group_size(r, group))]
        assert len(set(members)) == len(members)
        found.append((int(r.height[group]), set(members)))
        group = group_above(r, group)
    return found


def expected(level: list[int], listed: list[int]) -> list[tuple[int, set[int]]]:
    return [
        (height, {i for i in listed if level[i] == height})
        for height in sorted({level[i] for i in listed})
    ]


@given(STEPS)
def test_groups_are_those_of_equal_level_in_order(steps):
    """After any history: the groups, their order, the places, the stack of unused groups."""
    r, level, listed = new_ranking(E), [0] * E, []
    for step in steps:
        if isinstance(step, list):
            listed = step
            rank_only(r, np.array(listed, np.int64))
        else:
            endpoint, change = step
            level[endpoint] = change[0] if isinstance(change, tuple) else level[endpoint] + change
            set_level(r, endpoint, level[endpoint])
        found = groups(r)
        assert found == expected(level, listed)
        assert r.level.tolist() == level
        assert r.number[LISTED] == len(listed)
        assert r.number[UNUSED] == E - len(found)
        assert [r.seat[i] for i in listed] == list(range(len(listed)))
        assert r.ids[: len(listed)].tolist() == listed
        assert all(r.row[r.place[i]] == i for i in listed)
        used = {int(r.group[i]) for i in listed}
        assert used | set(r.unused[: r.number[UNUSED]].tolist()) == set(range(E))


def counted(n: int, levels: list[int]):
    """Return a ranking of n, `set_level` for it, and what counts its moves."""
    swaps = Counted(ranking._swap)
    r = new_ranking(n)
    rank_only(r, np.arange(n))
    for endpoint, level in enumerate(levels):
        set_level(r, endpoint, level)
    return r, fed(set_level, _swap=swaps), swaps


@pytest.mark.parametrize("n", [2, 16, 4096])
def test_a_change_by_one_is_one_move_however_many_there_are(n: int):
    """Up and down, alone at its level or in a crowd, with and without a neighbour group."""
    r, change, swaps = counted(n, [i % 3 for i in range(n)])
    rng = np.random.default_rng(n)
    for endpoint in rng.integers(0, n, 200):
        step = 1 if r.level[endpoint] == 0 else int(rng.choice([-1, 1]))
        before = swaps.calls
        change(r, endpoint, r.level[endpoint] + step)
        assert swaps.calls == before + 1


def test_a_jump_moves_once_for_each_group_that_it_passes():
    """From the top over three groups of 1000 to the bottom, and back."""
    r, change, swaps = counted(3001, [i // 1000 for i in range(3000)] + [9])
    change(r, 3000, 0)
    assert swaps.calls == 3  # out of its own group, which comes to an end, and over two
    change(r, 3000, 9)
    assert swaps.calls == 6


def test_what_is_not_listed_is_remembered():
    """A level that changes while its endpoint is not listed counts when it is."""
    r = new_ranking(3)
    rank_only(r, np.array([0, 1]))
    set_level(r, 2, 5)
    set_level(r, 0, 5)
    assert groups(r) == [(0, {1}), (5, {0})]
    rank_only(r, np.array([0, 2]))
    assert groups(r) == [(5, {0, 2})]
    rank_only(r, np.array([], np.int64))
    assert lowest_group(r) == NOWHERE


@given(st.lists(st.integers(0, 2), min_size=1, max_size=E), st.data())
def test_set_aside_takes_each_of_the_group_once(levels: list[int], data: st.DataObject):
    """What was set aside stands behind the others of its group; twice and strangers do nothing."""
    n = len(levels)
    r = new_ranking(n)
    rank_only(r, np.arange(n))
    for endpoint, level in enumerate(levels):
        set_level(r, endpoint, level)
    aside = data.draw(st.lists(st.integers(0, n - 1), max_size=2 * n))
    group, left = lowest_group(r), group_size(r, lowest_group(r))
    for endpoint in aside:
        left = set_aside(r, group, endpoint, left)
    lowest = {i for i in range(n) if levels[i] == min(levels)}
    assert {int(member(r, group, k)) for k in range(left)} == lowest - set(aside)
    assert groups(r) == expected(levels, list(range(n)))
