"""The plan for one balancer: a search that decides value by value, and what stands beside it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from typing import NamedTuple

from lbbench.errors import ScenarioError
from lbbench.stats.remarks import unsettled
from lbbench.studies.planning import reasons, words
from lbbench.studies.planning.case import Case, Cluster, case_of, impossible
from lbbench.studies.planning.driver import Need, Runs
from lbbench.studies.planning.erlang import erlang_answer, least_stable
from lbbench.studies.planning.hopeless import hopeless, refuse_too_short, without_ingress
from lbbench.studies.planning.judging import (
    LOOKS,
    Judged,
    Objective,
    Outcome,
    judge,
    level_of,
)
from lbbench.studies.planning.loads import is_clockwork
from lbbench.studies.planning.loss import Unit
from lbbench.studies.planning.search import least_far
from lbbench.studies.planning.sides import sides_of
from lbbench.studies.planning.subject import STEPS, Subject, finer
from lbbench.studies.planning.verdicts import Decided, is_within, joined, seemingly, worst

GLANCE = 2
"""Replications that show a search where to go; they decide nothing."""

REFINED = 2
"""Times that the steps of a rate are made smaller, each time by at most STEPS."""

ROUGH_LOOKS = LOOKS[:-1]
"""Looks at a value that is no side of the answer."""

ROUGH = 8
"""Replications after which such a value may be passed by."""

SURPRISE_LOOKS = LOOKS[:1]
"""The look at the value beyond the answer, which should be met all the more."""

Tell = Callable[[str], None]
"""Hears what is being tried."""


class Found(NamedTuple):
    """What the search found for one balancer.

    Attributes
    ----------
    number
        The answer as the subject counts; None: no value meets the objectives.
    undecided
        From the least to the greatest value among which the answer lies; None: it is decided. See
        `lbbench.studies.planning.sides`.
    decided
        Every value that was looked at.
    erlang
        The number that M/M/c asks for.
    why
        Why there is no answer.
    """

    number: int | None
    undecided: tuple[int, int] | None
    decided: dict[int, Decided]
    erlang: int | None
    why: str | None
    notes: tuple[str, ...]


class Planner:
    """Decides values of one subject under one balancer.

    Parameters
    ----------
    subject, objectives, survive
        What is looked for.
    runs
        Where replications come from.
    tell
        Hears what is being tried.
    bounds
        Of a least value: one that is known to be too little, one that is known to do (of a higher
        rate). Neither is run; 0 and None: nothing is known.
    """

    def __init__(
        self,
        subject: Subject,
        objectives: Sequence[Objective],
        survive: Unit | None,
        runs: Runs,
        tell: Tell,
        bounds: tuple[int, int | None] = (0, None),
    ) -> None:
        self.subject, self.objectives, self.survive = subject, tuple(objectives), survive
        self.runs, self.tell = runs, tell
        self.too_little, self.enough = bounds
        self.decided: dict[int, Decided] = {}
        self.glanced: dict[int, Decided] = {}
        self.can_overload = not is_clockwork(subject.base)
        stages = subject.base.stages
        is_service = subject.base.path == "service"
        name = stages.kube_proxy.mode if is_service else stages.ingress.balancer
        self.balancer = words.short_balancer(name)

    def find(self) -> Generator[Need, None, Found]:
        """Search the answer, with evidence on both sides of it.

        A first pass goes by the estimates of few replications; only the values on both sides of
        where it ends are decided.
        """
        erlang = erlang_answer(self.subject, self.objectives)
        stranded = without_ingress(self)
        if stranded is not None:
            yield from self.decide(self.subject.own)
            return self._found(None, erlang, stranded)
        number = yield from self._first_pass(erlang)
        for _ in range(REFINED):
            if isinstance(number, str) or not self._is_coarse(number):
                break
            rate = self.subject.value(number)
            self.subject = finer(self.subject, rate)
            self.decided, self.glanced = {}, {}
            erlang = erlang_answer(self.subject, self.objectives)
            number = yield from self._first_pass(erlang, round(rate / self.subject.step))
        if isinstance(number, str):
            return self._found(None, erlang, number)
        sides = yield from sides_of(self, number)
        if sides.answer is None:
            return self._found(None, erlang, sides.why, undecided=sides.undecided)
        notes = yield from self._surprises(sides.answer)
        notes = [*self._unsettled(sides.answer), *notes]
        return self._found(sides.answer, erlang, None, notes, undecided=sides.undecided)

    def _is_coarse(self, number: int) -> bool:
        """Tell whether a rate has so few steps that the answer is worth smaller ones."""
        is_few = self.subject.is_greatest and 2 * number < STEPS
        return is_few and all(
            (reasons.floor_of(self.subject.base, item) or 0.0) <= item.limit
            for item in self.objectives
        )

    def _first_pass(
        self, erlang: int | None, start: int | None = None
    ) -> Generator[Need, None, int | str]:
        """Return the value next to the boundary that seems to be met; or why none can be.

        ``start``: the rate that is asked for first.
        """
        subject = self.subject
        stable, most = least_stable(subject), subject.most
        if subject.is_greatest:
            search = least_far(start or min(erlang or stable, stable), far=most, most=most)
        else:
            near = max(stable - 1, self.too_little)
            start = max(stable, erlang or 0)
            search = least_far(start, near=near, far=self.enough, most=most)
        try:
            number = next(search)
            while True:
                seems = yield from self.glance(number)
                if not subject.is_greatest and not seems and hopeless(self, number) is not None:
                    decided = yield from self.decide(number)
                    why = None if decided.verdict == "met" else hopeless(self, number)
                    if why is not None:
                        return why
                number = search.send(seems != subject.is_greatest)
        except StopIteration as end:
            far: int | None = end.value
        if subject.is_greatest:
            return max((far or 1) - 1, 1)
        return far or most

    @property
    def known(self) -> dict[int, Decided]:
        """Every value that was looked at."""
        return {**self.glanced, **self.decided}

    def is_there(self, number: int) -> bool:
        """Tell whether a value can be tried."""
        return 1 <= number <= self.subject.most

    def glance(self, number: int) -> Generator[Need, None, bool]:
        """Tell by few replications whether a value seems to be met."""
        if number in self.decided or self._is_known(number):
            return self.decided[number].verdict == "met"
        case = self.case(number)
        if case.cannot is not None:
            self.decided[number] = Decided(case, "not met", ())
            return False
        self.tell(self.amount(number))
        yield Need(case.clusters, GLANCE, f"{self.amount(number)} with {self.balancer}")
        level = level_of(GLANCE, len(self.objectives), len(case.clusters))
        parts = tuple((cluster, self._judged(cluster, GLANCE, level)) for cluster in case.clusters)
        seems = all(
            not judged.overloaded and all(is_within(item) for item in judged.readings)
            for _, judged in parts
        )
        verdict: Outcome = "likely met" if seems else "likely not met"
        self.glanced[number] = Decided(case, verdict, parts)
        return seems

    def _is_known(self, number: int) -> bool:
        """Tell whether another rate has told about a value; note what."""
        if self.enough is not None and number >= self.enough:
            case = Case(number, (), ("does for a higher rate", None))
            self.decided[number] = Decided(case, "met", ())
        elif number <= self.too_little:
            case = Case(number, (), ("is too little for a lower rate", None))
            self.decided[number] = Decided(case, "not met", ())
        return number in self.decided

    def _judged(self, cluster: Cluster, look: int, level: float) -> Judged:
        samples = self.runs.of(cluster, look)
        return judge(samples, self.objectives, level, can_overload=self.can_overload)

    def decide(
        self, number: int, looks: Sequence[int] = LOOKS, *, roughly: bool = False
    ) -> Generator[Need, None, Decided]:
        """Run replications of a value until it is decided, or the last look is over.

        ``roughly``: from `ROUGH` replications on the 95 % interval of one look is enough to pass
        by a value that misses an objective; it is "likely not met" then.
        """
        looks = ROUGH_LOOKS if roughly else looks
        if number in self.decided or self._is_known(number):
            return self.decided[number]
        case = self.case(number)
        if case.cannot is not None:
            self.decided[number] = Decided(case, "not met", ())
            return self.decided[number]
        parts: dict[Cluster, Judged] = {}
        verdict: Outcome = "undecided"
        for look in looks:
            is_open = tuple(
                cluster
                for cluster in case.clusters
                if cluster not in parts or parts[cluster].verdict == "undecided"
            )
            self.tell(f"{self.amount(number)}, {look} replications")
            yield Need(is_open, look, f"{self.amount(number)} with {self.balancer}")
            level = level_of(look, len(self.objectives), len(case.clusters))
            for cluster in is_open:
                parts[cluster] = self._judged(cluster, look, level)
            verdict = joined([part.verdict for part in parts.values()])
            if roughly and verdict == "undecided" and look >= ROUGH:
                verdict = seemingly([part.readings for part in parts.values()])
            if verdict != "undecided":
                break
        if verdict == "undecided" and looks[-1] == LOOKS[-1]:
            refuse_too_short(self.subject.base.name, list(parts.values()))
        self.decided[number] = Decided(case, verdict, tuple(parts.items()))
        return self.decided[number]

    def case(self, number: int) -> Case:
        """Return the clusters of a value."""
        try:
            return case_of(number, self.subject.at(number), self.survive)
        except ScenarioError as error:
            return impossible(number, error)

    def amount(self, number: int) -> str:
        """Return a value in words."""
        return words.amount(self.subject.kind, self.subject.value(number))

    def why_not(self, decided: Decided) -> str:
        """Return in words why a value is not met."""
        if decided.case.cannot is not None:
            return decided.case.cannot[0]
        reading = worst(decided)
        objective = Objective(reading.metric, reading.limit)
        cluster, judged = self.missing(decided)
        said = reasons.why(
            self.runs.of(cluster, judged.replications), objective, is_full=judged.overloaded
        )
        is_lost = cluster.lost is not None and judged.verdict == "not met"
        return f"without {cluster.lost}: {said}" if is_lost else said

    @staticmethod
    def missing(decided: Decided) -> tuple[Cluster, Judged]:
        """Return the cluster that misses most at a value; the whole one when none does."""
        not_met = ((c, j) for c, j in decided.parts if j.verdict == "not met")
        return next(not_met, decided.parts[0])

    def _found(
        self,
        number: int | None,
        erlang: int | None,
        why: str | None,
        notes: Sequence[str] = (),
        undecided: tuple[int, int] | None = None,
    ) -> Found:
        return Found(number, undecided, self.known, erlang, why, tuple(notes))

    def _unsettled(self, answer: int) -> list[str]:
        """Say when the runs of the answer still drift: short ones miss the queues to come."""
        return [
            f"{self.amount(answer)}: {text}"
            for _, judged in self.decided[answer].parts
            for text in unsettled(judged.drift, changes=bool(self.subject.base.timeline))
        ]

    def _surprises(self, answer: int) -> Generator[Need, None, list[str]]:
        """Look at the next value on the side that is met; say so when it is not."""
        beyond = answer + (-1 if self.subject.is_greatest else 1)
        if not self.is_there(beyond) or self.enough is not None:
            return []
        decided = self.decided.get(beyond)
        if decided is None:
            seems = yield from self.glance(beyond)
            if seems:
                return []
            decided = yield from self.decide(beyond, SURPRISE_LOOKS)
            if decided.verdict == "undecided":
                self.glanced[beyond] = self.decided.pop(beyond)  # it was not looked at to the end
        if decided.verdict != "not met":
            return []
        said = (
            f"{self.amount(answer)} meet the objectives, and {self.amount(beyond)} do not "
            f"({self.why_not(decided)}): the cluster is not the same size everywhere, look at both"
        )
        return [said]
