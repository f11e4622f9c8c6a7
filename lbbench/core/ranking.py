"""Which endpoint has least: endpoints in groups of equal level, in order of the level.

Plain Python that numba can compile; nothing is allocated, and no shape depends on the levels. The
listed endpoints stand in one row, lowest level first, so that a group is a stretch of that row and
its neighbours begin where it ends: an endpoint whose level rises by one swaps places with the last
of its group, and the boundary moves over it. A group is made when an endpoint is alone at its
level and dropped when its last one leaves, so there are never more groups than endpoints. Within a
group the order means nothing.

The level of an endpoint that is not listed is remembered, for the time when it is.

Cost: a change of a level by one O(1); by more, O(1) for each group that is passed; the least and
how many are tied O(1); another list O(E) and O(1) for each group that a newly listed one passes.

References
----------
V. Batagelj and M. Zaversnik, "An O(m) Algorithm for Cores Decomposition of Networks" (2003): a row
with moving boundaries. K. Shah, A. Mitra and D. Matani, "An O(1) algorithm for implementing the LFU
cache eviction scheme" (2010): groups of equal count, made and dropped as needed.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

LISTED, UNUSED = range(2)
NOWHERE = -1
TOP = 2**62  # above every level


class Ranking(NamedTuple):
    """E endpoints by id, n of them listed; G groups, at most n."""

    number: np.ndarray  # int64[2]: n; groups that are not in use
    level: np.ndarray  # int64[E] by id, listed or not
    seat: np.ndarray  # int64[E] by id: position in the list, NOWHERE when it is not listed
    ids: np.ndarray  # int64[E] by position in the list; n are in use
    row: np.ndarray  # int64[E] ids, lowest level first; n are in use
    place: np.ndarray  # int64[E] by id: where it stands in the row
    group: np.ndarray  # int64[E] by id: its group
    first: np.ndarray  # int64[E] by group: where it begins in the row
    end: np.ndarray  # int64[E] by group: where the next one begins
    height: np.ndarray  # int64[E] by group: the level of all in it
    unused: np.ndarray  # int64[E] stack of groups that are not in use


def new_ranking(endpoints: int) -> Ranking:
    """Return the ranking of so many endpoints at level 0, none of them listed."""
    number = np.zeros(2, np.int64)
    number[UNUSED] = endpoints
    zeros = [np.zeros(endpoints, np.int64) for _ in range(8)]
    return Ranking(
        number=number,
        level=zeros[0],
        seat=np.full(endpoints, NOWHERE, np.int64),
        ids=zeros[1],
        row=zeros[2],
        place=zeros[3],
        group=zeros[4],
        first=zeros[5],
        end=zeros[6],
        height=zeros[7],
        unused=np.arange(endpoints, dtype=np.int64)[::-1].copy(),
    )


def rank_only(r: Ranking, listed: np.ndarray) -> None:
    """List exactly the ids ``listed`` (int64[n], distinct), at the levels that are known."""
    for endpoint in range(len(r.seat)):
        r.seat[endpoint] = NOWHERE
    for group in range(len(r.unused)):
        r.unused[group] = len(r.unused) - 1 - group
    r.number[UNUSED] = len(r.unused)
    r.number[LISTED] = 0
    for k in range(len(listed)):
        endpoint = listed[k]
        at = r.number[LISTED]
        r.number[LISTED] = at + 1
        r.ids[k] = endpoint
        r.seat[endpoint] = k
        r.row[at] = endpoint
        r.place[endpoint] = at
        _found_group(r, endpoint, at, TOP)
        _sink(r, endpoint, r.level[endpoint])


def set_level(r: Ranking, endpoint: int, level: int) -> None:
    """Let the level of an endpoint be ``level`` from now on."""
    before = r.level[endpoint]
    r.level[endpoint] = level
    if r.seat[endpoint] == NOWHERE:
        return
    if level > before:
        _climb(r, endpoint, level)
    elif level < before:
        _sink(r, endpoint, level)


def lowest_group(r: Ranking) -> int:
    """Return the group with the lowest level, NOWHERE when nothing is listed."""
    if r.number[LISTED] == 0:
        return NOWHERE
    return r.group[r.row[0]]


def group_above(r: Ranking, group: int) -> int:
    """Return the group with the next higher level, NOWHERE when there is none."""
    if r.end[group] == r.number[LISTED]:
        return NOWHERE
    return r.group[r.row[r.end[group]]]


def group_size(r: Ranking, group: int) -> int:
    """Return how many endpoints are in a group."""
    return r.end[group] - r.first[group]


def member(r: Ranking, group: int, k: int) -> int:
    """Return the id of the ``k``-th endpoint of a group, from 0."""
    return r.row[r.first[group] + k]


def set_aside(r: Ranking, group: int, endpoint: int, among: int) -> int:
    """Move an endpoint behind the first ``among`` of its group; return how many are left of them.

    An endpoint of another group, or one that stands behind them, changes nothing.
    """
    place = r.place[endpoint] - r.first[group]
    if r.group[endpoint] != group or place >= among:
        return among
    _swap(r, endpoint, r.first[group] + among - 1)
    return among - 1


def _climb(r: Ranking, endpoint: int, level: int) -> None:
    """Move an endpoint up to ``level``, which is above that of its group."""
    group = r.group[endpoint]
    while True:
        last = r.end[group] - 1
        _swap(r, endpoint, last)
        above = group_above(r, group)
        if above == NOWHERE or r.height[above] > level:
            break
        r.end[group] = last
        r.first[above] = last
        _close_if_empty(r, group)
        r.group[endpoint] = above
        if r.height[above] == level:
            return
        group = above
    if r.first[group] == last:
        r.height[group] = level
    else:
        r.end[group] = last
        _found_group(r, endpoint, last, level)


def _sink(r: Ranking, endpoint: int, level: int) -> None:
    """Move an endpoint down to ``level``, which is below that of its group."""
    group = r.group[endpoint]
    while True:
        first = r.first[group]
        _swap(r, endpoint, first)
        below = r.group[r.row[first - 1]] if first > 0 else NOWHERE
        if below == NOWHERE or r.height[below] < level:
            break
        r.first[group] = first + 1
        r.end[below] = first + 1
        _close_if_empty(r, group)
        r.group[endpoint] = below
        if r.height[below] == level:
            return
        group = below
    if r.end[group] == first + 1:
        r.height[group] = level
    else:
        r.first[group] = first + 1
        _found_group(r, endpoint, first, level)


def _found_group(r: Ranking, endpoint: int, place: int, level: int) -> None:
    """Make a group of one endpoint that stands at ``place``."""
    r.number[UNUSED] -= 1
    group = r.unused[r.number[UNUSED]]
    r.first[group] = place
    r.end[group] = place + 1
    r.height[group] = level
    r.group[endpoint] = group


def _close_if_empty(r: Ranking, group: int) -> None:
    if r.first[group] == r.end[group]:
        r.unused[r.number[UNUSED]] = group
        r.number[UNUSED] += 1


def _swap(r: Ranking, endpoint: int, place: int) -> None:
    """Let an endpoint change places with the one at ``place``."""
    other = r.row[place]
    here = r.place[endpoint]
    r.row[here] = other
    r.place[other] = here
    r.row[place] = endpoint
    r.place[endpoint] = place
