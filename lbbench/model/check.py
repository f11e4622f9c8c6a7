"""From plain data to a checked Scenario, with a sentence and a place for every mistake."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbbench.errors import ScenarioError
from lbbench.model.fields import copied
from lbbench.model.mistakes import Mistake, mistakes_of
from lbbench.model.paths import drop_rivals, set_leaf
from lbbench.model.places import Keys, Origin, told
from lbbench.model.presets import with_preset
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.model.varied import tried_alone

MAX_SWEEP_VALUES = 200
"""Values of a sweep that are tried one by one whenever it is read."""


def build(
    data: Mapping[str, Any],
    *,
    place: str = "scenario",
    lines: Mapping[Keys, int] | None = None,
    origin: Origin | None = None,
    changes: Sequence[tuple[str, Any]] = (),
    changed_at: Mapping[str, str] | None = None,
    folder: Path | None = None,
    stem: str | None = None,
) -> Scenario:
    """Return the checked scenario of plain data; ``changes`` sets leaves (path, value) first.

    Parameters
    ----------
    place, lines
        Where the data come from, and the line of every key path.
    origin
        The same, with the changes that the data have already; instead of the two.
    changed_at
        Place of a change by its path, "--set PATH" unless given.
    folder
        Where relative paths in it start; the current folder unless given.
    stem
        Its name unless the data give one.

    Raises
    ------
    ScenarioError
        At most 12 lines ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    known = Origin(place, lines or {}) if origin is None else origin
    written = copied(data)
    changed: dict[Keys, str] = {}
    for path, value in changes:
        where = (changed_at or {}).get(path, f"--set {path}")
        changed[_set(written, path, value, where)] = where
    if changed:
        known = Origin(known.place, known.lines, {**known.changed, **changed})
        drop_rivals(written, list(changed))
    full = with_preset(written)
    if stem and full.get("name") is None:
        full["name"] = stem
    try:
        scenario = Scenario.model_validate(full)
        found = _sweep_mistakes(scenario, full)
    except ValidationError as error:
        found = mistakes_of(error)
    if found:
        raise ScenarioError(told(found, full, known))
    scenario = scenario.as_written(written, folder or Path.cwd(), known)
    try:
        topology(scenario)
    except ScenarioError as error:
        raise ScenarioError(f"{known.place}: {error}") from None
    return scenario


def _set(data: dict[str, Any], path: str, value: Any, where: str) -> Keys:
    try:
        return set_leaf(data, path, copied(value))
    except ScenarioError as error:
        if where.startswith("--set"):
            raise
        text = str(error).partition(": ")[2]
        raise ScenarioError(f"{where}: {path}: {text}") from None


def _sweep_mistakes(scenario: Scenario, data: Mapping[str, Any]) -> list[Mistake]:
    """Return the mistakes in the paths and the first values of a sweep."""
    if scenario.sweep is None:
        return []
    tried = tried_alone(scenario.sweep, data, most=MAX_SWEEP_VALUES)
    return [mistake for value in tried for mistake in value.mistakes]
