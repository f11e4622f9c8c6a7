"""How a sweep begins: what its points are, and what the ledger has of them already."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, NamedTuple

from lbbench import __version__
from lbbench.errors import LbbenchError, RunError, ScenarioError
from lbbench.model.mistakes import some
from lbbench.model.ranges import Range
from lbbench.model.scenario import Scenario
from lbbench.model.study import Member
from lbbench.store.ledger import Ledger
from lbbench.studies.axes import check_axes, n_points, points
from lbbench.studies.content import as_text, content_of, digest, files_of, point_data
from lbbench.studies.run import Progress, first_of
from lbbench.studies.schedule import Wanted
from lbbench.studies.variants import BALANCER, OPTIONS, partly_known, without_options

OtherVersion = Literal["ask", "reuse", "fresh"]
"""What to do with results of another version of the package: refuse, take them, run anew."""

SHOWN = 6


class Begun(NamedTuple):
    """What the ledger knows of a study that is about to be run."""

    kind: Literal["new", "again", "changed"]
    changes: tuple[str, ...]  # what differs in the scenario file, when it has changed
    versions: tuple[str, ...]  # versions whose results count, the preferred one first
    ended: dict[tuple[str, int], str]  # (content, replication) -> how it ended
    stale: int  # replications in the ledger that are no part of the study any more
    files: Mapping[str, str | None]  # digest of every file that a point names

    def sentence(self, name: str) -> str:
        """Return in words how the study begins."""
        n = len(self.ended)
        if self.kind == "new":
            return f"{name}: a new study"
        left = (
            f"; {self.stale:,} others stay in the file and out of the study" if self.stale else ""
        )
        if self.kind == "again":
            bare = sum(how != "done" for how in self.ended.values())
            without = f" ({bare:,} of them without a result)" if bare else ""
            return f"{name}: going on, {n:,} replications are there{without}{left}"
        return (
            f"{name}: the scenario has changed since the last sweep ({some(self.changes, SHOWN)}); "
            f"{n:,} replications are the same and are kept{left}"
        )


def members_of(
    scenario: Scenario, *, yes: bool = False, progress: Progress | None = None
) -> list[Member]:
    """Return the points of a scenario's sweep, each with its content.

    A combination that is no scenario is a member with the reason.

    Raises
    ------
    ScenarioError
        When the axes cannot be swept, before any point is built, or no combination is a scenario.
    """
    sweep = check_axes(scenario, yes=yes)
    total = n_points(sweep)
    loose = loose_options(scenario)
    made: list[Member] = []
    for point in points(sweep, scenario.run.seed):
        values = dict(point.values)
        try:
            data = point_data(without_options(scenario.at_point(values), loose))
            content, invalid = content_of(data, scenario.folder), None
        except LbbenchError as error:
            data, content, invalid = {}, digest(values), _first_line(error)
        made.append(Member(point.number, values, content, as_text(data), invalid))
        if progress is not None and len(made) % 200 == 0:
            progress("reading points", len(made), total)
    if all(member.invalid is not None for member in made):
        raise ScenarioError(str(made[0].invalid))
    return made


def loose_options(scenario: Scenario) -> tuple[str, ...]:
    """Return the balancer's options that go only to those balancers of an axis that have them."""
    leaves = {} if scenario.sweep is None else scenario.sweep.leaves()
    names = leaves.get(BALANCER)
    if (
        names is None
        or isinstance(names, Range)
        or any(leaf.startswith(OPTIONS) for leaf in leaves)
    ):
        return ()
    return partly_known(scenario, [str(name) for name in names])


def wanted_of(scenario: Scenario) -> Wanted:
    """Return how many replications each point gets."""
    at_first, precision = first_of(scenario), scenario.run.precision
    return Wanted(at_first, at_first if precision is None else precision.max_replications)


def begin(
    ledger: Ledger,
    scenario: Scenario,
    members: list[Member],
    other_version: OtherVersion,
) -> Begun:
    """Return what ``ledger`` has of the study.

    Raises
    ------
    RunError
        When it holds results of another version of the package, and nobody said what to do.
    """
    seed, most = scenario.run.seed, wanted_of(scenario).at_most
    contents = {member.content for member in members}
    ours: dict[tuple[str, int], str] = {}
    others: dict[str, dict[tuple[str, int], str]] = {}
    stale = 0
    for (content, of_seed, replication, version), status in ledger.statuses().items():
        if content not in contents or of_seed != seed or replication >= most:
            stale += 1
        elif version == __version__:
            ours[content, replication] = status
        else:
            others.setdefault(version, {})[content, replication] = status
    useful = {
        version: missing
        for version, found in others.items()
        if (missing := {key: how for key, how in found.items() if ours.get(key) != "done"})
    }
    versions = [__version__, *sorted(useful, key=_ordinal, reverse=True)]
    if useful and other_version == "ask":
        named = ", ".join(f"{len(useful[version]):,} of {version}" for version in versions[1:])
        raise RunError(
            f"{ledger.path}: it holds replications of another version of lbbench ({named}; "
            f"this is {__version__}); --reuse takes them as they are, --fresh runs them again"
        )
    if other_version == "fresh":
        versions = versions[:1]
    for version in versions[1:]:  # the newest first; a result goes before an error
        for key, how in useful[version].items():
            if ours.get(key) != "done":
                ours[key] = how if how == "done" else ours.get(key, how)
    files = _digests(scenario, members)
    before = json.loads(ledger.noted("scenario") or "null")
    now = scenario.resolved()
    if before is None:
        return Begun("new", (), tuple(versions), ours, stale, files)
    changes = (*_changes(before, now), *_edited(ledger, files))
    return Begun("changed" if changes else "again", changes, tuple(versions), ours, stale, files)


def _digests(scenario: Scenario, members: Iterable[Member]) -> dict[str, str | None]:
    """Return the digest of every file that a point of the study names."""
    found: dict[str, str | None] = {}
    for member in members:
        if ".py:" in member.scenario or '"file"' in member.scenario or '"trace"' in member.scenario:
            found |= files_of(json.loads(member.scenario), scenario.folder)
    return found


def _edited(ledger: Ledger, files: Mapping[str, str | None]) -> Iterator[str]:
    """Yield the files that are no longer what they were."""
    before = json.loads(ledger.noted("files") or "{}")
    for name, found in files.items():
        if name in before and before[name] != found:
            yield f"{name}: edited" if found else f"{name}: missing"


def _ordinal(version: str) -> tuple[int, ...]:
    """Return the numbers in a version, by which 0.10 comes after 0.9."""
    return tuple(int(number) for number in re.findall(r"[0-9]+", version))


def _changes(before: Any, now: Any) -> Iterator[str]:
    """Yield the leaves that differ, as ``cluster.pods: 10 -> 12``."""
    old, new = dict(_leaves(before)), dict(_leaves(now))
    for leaf in dict.fromkeys([*old, *new]):
        if old.get(leaf) != new.get(leaf) and leaf != "name":
            yield f"{leaf}: {_shown(old.get(leaf))} -> {_shown(new.get(leaf))}"


def _leaves(data: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(data, Mapping) and data:
        for key, value in data.items():
            yield from _leaves(value, f"{path}.{key}" if path else str(key))
    else:
        yield path, data


def _shown(value: Any) -> str:
    text = "nothing" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 40 else text[:37] + "..."


def _first_line(error: LbbenchError) -> str:
    return str(error).splitlines()[0]
