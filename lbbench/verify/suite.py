"""The statistical checks: what they claim, how they are run, and the verdict on all of them.

Every check holds something that lbbench does against theory that was computed apart from it, and
gives a p-value: the chance of a finding as far off, or further, if the claim is true. Holm's
procedure keeps the chance that any true claim falls at 1 %, however many there are and however they
hang together. Checks on what leaves nothing to chance have a p of 1 or 0 and cost no error.

The claims are made so that what remains of a start from empty queues is far below the standard
error: a run's warm-up is at least 20 relaxation times (1 - sqrt(load))^-2 of an M/M/1 queue, whose
distance from the stationary law falls as exp(-t / relaxation time). Requests count in the segment
of their arrival with their whole stay, so the end of a run cuts nothing off.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from lbbench import __version__
from lbbench.errors import InputError
from lbbench.model.mistakes import near
from lbbench.studies.machine import usable_cores
from lbbench.studies.run import Progress
from lbbench.verify.chance import Found, rejected
from lbbench.verify.experiment import Experiment, Sample, samples
from lbbench.verify.gallery import gallery

SCHEMA = "lbbench.verify/1"
FAMILY_ERROR = 0.01
"""Chance that a suite of true claims fails."""
SEED = 1


@dataclass(frozen=True)
class Check:
    """One claim and how it is judged.

    Attributes
    ----------
    id
        Begins with a word for its topic.
    topic
        What it belongs to, as a heading.
    claim
        A clause in plain words, without its numbers.
    source
        Where the expected figure comes from.
    of
        What is measured for it; several checks may share an experiment.
    judge
        Returns what the numbers say.
    """

    id: str
    topic: str
    claim: str
    source: str
    of: Experiment
    judge: Callable[[Sample], Found]


@dataclass(frozen=True)
class Judged:
    """A check with what it found; ``error``: why nothing could be found."""

    check: Check
    found: Found | None
    passed: bool
    error: str | None = None

    @property
    def verdict(self) -> Literal["pass", "fail"]:
        """Return the verdict as a word."""
        return "pass" if self.passed else "fail"

    @property
    def p_value(self) -> float:
        """Return the p-value; 0 where nothing could be measured."""
        return 0.0 if self.found is None else self.found.p_value

    def to_dict(self) -> dict[str, Any]:
        """Return the check as the document has it."""
        found = self.found
        made = {
            "id": self.check.id,
            "topic": self.check.topic,
            "claim": self.check.claim,
            "observed": None if found is None else found.observed,
            "expected": None if found is None else found.expected,
            "standard_error": None if found is None else found.standard_error,
            "p_value": self.p_value,
            "verdict": self.verdict,
            "source": self.check.source,
            "n": 0 if found is None else found.n,
            "test": "none" if found is None else found.test,
        }
        return made if self.error is None else {**made, "error": self.error}


@dataclass(frozen=True)
class Verification:
    """The verdict on the checks that were run."""

    judged: tuple[Judged, ...]
    seed: int
    wall_s: float

    @property
    def passed(self) -> bool:
        """Tell whether every claim stands."""
        return all(item.passed for item in self.judged)

    @property
    def left_to_chance(self) -> int:
        """Return how many checks have a p-value between 0 and 1."""
        return sum(item.found is not None and is_chance(item.found) for item in self.judged)

    @property
    def level(self) -> float:
        """Return what the smallest p-value is held against."""
        return FAMILY_ERROR / max(self.left_to_chance, 1)

    @property
    def failed(self) -> tuple[Judged, ...]:
        """Return the checks whose claims fall."""
        return tuple(item for item in self.judged if not item.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``lbbench verify --json`` writes."""
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "family_error": FAMILY_ERROR,
            "level_per_check": self.level,
            "checks": [item.to_dict() for item in self.judged],
            "passed": self.passed,
            "wall_s": round(self.wall_s, 3),
        }


def is_chance(found: Found) -> bool:
    """Tell whether the finding had to do with chance."""
    return found.test != "certain"


def run_suite(
    checks: Sequence[Check],
    *,
    seed: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Measure what the checks need, in processes, and judge it.

    Parameters
    ----------
    checks
        At least one; `chosen` finds them by name.
    seed
        1 unless given; the claims hold for any.
    workers
        Processes; as many as the machine has processors unless given.
    progress
        Told how many replications are done.

    Raises
    ------
    RunError
        When no worker process can be started.
    """
    started = time.perf_counter()
    seed = SEED if seed is None else seed
    experiments = list({check.of.name: check.of for check in checks}.values())
    measured = samples(experiments, seed, workers=workers or usable_cores(), progress=progress)
    found = [_found(check, measured[check.of.name]) for check in checks]
    return Verification(judged(checks, found), seed, time.perf_counter() - started)


def judged(checks: Sequence[Check], found: Sequence[Found | str]) -> tuple[Judged, ...]:
    """Return the verdict on each check; a text instead of a finding is what went wrong.

    What is certain stands or falls by itself, the others together.
    """
    chances = [k for k, item in enumerate(found) if isinstance(item, Found) and is_chance(item)]
    p_values = [item.p_value for item in found if isinstance(item, Found) and is_chance(item)]
    falls = dict(zip(chances, rejected(p_values, FAMILY_ERROR), strict=True))
    return tuple(
        Judged(check, None, passed=False, error=item)
        if isinstance(item, str)
        else Judged(check, item, passed=not falls.get(k, item.p_value == 0.0))
        for k, (check, item) in enumerate(zip(checks, found, strict=True))
    )


def _found(check: Check, sample: Sample | Exception) -> Found | str:
    if isinstance(sample, Exception):
        return f"{type(sample).__name__}: {sample}"
    try:
        return check.judge(sample)
    except Exception as error:  # noqa: BLE001 - numbers that make no sense judge themselves
        return f"{type(error).__name__}: {error}"


def chosen(names: Sequence[str] | None, checks: Sequence[Check]) -> tuple[Check, ...]:
    """Return the checks with these ids, or of these first words of ids; all without any.

    Raises
    ------
    InputError
        When there is no such check; the sentence names near misses.
    """
    if not names:
        return tuple(checks)
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(check.id, []).append(check)
        groups.setdefault(check.id.partition("-")[0], []).append(check)
    wanted: dict[str, Check] = {}
    for name in names:
        found = groups.get(name.lower())
        if found is None:
            raise InputError(f"verify: {name}: there is no such check; {_hint(name, groups)}")
        wanted |= {check.id: check for check in found}
    return tuple(check for check in checks if check.id in wanted)


def _hint(name: str, groups: Mapping[str, Sequence[Check]]) -> str:
    if any(case.id == name.upper() for case in gallery()):
        return f"it is a case: lbbench verify --cases {name.upper()}"
    words = [word for word, members in groups.items() if word != members[0].id]
    return near(name.lower(), groups) or f"there are the groups {', '.join(words)}"
