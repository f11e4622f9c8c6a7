"""Both sides of the answer: the nearest value decided "met", the nearest one decided "not met".

What lies between them is undecided. Two borders are searched, each by steps of 1, 1, 2, 4, ... and
halves: that of what is met, which is the answer, and that of what is not met. So a long stretch of
undecided values takes a few looks, not one for each value: those in it that are asked stay
undecided, those passed over lie between two of them.

The answer and the value beside it get all replications that their verdicts take. Where the latter
stays undecided, how far that goes on beyond it is told by rougher looks: they cannot change the
answer, and all replications for each of them would double the cost of a plan.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import TYPE_CHECKING, NamedTuple

from lbbench.studies.planning.driver import Need
from lbbench.studies.planning.hopeless import hopeless
from lbbench.studies.planning.judging import LOOKS, Outcome
from lbbench.studies.planning.search import least_far, steps_nearby

MISSED: tuple[Outcome, ...] = ("not met", "likely not met")

if TYPE_CHECKING:
    from lbbench.studies.planning.planner import Planner


class Sides(NamedTuple):
    """Where the borders are.

    Attributes
    ----------
    answer
        The least value (of a rate: the greatest) that is decided "met"; None: none is.
    undecided
        From the value next to the nearest one decided "not met" to the answer, ascending; without
        an answer to the last value that was asked. None: nothing is undecided.
    why
        Why there is no answer.
    """

    answer: int | None
    undecided: tuple[int, int] | None
    why: str | None = None


class _Border(NamedTuple):
    """The least value of a search; None with the reason why it was given up, if it was."""

    number: int | None
    why: str | None = None


def sides_of(planner: Planner, start: int) -> Generator[Need, None, Sides]:
    """Decide values from ``start`` on until both borders are known."""
    if planner.subject.is_greatest:
        return (yield from _sides_of_greatest(planner, start))
    return (yield from _sides_of_least(planner, start))


def _sides_of_least(planner: Planner, start: int) -> Generator[Need, None, Sides]:
    most = planner.subject.most
    met = yield from _border(planner, start, lambda verdict: verdict == "met", can_stop=True)
    if met.number is None:
        asked = [number for number in planner.decided if number >= start]
        why = met.why or _out_of_reach(planner, most)
        if planner.decided[max(asked)].verdict == "not met":
            return Sides(None, None, why)
        first = yield from _first_open(planner, max(asked))
        return Sides(None, (first, max(asked)), why)
    first = yield from _first_open(planner, met.number)
    answer = min(n for n, item in planner.decided.items() if n >= first and item.verdict == "met")
    return Sides(answer, None if first == answer else (first, answer))


def _first_open(planner: Planner, far: int) -> Generator[Need, None, int]:
    """Return the least value up to ``far``, which is not "not met", above one that is."""
    missed = [n for n, item in planner.decided.items() if n < far and item.verdict in MISSED]
    near = max(missed, default=0)
    border = yield from _border(
        planner, far - 1, lambda verdict: verdict not in MISSED, near=near, far=far, side=far - 1
    )
    assert border.number is not None
    return border.number


def _sides_of_greatest(planner: Planner, start: int) -> Generator[Need, None, Sides]:
    most = planner.subject.most
    not_met = yield from _border(planner, start, lambda verdict: verdict != "met")
    answer = (not_met.number or most + 1) - 1
    if answer == most:
        return Sides(answer, None)
    missed = [n for n, item in planner.decided.items() if n > answer and item.verdict in MISSED]
    beyond = yield from _border(
        planner,
        answer + 1,
        lambda verdict: verdict in MISSED,
        near=answer,
        far=min(missed, default=None),
        side=answer + 1,
    )
    last = (beyond.number or most + 1) - 1
    met = [n for n, item in planner.decided.items() if n <= last and item.verdict == "met"]
    if not met:
        return Sides(None, (1, last) if last else None, _out_of_reach(planner, 1))
    answer = max(met)
    return Sides(answer, None if last == answer else (answer, last))


def _border(
    planner: Planner,
    start: int,
    is_far: Callable[[Outcome], bool],
    *,
    near: int = 0,
    far: int | None = None,
    can_stop: bool = False,
    side: int | None = None,
) -> Generator[Need, None, _Border]:
    """Return the least value whose verdict is far, searched from ``start`` on.

    ``can_stop``: give up where larger ones do not help. ``side``: the value beside the answer; all
    others are decided roughly. None: all are decided fully.
    """
    most = planner.subject.most
    search = least_far(start, near=near, far=far, most=most, steps=steps_nearby())
    try:
        number = next(search)
        while True:
            roughly = side is not None and number != side
            decided = yield from planner.decide(number, roughly=roughly)
            if can_stop and decided.verdict != "met":
                why = hopeless(planner, number)
                if why is not None:
                    return _Border(None, why)
            number = search.send(is_far(decided.verdict))
    except StopIteration as end:
        return _Border(end.value)


def _out_of_reach(planner: Planner, number: int) -> str:
    """Return why there is no answer when even the easiest value is not decided "met"."""
    decided, amount = planner.decided[number], planner.amount(number)
    why = planner.why_not(decided)
    if decided.verdict == "undecided":
        return f"{LOOKS[-1]} replications do not decide even {amount}: {why}"
    return f"even {amount} do not meet them: {why}"
