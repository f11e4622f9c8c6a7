"""A plan for every hour of a load profile; what one hour shows bounds the others.

What does for a rate does for every lower one, and what is too little for a rate is too little for
every higher one. So the highest and the lowest rate are planned first, then those in the middle
between two that differ; where the answers on both sides are equal nothing is run.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import replace

from lbbench.errors import RunError
from lbbench.inputs.load_profile import Profile
from lbbench.model.scenario import Scenario
from lbbench.model.units import write_rate
from lbbench.studies.planning.driver import Need
from lbbench.studies.planning.planner import Planner
from lbbench.studies.planning.subject import RATE, Subject

Bounds = tuple[int, int | None]
"""A number that is known to be too little (0: none is), one that is known to do (None: none is)."""

Answers = dict[float, int | None]
"""Number by rate; None: no number does."""


def at_peak(scenario: Scenario, profile: Profile) -> Scenario:
    """Return ``scenario`` at the highest rate of a profile.

    Raises
    ------
    RunError
        When its traffic has no rate to set.
    """
    if scenario.traffic.arrivals.process == "closed" or scenario.traffic.trace is not None:
        what = "a trace" if scenario.traffic.trace is not None else "a closed process"
        raise RunError(
            f"{scenario.name}: {what} has the rate that it has, so no profile of rates can be "
            "planned; give traffic.arrivals.rate"
        )
    return scenario.with_({RATE: write_rate(max(hour.rate for hour in profile.hours))})


def at_rate(subject: Subject, rate: float) -> Subject:
    """Return ``subject`` at another rate, in a run of as many requests.

    A run with a timeline keeps its duration.
    """
    changes: dict[str, object] = {RATE: write_rate(rate)}
    duration = subject.base.run.duration
    if duration is not None and not subject.base.timeline:
        changes["run.requests"] = max(round(duration * subject.load.rate), 1)
    return replace(subject, base=subject.base.with_(changes), load=replace(subject.load, rate=rate))


def by_hour(
    planner_at: Callable[[float, Bounds], Planner],
    rates: Sequence[float],
    peak: int | None,
) -> Generator[Need, None, Answers]:
    """Return the answer for every rate.

    Parameters
    ----------
    planner_at
        Makes what searches at a rate, between bounds.
    rates
        Of all hours; 0 asks for nothing.
    peak
        The answer at the highest.
    """
    some = sorted({rate for rate in rates if rate > 0.0})
    answers: Answers = {0.0: 0, some[-1]: peak}
    gaps = [(0, len(some) - 1)]
    if some[0] not in answers:
        answers[some[0]] = yield from _answer(planner_at(some[0], (0, peak)))
    while gaps:
        low, high = gaps.pop()
        least, most = answers[some[low]], answers[some[high]]
        if high - low < 2:
            continue
        if least is not None and least == most:
            answers |= dict.fromkeys(some[low + 1 : high], least)
            continue
        middle = (low + high) // 2
        if some[middle] not in answers:
            bounds = (0 if least is None else least - 1, most)
            answers[some[middle]] = yield from _answer(planner_at(some[middle], bounds))
        gaps += [(low, middle), (middle, high)]
    return answers


def _answer(planner: Planner) -> Generator[Need, None, int | None]:
    found = yield from planner.find()
    return found.number
