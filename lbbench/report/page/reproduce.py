"""The commands that give the same numbers again, checked against the scenario that was run."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lbbench.errors import LbbenchError
from lbbench.report.page.content import Steps
from lbbench.studies.content import files_of

MOST_CHANGES = 8
"""Changes to a shipped scenario that fit on a command line; beyond that a file reads better."""

OPTIONS = {"run.seed": "--seed", "run.replications": "--replications"}
"""Leaves that have an option of their own."""


def steps(
    scenario: Mapping[str, Any],
    command: str,
    after: Sequence[str] = (),
    *,
    version: str,
    apart: str = "",
    then: Sequence[str] = (),
) -> Steps:
    """Return how a scenario is run again.

    Parameters
    ----------
    scenario
        Resolved.
    command
        ``run``, ``sweep``, ``compare``, ``plan``.
    after
        Options behind the scenario, as they are.
    version
        Of the package.
    apart
        A leaf that the command sets itself.
    then
        Further commands, a line each.
    """
    found = as_shipped(scenario, apart)
    name = str(scenario.get("name") or "scenario")
    file = "" if found is not None else f"{stem(name)}.yaml"
    what, options = (file, []) if found is None else (name, [_option(*one) for one in found])
    line = ["lbbench", command, shlex.quote(what), *options, *after]
    lead = (
        f"With lbbench {version} the same scenario and seed give the same numbers, to the last "
        "digit; only times of day and running times differ."
    )
    if file:
        lead = f"Save the scenario below as {file}. {lead}"
    named = sorted(files_of(scenario, Path()))
    if named:
        lead += f" It reads {', '.join(named)}, which must be there as well."
    return Steps(lead, "\n".join([_wrapped(line), *then]), file)


def as_shipped(scenario: Mapping[str, Any], apart: str = "") -> list[tuple[str, Any]] | None:
    """Return the changes that make a shipped scenario this one; None when it is none of these.

    What is returned has been tried: the shipped file with the changes resolves to ``scenario``.
    """
    from lbbench.inputs.yaml import load, shipped

    name = str(scenario.get("name", ""))
    if name not in shipped():
        return None
    plain = json.loads(json.dumps(scenario))
    try:
        base = load(shipped()[name])
        found = [one for one in _changes(base.resolved(), plain, "") if one[0] != apart]
        if len(found) > MOST_CHANGES:
            return None
        tried = found if not apart else [*found, (apart, _at(plain, apart))]
        texts = [f"{path}={_text(value)}" for path, value in tried]
        again = load(shipped()[name], texts).resolved()
    except (LbbenchError, KeyError):
        return None
    return found if again == plain else None


def question_of(scenario: Mapping[str, Any]) -> str:
    """Return the question that a shipped scenario asks in its first line, "" for others."""
    from lbbench.inputs.yaml import shipped

    path = shipped().get(str(scenario.get("name", "")))
    if path is None:
        return ""
    first = path.read_text(encoding="utf-8").partition("\n")[0].lstrip("# ").strip()
    return first.partition(": lbbench ")[0].removesuffix(" A study") if first else ""


def stem(name: str) -> str:
    """Return a name that is fit for a file."""
    return "".join(c if c.isalnum() or c in "._-" else "-" for c in name).strip(".-") or "scenario"


def _changes(
    base: Mapping[str, Any], wanted: Mapping[str, Any], path: str
) -> Iterator[tuple[str, Any]]:
    for key, value in wanted.items():
        here = f"{path}.{key}" if path else key
        before = base.get(key)
        if before == value:
            continue
        if isinstance(value, Mapping) and isinstance(before, Mapping):
            yield from _changes(before, value, here)
        else:
            yield here, value


def _at(data: Any, path: str) -> Any:
    for key in path.split("."):
        data = data[key]
    return data


def _option(path: str, value: Any) -> str:
    if path in OPTIONS:
        return f"{OPTIONS[path]} {value}"
    return f"--set {shlex.quote(f'{path}={_text(value)}')}"


def _text(value: Any) -> str:
    """Return a value as YAML on one line."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _wrapped(words: Sequence[str], width: int = 88) -> str:
    """Return a command on one line, or an option per line where it is longer."""
    line = " ".join(words)
    if len(line) <= width:
        return line
    head, rest = words[:3], words[3:]
    return " \\\n  ".join([" ".join(head), *rest])
