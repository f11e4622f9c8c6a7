"""When more of anything does not help: a floor, or a metric that no longer gets better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbbench.errors import RunError, ScenarioError
from lbbench.studies.planning import reasons, words
from lbbench.studies.planning.erlang import cluster_at
from lbbench.studies.planning.judging import LOOKS, Judged, Reading, needs
from lbbench.studies.planning.loss import sole_ingress
from lbbench.studies.planning.verdicts import Decided, badness, is_within, readings_of

if TYPE_CHECKING:
    from lbbench.studies.planning.planner import Planner

IDLE = 0.25
"""Utilisation below which more pods cannot help a metric that no longer gets better."""

GAIN = 0.05
"""A metric that comes closer to its limit by less than this share no longer gets better."""

CLOSING = 0.25
"""An undecided interval whose end comes closer to the limit by less than this share stays there.

Waiting falls with one over the number where pods idle. From two thirds of a number to the number it
falls by half of all that is left to fall, so that four times that fall is twice what can come.
"""


def hopeless(planner: Planner, number: int) -> str | None:
    """Return why no value above ``number`` can be met, None while one may be.

    Either the service time alone is beyond a limit, or the pods idle and the metric has hardly
    moved in two steps, each from a value of two thirds at most: one pair may differ by chance.
    Values that are undecided are compared among themselves, by the ends of their intervals.
    """
    subject, now = planner.subject, planner.known[number]
    if not now.parts:
        return None
    for item in planner.objectives:
        floor = reasons.floor_of(subject.base, item)
        if floor is not None and floor > item.limit * (1.0 + GAIN):
            return (
                f"the service time and the client's round trip alone have a "
                f"{words.short_metric(item.metric)} of {words.time(floor)}, above the limit of "
                f"{words.time(item.limit)}; no number of {words.MANY[subject.kind]} helps"
            )
    if _utilisation(planner, number) > IDLE:
        return None
    is_open = now.verdict == "undecided"
    last = _before(planner, number, is_open=is_open)
    first = None if last is None else _before(planner, last.number, is_open=is_open)
    if last is None or first is None:
        return None
    still = _stays_open if is_open else _stays_beyond
    for oldest, old, new in zip(*map(readings_of, (first, last, now)), strict=True):
        if still(oldest, old) and still(old, new):
            left = (
                f"; {LOOKS[-1]} replications do not decide it, longer runs may" if is_open else ""
            )
            return (
                f"{words.short_metric(new.metric)} no longer gets better: "
                f"{words.figure(new.metric, old.estimate)} at {planner.amount(last.number)} and "
                f"{words.figure(new.metric, new.estimate)} at {planner.amount(number)}, "
                f"where the limit is {words.figure(new.metric, new.limit)}{left}; "
                f"{planner.why_not(now)}"
            )
    return None


def without_ingress(planner: Planner) -> str | None:
    """Return why no value survives a loss that takes every ingress replica; None: one may."""
    subject = planner.subject
    if planner.survive is None:
        return None
    try:
        numbers = (subject.own, subject.most) if subject.kind == "nodes" else (subject.own,)
        said = [sole_ingress(subject.at(number), planner.survive) for number in numbers]
    except ScenarioError:  # no such cluster: the search says so
        return None
    if None in said:
        return None
    what = "rate" if subject.kind == "rate" else f"number of {words.MANY[subject.kind]}"
    return f"no {what} helps: {said[0]}"


def _before(planner: Planner, number: int, *, is_open: bool) -> Decided | None:
    """Return the largest value known up to two thirds of ``number``; ``is_open``: undecided."""
    known = [
        item
        for n, item in planner.known.items()
        if 3 * n <= 2 * number and item.parts and (not is_open or item.verdict == "undecided")
    ]
    return max(known, key=lambda item: item.number, default=None)


def _stays_beyond(old: Reading, new: Reading) -> bool:
    """Tell whether an estimate beyond its limit has hardly come closer."""
    if is_within(new) or old.estimate is None or new.estimate is None:
        return False
    return badness(old) - badness(new) < GAIN * badness(old)


def _stays_open(old: Reading, new: Reading) -> bool:
    """Tell whether the end of an interval beyond its limit has hardly come closer."""
    if new.verdict != "undecided":
        return False
    was, left = _end(old), _end(new)
    return was is not None and left is not None and was - left < CLOSING * left


def _end(reading: Reading) -> float | None:
    """Return how far the end of the interval that has to be within the limit is beyond it."""
    end = reading.low if reading.metric == "attainment" else reading.high
    return None if end is None else badness(reading._replace(estimate=end))


def refuse_too_short(name: str, parts: Sequence[Judged]) -> None:
    """Refuse runs that are so short that no value would give an interval.

    Raises
    ------
    RunError
        With the requests that there are and those that it takes.
    """
    for judged in parts:
        for reading in judged.readings:
            needed = needs(reading.metric)
            if reading.low is None and judged.counted < needed:
                raise RunError(
                    f"{name}: {reading.metric} takes {needed:,.0f} independent requests, and "
                    f"{judged.replications} replications have {judged.counted:,} after the "
                    "warm-up; run longer, for instance --set run.requests=100000"
                )


def _utilisation(planner: Planner, number: int) -> float:
    load, cluster = planner.subject.load, cluster_at(planner.subject, number)
    return 1.0 if cluster is None else load.rate * load.mean_work / cluster[0]
