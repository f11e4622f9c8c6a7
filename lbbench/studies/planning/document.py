"""The plan as a document: what was asked, the answers with their evidence, in plain data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from lbbench import __version__
from lbbench.stats.intervals import LEVEL
from lbbench.studies.planning import words
from lbbench.studies.planning.judging import LOOKS, Judged, Objective, Outcome, Reading
from lbbench.studies.planning.planner import Found, Planner
from lbbench.studies.planning.subject import Subject
from lbbench.studies.planning.verdicts import Decided, is_within, readings_of

SCHEMA = "lbbench.plan/1"

UNITS = {"pods": "pods", "nodes": "nodes", "rate": "requests/s", "concurrency": "places"}


@dataclass(frozen=True)
class Plan:
    """What is needed for the objectives.

    Attributes
    ----------
    subject, objectives, survive
        What was asked.
    answers
        One block of plain data by balancer, in the order given; see `block`.
    profile
        By hour what its rate asks for, or None.
    notes
        What the reader should know beside the answers.
    wall_s, replications
        What it took.
    profile_file, engine
        The file of the profile as it was given, or None; which engine ran.
    """

    subject: Subject
    objectives: tuple[Objective, ...]
    survive: str | None
    answers: Mapping[str, Mapping[str, Any]]
    profile: tuple[Mapping[str, Any], ...] | None = None
    notes: tuple[str, ...] = ()
    wall_s: float = 0.0
    replications: int = 0
    profile_file: str | None = None
    engine: str = "fast"

    @property
    def best(self) -> str:
        """The balancer that needs least (or serves most); the first of equal ones."""
        names = list(self.answers)
        met = [name for name in names if self.answers[name]["met"]]
        if not met:
            return names[0]
        sign = -1.0 if self.subject.is_greatest else 1.0
        return min(met, key=lambda name: sign * self.answers[name]["answer"])

    @property
    def answer(self) -> float | None:
        """The answer of the best balancer."""
        found: float | None = self.answers[self.best]["answer"]
        return found

    @property
    def undecided(self) -> tuple[float, float] | None:
        """From the least to the greatest value among which the best balancer's answer lies.

        None: it is decided.
        """
        found = self.answers[self.best]["undecided"]
        return None if found is None else (found[0], found[1])

    @property
    def met(self) -> bool:
        """Whether at least one balancer can meet the objectives."""
        return any(block["met"] for block in self.answers.values())

    @property
    def sentences(self) -> tuple[str, ...]:
        """The answers in words."""
        return tuple(str(block["sentence"]) for block in self.answers.values())

    def to_dict(self) -> dict[str, Any]:
        """Return the plan as plain data (schema lbbench.plan/1)."""
        base = self.subject.base
        return {
            "schema": SCHEMA,
            "name": base.name,
            "version": __version__,
            "seed": base.run.seed,
            "scenario": base.resolved(),
            "for": self.subject.kind,
            "unit": UNITS[self.subject.kind],
            "survive": self.survive,
            "rate_per_s": self.subject.load.rate,
            "load": words.load(self.subject.load),
            "own": self.subject.has,
            "step": self.subject.step,
            "confidence": LEVEL,
            "looks": list(LOOKS),
            "objectives": [
                {"metric": item.metric, "limit": item.limit} for item in self.objectives
            ],
            **self.answers[self.best],
            "best": self.best,
            "balancers": [dict(block) for block in self.answers.values()],
            "profile": None if self.profile is None else [dict(hour) for hour in self.profile],
            "profile_file": self.profile_file,
            "engine": self.engine,
            "notes": list(self.notes),
            "replications": self.replications,
            "wall_s": self.wall_s,
        }


def block(
    planner: Planner,
    balancer: str,
    found: Found,
    minus: Mapping[str, Any] | None,
    loaded: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """Return one balancer's part of the document."""
    subject = planner.subject
    value = subject.value
    number = found.number
    nearest = _nearest(subject, found)
    return {
        "balancer": balancer,
        "step": subject.step,
        "answer": None if number is None else value(number),
        "met": number is not None,
        "undecided": None if found.undecided is None else [value(n) for n in found.undecided],
        "evidence": evidence(planner, found),
        "erlang_c": None if found.erlang is None else value(found.erlang),
        "n_minus_1": minus,
        "most_loaded": loaded,
        "reason": found.why if found.why is not None else (
            None if nearest is None else planner.why_not(nearest)
        ),
        "sentence": sentence(planner, balancer, found),
        "notes": list(found.notes),
    }  # fmt: skip


def evidence(planner: Planner, found: Found) -> list[dict[str, Any]]:
    """Return every value that was looked at, ascending: a row per cluster and objective.

    ``ci95`` is the 95 % interval of the figure alone, for reading; ``decides`` the wider one, at
    ``level``, whose ends give the verdict.
    """
    rows: list[dict[str, Any]] = []
    for number in sorted(found.decided):
        decided = found.decided[number]
        value = planner.subject.value(number)
        if decided.case.cannot is not None:
            reason, lost = decided.case.cannot
            rows += [
                {
                    "value": value, "metric": item.metric, "estimate": None, "ci95": None,
                    "decides": None, "level": None, "limit": item.limit,
                    "verdict": "not met", "replications": 0, "lost": lost, "because": reason,
                }
                for item in planner.objectives
            ]  # fmt: skip
            continue
        is_likely = decided.verdict.startswith("likely")
        for cluster, judged in decided.parts:
            rows += [
                {
                    "value": value,
                    "metric": item.metric,
                    "estimate": item.estimate,
                    "ci95": None if item.ci95 is None or is_likely else list(item.ci95),
                    "decides": None if item.low is None or is_likely else [item.low, item.high],
                    "level": None if is_likely else judged.level,
                    "limit": item.limit,
                    "verdict": _verdict(item, judged, is_likely=is_likely),
                    "replications": judged.replications,
                    "lost": cluster.lost,
                    "because": "its runs are over capacity" if judged.overloaded else None,
                }
                for item in judged.readings
            ]
    return rows


def _verdict(item: Reading, judged: Judged, *, is_likely: bool) -> Outcome:
    if judged.overloaded:
        return "not met"
    if is_likely:
        return "likely met" if is_within(item) else "likely not met"
    return item.verdict


def sentence(planner: Planner, balancer: str, found: Found) -> str:
    """Return the answer in words."""
    subject, name = planner.subject, words.short_balancer(balancer)
    if found.number is None:
        said = "the objectives cannot be met"
        if found.undecided is not None:
            said = "no value is shown to meet the objectives"
        return f"{name}: {said}: {found.why}"
    answer = planner.amount(found.number)
    if subject.kind == "nodes":
        pods = len(subject.at(found.number).cluster.pod_names())
        answer += f" ({words.amount('pods', pods)})"
    at = "" if subject.kind == "rate" else f" {words.load(subject.load)}"
    lost = "" if planner.survive is None else f", also without {words.LOSS[planner.survive]}"
    said = f"{answer} with {name}{lost}: {_figures(found.decided[found.number])}{at}"
    nearest = _nearest(subject, found)
    if nearest is None:
        return said
    few = words.number(subject.value(nearest.number))
    what = "are too few" if not subject.is_greatest else "is too much"
    if nearest.number == 1 and not subject.is_greatest:
        what = "is too few"
    if nearest.case.cannot is not None:
        return f"{said}; {few} {what}: {nearest.case.cannot[0]}"
    if nearest.verdict == "undecided":
        what = "may do as well" if subject.is_greatest else "may be enough"
        left = f"which {LOOKS[-1]} replications do not decide"
        return f"{said}; {few} {what}, {left}: {_figures(nearest)}"
    return f"{said}; {few} {what}: {_figures(nearest)}"


def _nearest(subject: Subject, found: Found) -> Decided | None:
    """Return the value next to the answer on the side that is not met."""
    if found.number is None:
        return None
    return found.decided.get(found.number + (1 if subject.is_greatest else -1))


def _figures(decided: Decided) -> str:
    return ", ".join(_figure(item) for item in readings_of(decided))


def _figure(item: Reading) -> str:
    text = f"{words.short_metric(item.metric)} {words.figure(item.metric, item.estimate)}"
    if item.ci95 is None:
        return text
    return f"{text} (95 % {words.span(item.metric, *item.ci95, item.limit)})"
