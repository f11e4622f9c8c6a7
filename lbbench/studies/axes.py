"""The axes of a study: how many points they have, the points one by one, and their mistakes."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

from lbbench.errors import LbbenchError, ScenarioError
from lbbench.model.mistakes import Mistake
from lbbench.model.objectives import Sweep
from lbbench.model.paths import Keys, split_path
from lbbench.model.places import as_shown, told
from lbbench.model.ranges import Levels, Range, level, n_levels
from lbbench.model.scenario import Scenario
from lbbench.model.study import Point
from lbbench.model.varied import Tried, tried_alone

MAX_POINTS = 1_000_000
"""Most points of a grid that nobody has said yes to."""

_UNIT_BITS = 53

_BARRED: Mapping[Keys, str] = {
    ("sweep",): "is the sweep itself; name a leaf of the rest of the scenario",
    ("run",): "holds the seed and the replications too; name the key below it, run.duration",
    ("run", "seed"): "is the same for all points, so that they are compared on the same traffic; "
    "set run.seed for another study, run.replications for more draws",
    ("run", "replications"): "is how often every point is run; set it under run",
    ("run", "precision"): "decides how often every point is run; set it under run",
    ("name",): "is a label that no result depends on; name another leaf",
    ("schema",): "is the version of the file; name another leaf",
    ("observed",): "is what results are compared with, and changes none; name another leaf",
}
"""Leaves that no axis can have, with what to do instead; those below them too, but for `run`."""

_STAGES: Mapping[str, str] = {
    "stages.azure_lb.balancer": "azure_stage",
    "stages.kube_proxy.mode": "node_stage",
    "stages.ingress.balancer": "ingress_stage",
}
"""Leaves whose words only the engines know, by the function of engines/stages.py that looks."""


class _Dimension(NamedTuple):
    """Leaves that go forward together: one axis, or all of ``zip``."""

    paths: tuple[str, ...]
    levels: tuple[Levels, ...]

    @property
    def size(self) -> int | None:
        """The number of places on it; None when it is drawn from a range."""
        return n_levels(self.levels[0])

    def at(self, place: int) -> list[tuple[str, Any]]:
        """Return the leaves with their values at a place."""
        pairs = zip(self.paths, self.levels, strict=True)
        return [(path, level(levels, place)) for path, levels in pairs]

    def drawn(self, seed: int, number: int) -> list[tuple[str, Any]]:
        """Return the leaves with the values that point ``number`` draws."""
        bits = _draw(seed, self.paths[0], number)
        only = self.levels[0]
        if isinstance(only, Range) and only.size is None:
            return [(self.paths[0], only.draw(Fraction(bits >> (256 - _UNIT_BITS), 2**_UNIT_BITS)))]
        return self.at(bits % (self.size or 1))


class _Known(NamedTuple):
    """A value that was tried; two that mean the same make the same scenario."""

    keys: Keys
    value: Any
    meaning: str


def n_points(sweep: Sweep) -> int:
    """Return the number of points: of the whole grid, or of those drawn from it."""
    total = _n_grid(_dimensions(sweep))
    if total is None:
        return sweep.random or 0
    return total if sweep.random is None else min(total, sweep.random)


def points(sweep: Sweep, seed: int) -> Iterator[Point]:
    """Yield the points, one by one; the grid is never held.

    Of a grid all points come, the last axis fastest, `zip` behind the axes. With `random` they are
    drawn from ``seed``: without repetition and all equally likely where every axis has its values
    one by one, else each axis by itself. More of them keep the earlier ones.
    """
    dimensions = _dimensions(sweep)
    total = _n_grid(dimensions)
    if total is None:
        for number in range(sweep.random or 0):
            drawn = (pair for each in dimensions for pair in each.drawn(seed, number))
            yield Point(number, dict(drawn))
        return
    several = sweep.random is not None and sweep.random < total
    places = _different(total, sweep.random or 0, seed) if several else iter(range(total))
    for number, place in enumerate(places):
        yield Point(number, _at(dimensions, place))


def check_axes(scenario: Scenario, *, yes: bool = False) -> Sweep:
    """Return the sweep of ``scenario``, or refuse it before anything runs.

    Parameters
    ----------
    yes
        Whether a grid of more than `MAX_POINTS` points is meant.

    Raises
    ------
    ScenarioError
        When there is no sweep, an axis is of no use, a value is wrong or given twice, or there are
        too many points; at most 12 lines ``FILE:LINE: sweep.axes...: what is wrong; what to do``.
    """
    sweep = scenario.sweep
    if sweep is None:
        raise ScenarioError(
            f"{scenario.place_of()}: sweep: is missing; write for instance sweep: {Sweep.SHORT}"
        )
    found = [*_barred(sweep), *_overwritten(sweep), *_too_many(sweep, yes=yes)]
    if not found:
        found = list(_wrong_values(scenario, sweep))
    if found:
        raise ScenarioError(told(found, scenario.written, scenario.origin))
    return sweep


# --- points -------------------------------------------------------------------------------------


def _dimensions(sweep: Sweep) -> list[_Dimension]:
    made = [_Dimension((path,), (levels,)) for path, levels in sweep.axes.items()]
    if sweep.zip:
        made.append(_Dimension(tuple(sweep.zip), tuple(sweep.zip.values())))
    return made


def _n_grid(dimensions: Sequence[_Dimension]) -> int | None:
    """Return the number of points of the grid; None when an axis is drawn from a range."""
    total = 1
    for dimension in dimensions:
        if dimension.size is None:
            return None
        total *= dimension.size
    return total


def _at(dimensions: Sequence[_Dimension], place: int) -> dict[str, Any]:
    """Return the values at a place of the grid, counted with the last dimension fastest."""
    pairs: list[list[tuple[str, Any]]] = []
    for dimension in reversed(dimensions):
        place, at = divmod(place, dimension.size or 1)
        pairs.append(dimension.at(at))
    return {path: value for entries in reversed(pairs) for path, value in entries}


def _different(total: int, count: int, seed: int) -> Iterator[int]:
    """Yield ``count`` different places of ``total``, every order of them equally likely.

    Shuffles as Fisher and Yates do, with only what has been moved in memory.
    """
    moved: dict[int, int] = {}
    for i in range(count):
        j = i + _draw(seed, "", i) % (total - i)
        yield moved.get(j, j)
        moved[j] = moved.pop(i, i)


def _draw(seed: int, name: str, number: int) -> int:
    """Return 256 random bits of a point's axis."""
    text = f"{seed}\x00sweep\x00{name}\x00{number}"
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "little")


# --- mistakes -----------------------------------------------------------------------------------


def _key(sweep: Sweep, path: str) -> Keys:
    return ("sweep", "zip" if path in sweep.zip else "axes", path)


def _barred(sweep: Sweep) -> Iterator[Mistake]:
    """Yield the axes that no study can have."""
    for path in sweep.leaves():
        keys = split_path(path)
        if keys in _BARRED:
            yield Mistake(_key(sweep, path), _BARRED[keys])
            continue
        for size in range(len(keys) - 1, 0, -1):
            if keys[:size] in _BARRED and keys[:size] != ("run",):
                yield Mistake(_key(sweep, path), _BARRED[keys[:size]])


def _overwritten(sweep: Sweep) -> Iterator[Mistake]:
    """Yield the axes whose values a later axis replaces."""
    leaves = [(path, split_path(path)) for path in sweep.leaves()]
    for i, (path, keys) in enumerate(leaves):
        for other, above in leaves[i + 1 :]:
            if keys == above:
                yield Mistake(_key(sweep, path), f"is the same leaf as {other}; keep one of them")
            elif keys[: len(above)] == above:
                yield Mistake(
                    _key(sweep, path), f"is replaced by {other}, which comes later; write it behind"
                )


def _too_many(sweep: Sweep, *, yes: bool) -> Iterator[Mistake]:
    count = n_points(sweep)
    if count > MAX_POINTS and not yes:
        yield Mistake(
            ("sweep",),
            f"has {count:,} points, more than {MAX_POINTS:,}; give --yes if they are meant, fewer "
            "values, or random: 1000 to draw so many of them",
        )


def _wrong_values(scenario: Scenario, sweep: Sweep) -> Iterator[Mistake]:
    """Yield what is wrong with the values, each tried alone, and those that are there twice."""
    known: dict[str, list[_Known]] = {path: [] for path in sweep.leaves()}
    for each in tried_alone(sweep, scenario.written):
        yield from each.mistakes
        look = _STAGES.get(each.path)
        if look and each.scenario is not None:
            text = _stage_mistake(each.scenario.in_folder(scenario.folder), each.path, look)
            if text:
                yield Mistake(each.keys, text)
        if not isinstance(sweep.leaves()[each.path], Range):  # those of a range are different
            known[each.path].append(_Known(each.keys, each.value, _meaning(each)))
    for path in sweep.axes:
        yield from _repeated(known[path])
    zipped = [known[path] for path in sweep.zip]
    if zipped and all(zipped):
        rows = [
            _Known(row[0].keys, row[0].value, json.dumps([each.meaning for each in row]))
            for row in zip(*zipped, strict=False)
        ]
        yield from _repeated(rows, row=len(zipped) > 1)


def _stage_mistake(scenario: Scenario, path: str, look: str) -> str | None:
    """Return what the engines have against the word at ``path`` itself, if anything."""
    from lbbench.engines import stages

    try:
        getattr(stages, look)(scenario)
    except LbbenchError as error:
        start, _, text = str(error).partition(f"{path} = ")
        if start == f"{scenario.name}: ":
            return text.partition(": ")[2]
    except Exception:  # noqa: BLE001  (raised by a balancer of somebody's own: its point will fail)
        return None
    return None


def _repeated(values: Sequence[_Known], *, row: bool = False) -> Iterator[Mistake]:
    seen: dict[str, int] = {}
    for i, each in enumerate(values):
        first = seen.setdefault(each.meaning, i)
        if first == i:
            continue
        if row:
            text = f"is a row that [{first}] has already; keep one of them"
        elif values[first].value == each.value:
            text = f"is given twice, at [{first}] too; keep one of them"
        else:
            text = f"means the same as {as_shown(values[first].value)} at [{first}]; keep one"
        yield Mistake(each.keys, text)


def _meaning(tried: Tried) -> str:
    """Return a text that two values share when they are one: the scenario that they make."""
    if tried.scenario is None or tried.value is None:  # null is a default that may depend on others
        value = tried.value
        plain = int(value) if isinstance(value, float) and value == math.floor(value) else value
        return json.dumps(plain, sort_keys=True)
    return json.dumps(tried.scenario.resolved(), sort_keys=True)
