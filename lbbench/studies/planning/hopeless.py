"""When more of anything does not help: a floor, or a metric that no longer gets better."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lbbench.errors import RunError
from lbbench.studies.planning import reasons, words
from lbbench.studies.planning.erlang import cluster_at
from lbbench.studies.planning.judging import LOOKS, Judged, Reading, needs
from lbbench.studies.planning.verdicts import badness, is_within, readings_of

if TYPE_CHECKING:
    from lbbench.studies.planning.planner import Planner

IDLE = 0.25
"""Utilisation below which more pods cannot help a metric that no longer gets better."""

GAIN = 0.05
"""A metric that comes closer to its limit by less than this share no longer gets better."""


def hopeless(planner: Planner, number: int) -> str | None:
    """Return why no value above ``number`` can be met, None while one may be.

    Either the service time alone is beyond a limit, or the pods idle and the metric has hardly
    moved since a value of two thirds of this one at most.
    """
    subject, known = planner.subject, planner.known
    now = known[number]
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
    before = [n for n in known if 3 * n <= 2 * number and known[n].parts]
    if not before or _utilisation(planner, number) > IDLE:
        return None
    old, new = _alike(planner, max(before), number)
    for then, now_, found in zip(old, new, readings_of(now), strict=True):
        if found.verdict != "met" and _stands_still(then, now_, found):
            return (
                f"{words.short_metric(found.metric)} no longer gets better: "
                f"{words.figure(found.metric, then.estimate)} at {planner.amount(max(before))} and "
                f"{words.figure(found.metric, now_.estimate)} at {planner.amount(number)}, "
                f"where the limit is {words.figure(found.metric, found.limit)}"
                f"{_too_close(found)}; {planner.why_not(now)}"
            )
    return None


def _alike(planner: Planner, before: int, number: int) -> tuple[list[Reading], list[Reading]]:
    """Return the readings of two values, from as many replications each where there are such.

    The same replications meet the same requests, so that little but the difference is left.
    """
    for kept in (planner.glanced, planner.decided):
        if before in kept and number in kept and kept[before].parts and kept[number].parts:
            return readings_of(kept[before]), readings_of(kept[number])
    return readings_of(planner.known[before]), readings_of(planner.known[number])


def _stands_still(old: Reading, new: Reading, found: Reading) -> bool:
    """Tell whether a figure has hardly moved from ``old`` to ``new``.

    Where it is ``found`` beyond its limit: by less than a share of the way to it. Within it, and
    not decided for all that: by less than the doubt.
    """
    if old.estimate is None or new.estimate is None:
        return False
    if not is_within(found):
        return badness(old) - badness(new) < GAIN * badness(old)
    if found.verdict != "undecided" or found.low is None or found.high is None:
        return False
    return abs(old.estimate - new.estimate) < (found.high - found.low) / 2.0


def _too_close(new: Reading) -> str:
    if not is_within(new):
        return ""
    return f", too close for {LOOKS[-1]} replications to tell (run longer, or give it some room)"


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
