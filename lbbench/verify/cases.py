"""Runs the gallery of field reports through the engines and says which expectations are met."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lbbench.errors import LbbenchError
from lbbench.inputs.yaml import load
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.studies.imported import read_input
from lbbench.studies.run import Progress
from lbbench.verify import metrics, over_time
from lbbench.verify.gallery import SCENARIOS, Case, Check
from lbbench.verify.judging import meets
from lbbench.verify.ran import Choice, Ran, ran

Verdict = Literal["pass", "fail", "later"]

Runner = Callable[[Scenario], Ran]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check expected and found."""

    check: Check
    value: Any  # what was expected: the check's own value, or what its other run gave
    found: Any
    passed: bool
    error: str | None = None  # the sentence, when the scenario could not be run


@dataclass(frozen=True, kw_only=True)
class Report:
    """One case with its verdict."""

    case: Case
    findings: tuple[Finding, ...]

    @property
    def verdict(self) -> Verdict:
        """Return ``later`` when a part is missing, ``pass`` when all expectations are met."""
        if self.case.later is not None:
            return "later"
        return "pass" if all(item.passed for item in self.findings) else "fail"

    def to_dict(self) -> dict[str, Any]:
        """Return the case as `lbbench verify --cases --json` writes it."""
        values = [item.value for item in self.findings] or [item.value for item in self.case.checks]
        return {
            "id": self.case.id,
            "expected": [
                {"metric": item.metric, "op": item.op, "value": _plain(value), "tol": item.tol}
                for item, value in zip(self.case.checks, values, strict=True)
            ],
            "found": [_plain(item.found) for item in self.findings],
            "verdict": self.verdict,
            "missing": self.case.later,
        }


def run_cases(
    cases: Sequence[Case],
    *,
    engine: Choice = "auto",
    seed: int | None = None,
    progress: Progress | None = None,
) -> Iterator[Report]:
    """Yield the report of each case, in turn.

    Parameters
    ----------
    cases
        What to run; those that wait for a part are reported without being run.
    engine
        ``fast``, ``reference``, or for each run the one that is done first: the numbers are equal.
    seed
        In place of the scenarios' own; the expectations hold for any.
    progress
        Told which number of the cases begins, and what has to be compiled.
    """
    for number, case in enumerate(cases):
        if progress is not None:
            progress("cases", number, len(cases))
        findings = () if case.later else check_case(case, engine, seed, _compiling(progress))
        yield Report(case=case, findings=findings)


def _compiling(progress: Progress | None) -> Progress | None:
    """Return what passes on that something is compiled, and none of the many short runs."""
    if progress is None:
        return None

    def told(what: str, done: int, total: int | None) -> None:
        if what.startswith("compiling"):
            progress(what, done, total)

    return told


def check_case(
    case: Case,
    engine: Choice = "auto",
    seed: int | None = None,
    progress: Progress | None = None,
) -> tuple[Finding, ...]:
    """Run the scenarios of one case, each once, and return what every check found."""
    known: dict[Scenario, Ran] = {}

    def run_once(scenario: Scenario) -> Ran:
        if scenario not in known:
            known[scenario] = ran(scenario, engine=engine, progress=progress)
        return known[scenario]

    changes = {} if seed is None else {"run.seed": seed}
    return tuple(finding_of(check, run_once, changes) for check in case.checks)


def finding_of(check: Check, run_once: Runner, changes: Mapping[str, Any]) -> Finding:
    """Return what one check finds, with further ``changes`` of its scenario."""
    value = check.value
    try:
        found = measured(check, run_once, changes)
        if isinstance(value, Mapping):
            value = measured(check, run_once, {**changes, **value["set"]})
    except LbbenchError as error:
        return Finding(check=check, value=value, found=None, passed=False, error=str(error))
    passed = meets(check.op, found, value, check.tol)
    return Finding(check=check, value=value, found=found, passed=passed)


def measured(check: Check, run_once: Runner, changes: Mapping[str, Any]) -> Any:
    """Return the metric of a check over its scenario (or scenarios, when it varies a leaf)."""
    scenario = _scenario(check)
    changes = {**check.changes, **changes}
    if check.vary is None:
        variants = [changes]
    else:
        leaf, values = check.vary
        variants = [{**changes, leaf: value} for value in values]
    runs = [run_once(scenario.with_(each) if each else scenario) for each in variants]
    return METRICS[check.by](*runs, **check.given)


def _scenario(check: Check) -> Scenario:
    if check.kind is None:
        return load(SCENARIOS / f"{check.scenario}.yaml")
    imported = read_input(check.kind, [str(SCENARIOS / check.scenario)])
    return build(imported.scenario, place=check.scenario)


def _functions(module: Any) -> dict[str, Callable[..., Any]]:
    return {
        name: value
        for name, value in vars(module).items()
        if getattr(value, "__module__", "") == module.__name__ and not name.startswith("_")
    }


METRICS: Mapping[str, Callable[..., Any]] = {**_functions(metrics), **_functions(over_time)}
"""The functions that the gallery may name, by name."""


def _plain(value: Any) -> Any:
    """Return ``value`` as JSON has it: no infinity, no NaN."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
