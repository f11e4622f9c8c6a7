"""Where units were placed: counts by target, in groups that each stand for one experiment.

Reports tell of a handful of connections, clients or sessions. One long run holds thousands of such
handfuls: successive units are placed independently of each other, so every group of ``size`` of
them, in order of appearance, is one repetition of the report.
"""

from __future__ import annotations

import numpy as np

from lbbench.errors import RunError
from lbbench.verify.ran import Ran, Requests


def counts(run: Ran, *, unit: str, on: str, size: int | None = None) -> np.ndarray:
    """Return how many units of each group were placed on each target, int64[groups, targets].

    Parameters
    ----------
    run
        A finished run; groups of all its replications stand below each other.
    unit
        What is placed: see `Requests.units`.
    on
        ``pod``, ``node``, ``replica`` or ``worker``: where its first request went.
    size
        Units per group; the last ones that fill no group are left out. None: one group.

    Raises
    ------
    RunError
        When there are fewer units than a group needs.
    """
    return np.concatenate([_counts(requests, unit, on, size) for requests in run.tables()])


def _counts(requests: Requests, unit: str, on: str, size: int | None) -> np.ndarray:
    places = first_places(requests, unit, on)
    size = len(places) if size is None else size
    groups = len(places) // size if size else 0
    if groups == 0:
        raise RunError(
            f"{requests.scenario.name}: {len(places)} of {unit} were placed, fewer than the group "
            f"of {size} that the check needs; run longer"
        )
    places = places[: groups * size]
    targets = requests.targets(on)
    flat = np.arange(groups * size) // size * targets + places
    return np.bincount(flat, minlength=groups * targets).reshape(groups, targets)


def first_places(requests: Requests, unit: str, on: str) -> np.ndarray:
    """Return the target of each unit's first request, int64[units], in order of appearance."""
    units, places = requests.units(unit), requests[on]
    known = np.flatnonzero((units >= 0) & (places >= 0))
    if unit == "request":
        return places[known]
    first = known[np.sort(np.unique(units[known], return_index=True)[1])]
    return places[first]
