"""The gallery of field reports as data: what was reported, what follows, how it is measured.

`cases.yaml` holds one entry per report: `title`, `source` (the public address), `because` (the
derivation of the expectation, which counts where the report says something else), and either
`later` (the part of lbbench that is missing) or `checks`. A check is an expectation (`metric` as
the report's list names it, `op`, `value`, `tol`) and how it is found: the metric function `by` with
the parameters `with` over the scenario of the case, changed by `set`; where `import` names a kind
of input, the scenario is what that import makes of the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from lbbench.errors import InputError
from lbbench.model.mistakes import near
from lbbench.model.notation import parse

DATA = Path(__file__).with_name("cases.yaml")
SCENARIOS = Path(__file__).resolve().parent.parent / "scenarios" / "cases"

OPS = ("==", "<=", ">=", "<", ">", "in")


@dataclass(frozen=True, kw_only=True)
class Check:
    """One expectation of a case and how it is found.

    Attributes
    ----------
    metric
        Its name in the list of reports.
    op, value, tol
        ``==`` and ``in`` (an interval) within ``tol``, or an inequality. A value that is a mapping
        ``{set: ...}`` is the same metric under those changes.
    by, given
        Name of the metric function, and its parameters.
    scenario
        Name of the file in `SCENARIOS`, without its ending.
    kind
        Of input, where a dump of that kind stands in place of a scenario: with its ending, then,
        and read as `lbbench import` reads it.
    changes
        Leaves of the scenario by dotted path.
    vary
        Leaf and values: the metric gets one run for each.
    breaks
        Changes under which the check must fail: what shows that it can.
    """

    metric: str
    op: str
    value: Any
    tol: float = 0.0
    by: str
    given: Mapping[str, Any] = field(default_factory=dict)
    scenario: str
    kind: str | None = None
    changes: Mapping[str, Any] = field(default_factory=dict)
    vary: tuple[str, tuple[Any, ...]] | None = None
    breaks: Mapping[str, Any] | None = None


@dataclass(frozen=True, kw_only=True)
class Case:
    """One field report."""

    id: str
    title: str
    source: str
    because: str
    checks: tuple[Check, ...] = ()
    later: str | None = None  # what is missing


@cache
def gallery() -> tuple[Case, ...]:
    """Return every case, in the order of the data file.

    Raises
    ------
    InputError
        When the data file is not as this module's text says.
    """
    data, _ = parse(DATA.read_text(encoding="utf-8"), DATA.name)
    return tuple(_case(name, entry) for name, entry in data.items())


def chosen(ids: list[str] | None) -> tuple[Case, ...]:
    """Return the cases with these ids, all of them without any.

    Raises
    ------
    InputError
        When there is no such case; the sentence names near misses.
    """
    known = {case.id: case for case in gallery()}
    wanted = dict.fromkeys(given.upper() for given in ids or known)
    for given in wanted:
        if given not in known:
            hint = near(given, known) or f"there are {', '.join(known)}"
            raise InputError(f"there is no case {given}; {hint}")
    return tuple(known[given] for given in wanted)


def _case(name: str, entry: Mapping[str, Any]) -> Case:
    place = f"{DATA.name}: {name}"
    _only(place, entry, ("title", "source", "because", "later", "checks"))
    for needed in ("title", "source", "because"):
        if not entry.get(needed):
            raise InputError(f"{place}: {needed} is missing; every case has one")
    checks = tuple(
        _check(f"{place}.{i}", name, item) for i, item in enumerate(entry.get("checks", ()))
    )
    return Case(
        id=name,
        title=entry["title"],
        source=entry["source"],
        because=" ".join(str(entry["because"]).split()),
        later=entry.get("later"),
        checks=checks,
    )


def _check(place: str, name: str, item: Mapping[str, Any]) -> Check:
    known = (
        "metric", "op", "value", "tol", "by", "with", "scenario", "import", "set", "vary", "breaks",
    )  # fmt: skip
    _only(place, item, known)
    for needed in ("metric", "op", "value", "by"):
        if item.get(needed) is None:
            raise InputError(f"{place}: {needed} is missing; every check has one")
    if item["op"] not in OPS:
        raise InputError(f"{place}.op = {item['op']}: must be one of {', '.join(OPS)}")
    vary = item.get("vary")
    return Check(
        metric=item["metric"],
        op=item["op"],
        value=item["value"],
        tol=item.get("tol", 0.0),
        by=item["by"],
        given=item.get("with", {}),
        scenario=item.get("scenario", name),
        kind=item.get("import"),
        changes=item.get("set", {}),
        vary=None if vary is None else next((leaf, tuple(v)) for leaf, v in vary.items()),
        breaks=item.get("breaks"),
    )


def _only(place: str, given: Mapping[str, Any], known: tuple[str, ...]) -> None:
    for key in given:
        if key not in known:
            raise InputError(f"{place}.{key}: is unknown; the keys are {', '.join(known)}")
