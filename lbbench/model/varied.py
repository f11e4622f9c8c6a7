"""The values of a sweep, each tried on the scenario that it varies."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from pydantic import ValidationError

from lbbench.errors import ScenarioError
from lbbench.model.fields import copied
from lbbench.model.mistakes import Mistake, mistakes_of
from lbbench.model.objectives import Sweep
from lbbench.model.paths import drop_rivals, set_leaf
from lbbench.model.places import MAX_LINES, Keys, as_shown
from lbbench.model.presets import with_preset
from lbbench.model.ranges import Levels, Range, level, n_levels
from lbbench.model.scenario import Scenario

MAX_OF_RANGE = 10_000
"""Values of a range that are tried; what holds for them and for its end holds between, too."""

PARTNERS = 200
"""Values of other leaves that are tried beside one that is wrong alone."""


class Tried(NamedTuple):
    """One value of a leaf, and the scenario that has it."""

    path: str
    keys: Keys  # of the value in the sweep
    value: Any
    scenario: Scenario | None  # None when it does not fit, or was not tried
    mistakes: tuple[Mistake, ...]


def tried_alone(
    sweep: Sweep, data: Mapping[str, Any], *, most: int | None = None
) -> Iterator[Tried]:
    """Yield every value of a sweep, set alone in the plain ``data`` of its scenario.

    What a value breaks at another leaf is no mistake of it: another axis may mend that. Nor is one
    that fits together with a value of another leaf. Of a range that is drawn from, the ends are
    tried, of another one the first `MAX_OF_RANGE` values and the last. A leaf with `MAX_LINES`
    wrong values is left.

    Parameters
    ----------
    most
        Values to try at most, all leaves together; the paths of all leaves are looked at still.
    """
    base = {key: value for key, value in data.items() if key != "sweep"}
    tried = 0
    for path, levels in sweep.leaves().items():
        wrong = 0
        for keys, value in _values(sweep, path, levels):
            skipped = most is not None and tried >= most
            found = _try(base, {path: value}, keys, only_path=skipped)
            if found.mistakes and found.scenario is None and not _is_path(found, sweep, path):
                found = _mended(found, sweep, base)
            yield found
            tried += 1
            wrong += bool(found.mistakes)
            if skipped or wrong >= MAX_LINES or _is_path(found, sweep, path):
                break


def _is_path(found: Tried, sweep: Sweep, path: str) -> bool:
    """Tell whether it is the path of the leaf that is wrong, whatever the value."""
    return any(mistake.keys == _axis(sweep, path) for mistake in found.mistakes)


def _axis(sweep: Sweep, path: str) -> Keys:
    return ("sweep", "zip" if path in sweep.zip else "axes", path)


def _values(sweep: Sweep, path: str, levels: Levels) -> Iterator[tuple[Keys, Any]]:
    """Yield the keys and the value of each level; those of a drawn range are its ends."""
    at = _axis(sweep, path)
    if not isinstance(levels, Range):
        yield from (((*at, i), value) for i, value in enumerate(levels))
        return
    if levels.is_sampled:
        yield from zip(((*at, "from"), (*at, "to")), levels.ends(), strict=True)
        return
    size = levels.size or 0
    last = levels.ends()[1]
    for i in (*range(min(size, MAX_OF_RANGE)), *range(max(MAX_OF_RANGE, size - 1), size)):
        value = level(levels, i)
        end = "from" if i == 0 else "to" if value == last else "values"
        yield (*at, end), value


def _try(
    base: Mapping[str, Any], values: Mapping[str, Any], keys: Keys, *, only_path: bool = False
) -> Tried:
    """Set ``values`` in the plain data ``base``; the first of them stands at ``keys``."""
    path, value = next(iter(values.items()))
    point = copied(base)
    try:
        set_ = [set_leaf(point, each, copied(entry)) for each, entry in values.items()]
    except ScenarioError as error:
        text = str(error).partition(": ")[2]
        return Tried(path, keys, value, None, (Mistake(keys[:3], text),))
    if only_path:
        return Tried(path, keys, value, None, ())
    drop_rivals(point, set_)
    try:
        return Tried(path, keys, value, Scenario.model_validate(with_preset(point)), ())
    except ValidationError as error:
        own = set_[0]
        mistakes = [
            _at_value(keys, value, mistake, mistake.keys[len(own) :])
            for mistake in mistakes_of(error)
            if mistake.keys[: len(own)] == own
        ]
        return Tried(path, keys, value, None, tuple(mistakes))


def _at_value(keys: Keys, value: Any, mistake: Mistake, inner: Keys) -> Mistake:
    """Return a mistake in the scenario as one of the sweep."""
    if keys[-1] == "values":  # between the ends of a range
        return Mistake((*keys[:-1],), f"gives {as_shown(value)}: {mistake.text}")
    return Mistake((*keys, *inner), mistake.text)


def _mended(found: Tried, sweep: Sweep, base: Mapping[str, Any]) -> Tried:
    """Return ``found`` without mistakes if the value fits beside some value of the other leaves."""
    for partners in islice(_partners(found, sweep), PARTNERS):
        beside = _try(base, {found.path: found.value, **partners}, found.keys)
        if not beside.mistakes:
            return found._replace(mistakes=())
    return found


def _partners(found: Tried, sweep: Sweep) -> Iterator[dict[str, Any]]:
    """Yield what stands beside a value: its row of ``zip``, then values of one other axis each."""
    row: dict[str, Any] = {}
    if found.path in sweep.zip and isinstance(found.keys[3], int):
        others = {path: levels for path, levels in sweep.zip.items() if path != found.path}
        row = {path: level(levels, found.keys[3]) for path, levels in others.items()}
        if row:
            yield row
    for path, levels in sweep.axes.items():
        if path != found.path:
            if n_levels(levels) is None and isinstance(levels, Range):
                yield from ({**row, path: end} for end in levels.ends())
            else:
                size = n_levels(levels) or 0
                yield from ({**row, path: level(levels, i)} for i in range(min(size, PARTNERS)))
