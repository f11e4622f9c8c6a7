"""How variants differ under the same traffic: paired differences, Holm's correction, words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from lbbench.model.label import label_of
from lbbench.stats.intervals import estimate
from lbbench.stats.latency import Counted
from lbbench.stats.pairs import Difference, Side, holm, paired, paired_sides, side_of
from lbbench.studies.leading import DEFAULT, Lead, lead

FIGURES = ("mean", "p50", "p99")
SAID = ("mean", "p99", "error_rate")
CHANCE = 0.05


@dataclass(frozen=True)
class Differences:
    """The figures of several variants against those of the first.

    Attributes
    ----------
    base
        Name of the first variant.
    items
        By name of each other variant: every compared figure.
    told_apart
        By name and figure: whether the difference survives Holm's correction over all of them.
    leads
        By figure, the headline's first, then the mean: the variant with the lowest value, and whom
        it leads. Figures that fewer than two variants have are left out.
    """

    base: str
    items: Mapping[str, tuple[Difference, ...]]
    told_apart: Mapping[str, Mapping[str, bool]]
    leads: Mapping[str, Lead] = field(default_factory=dict)

    @property
    def lead(self) -> Lead | None:
        """Who leads in the headline's figure."""
        return next(iter(self.leads.values()), None)

    def sentences(self) -> list[str]:
        """Return the differences in words."""
        return [
            _sentence(self.base, name, item, told_apart=self.told_apart[name][item.metric])
            for name, items in self.items.items()
            for item in items
            if item.metric in SAID
        ]

    def to_list(self) -> list[dict[str, Any]]:
        """Return the differences as plain data, one entry per variant and figure."""
        return [
            {
                "value": name,
                "against": self.base,
                "metric": metric_of(item.metric),
                "a": item.a,
                "b": item.b,
                "difference": item.difference,
                "difference_ci95": item.difference_ci95,
                "ratio": item.ratio,
                "ratio_ci95": item.ratio_ci95,
                "p_value": item.p_value,
                "told_apart": self.told_apart[name][item.metric],
                "from": item.source,
            }
            for name, items in self.items.items()
            for item in items
        ]


def differences(
    runs: Mapping[str, Mapping[int, Counted]], first: int, *, headline: str = DEFAULT
) -> Differences:
    """Return how every variant but the first differs from the first, and which one leads.

    Parameters
    ----------
    runs
        The counts of each variant by replication: those of one number met the same requests. A pair
        is compared on the numbers that both have.
    first
        Segments that are warm-up, the same for all.
    headline
        Figure that says which variant leads: ``mean`` or a percentile.
    """
    has_failed = any(int(run.failed.sum()) for found in runs.values() for run in found.values())
    figures = (*FIGURES, "error_rate") if has_failed else FIGURES
    base, *others = runs

    @cache
    def side(name: str, numbers: tuple[int, ...]) -> Side:
        return side_of([runs[name][number] for number in numbers], first)

    @cache
    def pair(a: str, b: str, figure: str) -> Difference:
        common = tuple(sorted(set(runs[a]) & set(runs[b])))
        if len(common) > 1:
            return paired_sides(side(a, common), side(b, common), figure)
        if common:
            left, right = ([runs[name][common[0]]] for name in (a, b))
            return paired(left, right, figure, first=first)
        return nothing(figure)

    items = {name: tuple(pair(base, name, figure) for figure in figures) for name in others}
    leads = {}
    for figure in dict.fromkeys((headline, "mean")):
        values = {
            name: estimate(side(name, tuple(sorted(found))).units, figure) if found else None
            for name, found in runs.items()
        }
        leader = lead(values, figure, pair)
        if leader is not None:
            leads[figure] = leader
    return Differences(base, items, _told_apart(items), leads)


def metric_of(figure: str) -> str:
    """Return the name that objectives use for a figure: ``latency.p99``."""
    return figure if figure == "error_rate" else f"latency.{figure}"


def nothing(figure: str) -> Difference:
    """Return the difference of two variants that have no replication in common."""
    return Difference(figure, None, None, None, None, None, None, None, 0, "replications")


def _told_apart(items: Mapping[str, Sequence[Difference]]) -> dict[str, dict[str, bool]]:
    pairs = [(name, item) for name, found in items.items() for item in found]
    corrected = holm([1.0 if item.p_value is None else item.p_value for _, item in pairs])
    told: dict[str, dict[str, bool]] = {name: {} for name in items}
    for (name, item), p in zip(pairs, corrected, strict=True):
        told[name][item.metric] = item.p_value is not None and p < CHANCE
    return told


def _sentence(base: str, name: str, item: Difference, *, told_apart: bool) -> str:
    name, base = label_of(name), label_of(base)
    figure = item.metric.replace("_", " ")
    if item.difference_ci95 is None:
        few = "requests" if item.source == "batches" or item.units > 1 else "common replications"
        return f"{name} {figure} and {base}: too few {few} to tell them apart"
    if not told_apart:
        return f"{name} {figure} and {base} cannot be told apart"
    if item.ratio is None or item.ratio_ci95 is None:
        low, high = item.difference_ci95
        scale, unit = (100.0, "%") if item.metric == "error_rate" else (1e3, "ms")
        return (
            f"{name} {figure} {scale * (item.difference or 0.0):+.3g} {unit} against {base}, "
            f"95 % {scale * low:.3g}-{scale * high:.3g}"
        )
    low, high = item.ratio_ci95
    digits = _decimals(high - low)
    return (
        f"{name} {figure} {item.ratio:.{digits}f}x {base}, 95 % {low:.{digits}f}-{high:.{digits}f}"
    )


def _decimals(width: float) -> int:
    """Return the decimals that an interval of ``width`` carries: one digit of it, two at most."""
    return 0 if width >= 10.0 else 1 if width >= 0.2 else 2 if width >= 0.02 else 3
