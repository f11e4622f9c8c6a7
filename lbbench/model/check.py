"""From plain data to a checked Scenario, with a sentence and a place for every mistake."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from lbbench.errors import ScenarioError
from lbbench.model.mistakes import MISSING, Mistake, dotted, mistakes_of
from lbbench.model.paths import drop_rivals, set_leaf
from lbbench.model.presets import with_preset
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology

MAX_LINES = 12
MAX_SWEEP_VALUES = 200
"""Values of a sweep that are tried one by one before it starts."""

Keys = tuple[str | int, ...]

NO_LOAD = "is missing; give exactly one of arrivals.rate, utilisation and trace below it"


def build(
    data: Mapping[str, Any],
    *,
    place: str = "scenario",
    lines: Mapping[Keys, int] | None = None,
    changes: Sequence[tuple[str, Any]] = (),
    folder: Path | None = None,
    stem: str | None = None,
) -> Scenario:
    """Return the checked scenario of plain data; ``changes`` sets leaves (path, value) first.

    Parameters
    ----------
    place, lines
        Where the data come from, and the line of every key path.
    folder
        Where relative paths in it start; the current folder unless given.
    stem
        Its name unless the data give one.

    Raises
    ------
    ScenarioError
        At most 12 lines ``FILE:LINE: path.to.key = value: what is wrong; what is allowed``.
    """
    written = _copied(data)
    from_set = {set_leaf(written, path, value): path for path, value in changes}
    drop_rivals(written, list(from_set))
    full = with_preset(written)
    if stem and full.get("name") is None:
        full["name"] = stem
    try:
        scenario = Scenario.model_validate(full)
        found = list(_sweep_mistakes(scenario, full))
    except ValidationError as error:
        found = mistakes_of(error)
    if found:
        raise ScenarioError(_report(found, full, place, lines or {}, from_set))
    scenario = scenario.in_folder(folder or Path.cwd()).as_written(written, place)
    try:
        topology(scenario)
    except ScenarioError as error:
        raise ScenarioError(f"{place}: {error}") from None
    return scenario


def _sweep_mistakes(scenario: Scenario, data: Mapping[str, Any]) -> Iterator[Mistake]:
    """Yield the mistakes in the paths and values of a sweep."""
    if scenario.sweep is None:
        return
    base = {key: value for key, value in data.items() if key != "sweep"}
    tried = 0
    for axis in ("axes", "zip"):
        for path, values in getattr(scenario.sweep, axis).items():
            for i, value in enumerate(values):
                tried += 1
                point = _copied(base)
                try:
                    keys = set_leaf(point, path, _copied(value))
                    drop_rivals(point, [keys])
                    if tried <= MAX_SWEEP_VALUES:
                        Scenario.model_validate(with_preset(point))
                except ScenarioError as error:
                    text = str(error).partition(": ")[2]
                    yield Mistake(("sweep", axis, path), text)
                    break
                except ValidationError as error:
                    for mistake in mistakes_of(error):
                        if mistake.keys[: len(keys)] == keys:
                            yield Mistake(("sweep", axis, path, i), mistake.text)


def _report(
    found: Sequence[Mistake],
    data: Mapping[str, Any],
    place: str,
    lines: Mapping[Keys, int],
    from_set: Mapping[Keys, str],
) -> str:
    """Return the mistakes as lines, in the order of the file, at most `MAX_LINES`."""
    placed = sorted(
        ((*_place(mistake.keys, place, lines, from_set), mistake) for mistake in found),
        key=lambda entry: entry[0],
    )
    texts = list(
        dict.fromkeys(f"{where}: {_sentence(mistake, data)}" for _, where, mistake in placed)
    )
    if len(texts) > MAX_LINES:
        rest = len(texts) - MAX_LINES + 1
        texts = [*texts[: MAX_LINES - 1], f"{place}: and {rest} more mistakes"]
    return "\n".join(texts)


def _place(
    keys: Keys,
    place: str,
    lines: Mapping[Keys, int],
    from_set: Mapping[Keys, str],
) -> tuple[float, str]:
    """Return (line for sorting, place) of a mistake: its key or the nearest key above it."""
    for at, path in from_set.items():
        if keys[: len(at)] == at:
            return math.inf, f"--set {path}"
    for size in range(len(keys), 0, -1):
        if keys[:size] in lines:
            return lines[keys[:size]], f"{place}:{lines[keys[:size]]}"
    return 0.0, f"{place}:{lines[()]}" if () in lines else place


def _sentence(mistake: Mistake, data: Any) -> str:
    keys, text = mistake
    if keys == ("traffic",) and text.startswith(MISSING):
        text = NO_LOAD
    value = data
    for key in keys:
        within = (isinstance(value, Mapping) and key in value) or (
            isinstance(value, (list, tuple)) and isinstance(key, int) and key < len(value)
        )
        if not within:
            return f"{dotted(keys)}: {text}" if keys else text
        value = value[key]
    shown = _shown(value)
    return f"{dotted(keys)}{' = ' + shown if shown else ''}: {text}"


def _shown(value: Any) -> str:
    """Return a value on one line of at most 60 signs; nothing for mappings and long lists."""
    if isinstance(value, Mapping):
        return ""
    if isinstance(value, (list, tuple)):
        text = json.dumps(list(value), default=str, ensure_ascii=False)
        return text if len(text) <= 60 else ""
    if isinstance(value, (bool, type(None))):
        return json.dumps(value)
    text = " ".join(str(value).split())
    if not text or not text.isprintable():
        text = json.dumps(str(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _copied(data: Any) -> Any:
    if isinstance(data, Mapping):
        return {str(key): _copied(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_copied(item) for item in data]
    return data
