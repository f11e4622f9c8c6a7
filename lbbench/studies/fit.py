"""Is an imbalance chance, and if not, what made it: the logic of ``lbbench fit``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from lbbench.errors import InputError, LbbenchError
from lbbench.stats.fit import Chance, Design, design_by_cluster, design_of, judge
from lbbench.studies.fit_causes import Cause, causes
from lbbench.studies.fit_expected import expected_shares
from lbbench.studies.fit_observed import Observed, read_observed
from lbbench.studies.run import Progress

SCHEMA = "lbbench.fit/1"
STAGES = ("azure_lb", "kube_proxy", "reuse_port", "ingress")
LEVEL = 0.01
"""Chance that even counts are called uneven (all groups of an input together)."""

ROTATES = "ingress"
"""The stage whose balancer may take turns: there, too even is no fault."""

BIG = 10**15

Verdict = Literal["chance", "uneven", "too even"]


@dataclass(frozen=True)
class GroupFit:
    """The verdict on one group of counts."""

    group: str
    place: str
    unit: str
    stage: str | None
    names: tuple[str, ...]
    counts: np.ndarray  # int64[n]
    expected: np.ndarray  # float64[n], shares that sum to 1
    chance: Chance
    verdict: Verdict
    rejected: bool
    causes: tuple[Cause, ...]
    notes: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the verdict as plain data."""
        found = self.chance
        design = found.design
        return {
            "group": self.group,
            "place": self.place,
            "unit": self.unit,
            "stage": self.stage,
            "verdict": self.verdict,
            "rejected": self.rejected,
            "total": found.total,
            "targets": [
                {"name": name, "count": int(n), "share": int(n) / found.total, "expected_share": e}
                for name, n, e in zip(self.names, self.counts, self.expected.tolist(), strict=True)
            ],
            "chi2": found.chi2,
            "g": found.g,
            "df": found.df,
            "p_value": found.p_high,
            "p_value_low": found.p_low,
            "p_value_corrected": found.p_corrected,
            "p_values_from": found.how,
            "design_effect": None if design is None else design.effect,
            "clusters": None if design is None else design.clusters,
            "sticking": None if design is None else design.sticking,
            "effective": found.effective,
            "max_over_mean": found.max_over_mean,
            "cov": found.cov,
            "jain": found.jain,
            "causes": [
                {
                    "name": item.name,
                    "weight": item.weight,
                    "sentence": item.sentence,
                    "cases": list(item.cases),
                }
                for item in self.causes
            ],
            "notes": list(self.notes),
        }


@dataclass(frozen=True)
class FitReport:
    """The verdicts on all groups of an input."""

    path: str
    level: float
    groups: tuple[GroupFit, ...]

    @property
    def rejected(self) -> bool:
        """Whether chance is rejected for any group."""
        return any(group.rejected for group in self.groups)

    def to_dict(self) -> dict[str, Any]:
        """Return the report as plain data."""
        return {
            "schema": SCHEMA,
            "path": self.path,
            "level": self.level,
            "rejected": self.rejected,
            "groups": [group.to_dict() for group in self.groups],
        }


def fit(
    path: str,
    *,
    kind: str | None = None,
    group: str | None = None,
    stage: str | None = None,
    expected: str | None = None,
    targets: int | None = None,
    connections: str | None = None,
    level: float = LEVEL,
    progress: Progress | None = None,
) -> FitReport:
    """Return the verdict on what was counted in ``path``.

    Parameters
    ----------
    kind, group
        See `lbbench.studies.fit_observed.read_observed`.
    stage
        One of `STAGES`; None is the usual one of the kind, and unknown for counts.
    expected, targets
        See `lbbench.studies.fit_expected.expected_shares`.
    connections
        How many connections carried the counts (each to one target), ``client``: each client of
        the input is a cluster (the default where clients are known), ``none``: every count was
        drawn for itself.
    level
        Chance of a false alarm, for all groups together.

    Raises
    ------
    LbbenchError
        When the input cannot be read or used, or an option does not belong to it.
    """
    if stage is not None and stage not in STAGES:
        raise LbbenchError(f"--stage {stage}: is none of {', '.join(STAGES)}")
    if not 0.0 < level < 1.0:
        raise LbbenchError(f"--level {level}: must be above 0 and below 1, such as 0.01")
    observed = read_observed(path, kind=kind, group=group, progress=progress)
    found = [
        _group(item, stage, expected, targets, connections, level / len(observed))
        for item in observed
    ]
    return FitReport(path, level, tuple(found))


def _group(
    observed: Observed,
    stage: str | None,
    expected: str | None,
    targets: int | None,
    connections: str | None,
    level: float,
) -> GroupFit:
    table, shares, notes = expected_shares(expected, observed.counts, targets)
    where = f"{observed.place}{f' ({observed.group})' if observed.group else ''}"
    counts = np.array(list(table.values()), np.int64)
    if len(table) < 2:
        raise InputError(
            f"{where}: one target only, {next(iter(table), 'none')}: nothing to compare; give the "
            "number of all with --targets if others got nothing"
        )
    if not 0 < int(counts.sum()) <= BIG:
        raise InputError(f"{where}: {counts.sum()} counted in all: nothing to compare")
    wanted = np.array(list(shares.values()), np.float64)
    design = _design(observed, list(table), wanted, connections, int(counts.sum()))
    chance = judge(counts, wanted, design=design)
    place = stage or observed.stage
    verdict = _verdict(chance, level)
    found = (
        ()
        if verdict == "chance"
        else causes(counts, wanted, list(table), stage=place, design=design,
                    even=verdict == "too even", refused=observed.refused)
    )  # fmt: skip
    return GroupFit(
        group=observed.group,
        place=observed.place,
        unit=observed.unit,
        stage=place,
        names=tuple(table),
        counts=counts,
        expected=wanted,
        chance=chance,
        verdict=verdict,
        rejected=verdict == "uneven" or (verdict == "too even" and place != ROTATES),
        causes=tuple(found),
        notes=(*observed.notes, *notes),
    )


def _verdict(chance: Chance, level: float) -> Verdict:
    """Reject at half the level in each tail."""
    if chance.p_corrected < level / 2:
        return "uneven"
    return "too even" if chance.p_low < level / 2 else "chance"


def _design(
    observed: Observed,
    names: list[str],
    expected: np.ndarray,
    connections: str | None,
    total: int,
) -> Design | None:
    """Return how the requests stick together, None when each was drawn for itself."""
    if connections == "none":
        return None
    if connections not in {None, "client"}:
        number = int(connections or "") if (connections or "").isdecimal() else 0
        if not 0 < number <= total:
            raise LbbenchError(
                f"--connections {connections}: must be client, none, or a number from 1 to the "
                f"{total} counted"
            )
        return design_of(total, number)
    if observed.pairs is None or not len(observed.pairs.hits):
        if connections == "client":
            raise LbbenchError(
                f"--connections client: {observed.place} names no clients; give their number"
            )
        return None
    at = {name: i for i, name in enumerate(names)}
    old = np.array([at.get(name, -1) for name in observed.counts], np.int64)
    if (old < 0).any():  # an address without its port in the rules: the order is the same
        old = np.arange(len(observed.counts))
    pairs = observed.pairs
    return design_by_cluster(pairs.client, old[pairs.target], pairs.hits, expected)
