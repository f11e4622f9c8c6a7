"""Which replications of a study are to run, and which more when their results come in.

Points that differ only in what the stages do (balancers, policies) meet the same requests; together
they are a condition, and each of them gets the same number of replications, so that they can be
compared pair by pair. With `run.precision` a condition gets one more replication as long as one of
its points is not precise enough. The first n replications decide that, whoever finished first, so
the same ones are run however many workers there are, and after every interruption.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import NamedTuple

from lbbench.model.study import Member

POLICY = "stages."
"""Beginning of the leaves that change what is done with requests, not the requests."""

IsPrecise = Callable[[Sequence[Member], int], bool]
"""Tells whether the first n replications of the points of a condition are precise enough."""


class Item(NamedTuple):
    """One replication of one point, to be run."""

    member: Member
    replication: int


class Wanted(NamedTuple):
    """How many replications a condition gets."""

    at_first: int
    at_most: int  # more than ``at_first`` only with `run.precision`


def conditions(members: Iterable[Member]) -> list[list[Member]]:
    """Return the points by condition, both in the order of the study."""
    found: dict[str, list[Member]] = {}
    for member in members:
        found.setdefault(repr(condition_of(member)), []).append(member)
    return list(found.values())


def condition_of(member: Member) -> dict[str, object]:
    """Return the values of a point that say under which condition its policy stands."""
    return {leaf: value for leaf, value in member.values.items() if not leaf.startswith(POLICY)}


def policy_of(member: Member) -> dict[str, object]:
    """Return the values of a point that say what the stages do."""
    return {leaf: value for leaf, value in member.values.items() if leaf.startswith(POLICY)}


class Schedule:
    """The replications that are still to run.

    Parameters
    ----------
    members
        The points of the study.
    ended
        How each (content, replication) that the ledger has already ended.
    wanted
        How many replications there are.
    is_precise
        Asked when a condition has all of its replications and may get more.

    Attributes
    ----------
    waiting
        What is still to run; whoever runs it takes it from the left.
    groups
        The points by condition.
    n_ended
        How many of the planned replications have ended, well or not.
    """

    def __init__(
        self,
        members: Sequence[Member],
        ended: Mapping[tuple[str, int], str],
        wanted: Wanted,
        is_precise: IsPrecise | None = None,
    ) -> None:
        self.wanted = wanted
        self.is_precise = is_precise
        self.ended = dict(ended)
        self.waiting: deque[Item] = deque()
        self.groups = conditions(member for member in members if member.invalid is None)
        self.n_ended = 0
        self._groups_of: dict[str, list[int]] = {}
        self._sizes = [wanted.at_first] * len(self.groups)
        self._planned: set[tuple[str, int]] = set()
        self._open = [0] * len(self.groups)  # planned replications of a condition to come
        for number, group in enumerate(self.groups):
            for content in {member.content: None for member in group}:
                self._groups_of.setdefault(content, []).append(number)
            self._extend(number, range(wanted.at_first))
            self._go_on(number)

    @property
    def total(self) -> int:
        """How many replications the study has, as far as can be said now."""
        return len(self._planned)

    @property
    def sizes(self) -> list[int]:
        """The replications of each condition, in the order of `groups`."""
        return list(self._sizes)

    def landed(self, content: str, replication: int, status: str) -> None:
        """Take note that a replication has ended."""
        is_new = (content, replication) not in self.ended
        self.ended[content, replication] = status
        self.n_ended += is_new
        for number in self._groups_of.get(content, ()):
            self._open[number] -= is_new and replication < self._sizes[number]
            self._go_on(number)

    def _extend(self, number: int, replications: Sequence[int]) -> None:
        """Plan ``replications`` of a condition; those that have not ended wait to be run."""
        for content, member in {member.content: member for member in self.groups[number]}.items():
            for replication in replications:
                key = (content, replication)
                is_new = key not in self._planned
                self._planned.add(key)
                if key in self.ended:
                    self.n_ended += is_new
                    continue
                self._open[number] += 1
                if is_new:
                    self.waiting.append(Item(member, replication))

    def _go_on(self, number: int) -> None:
        """Give a condition more replications while it has all that it got and is not precise."""
        while self._sizes[number] < self.wanted.at_most and not self._open[number]:
            size = self._sizes[number]
            good = [m for m in self.groups[number] if self._is_good(m, size)]
            if not good or self.is_precise is None or self.is_precise(good, size):
                return
            self._sizes[number] = size + 1
            self._extend(number, [size])

    def _is_good(self, member: Member, size: int) -> bool:
        """Tell whether every replication of a point has a result; without one it never will be."""
        return all(self.ended[member.content, n] == "done" for n in range(size))
