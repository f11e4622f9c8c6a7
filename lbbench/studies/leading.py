"""Which variant is the best under the same traffic, and which of the others it is told apart from.

The best one is picked by looking at the figures, so a plain test of it against another would find
too much. Each p-value is therefore multiplied by the number of all pairs that could have been
picked (Bonferroni): at the 5 % level, one study in twenty says something false here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lbbench.stats.latency import QUANTILES
from lbbench.stats.pairs import Difference

CHANCE = 0.05
DEFAULT = "p99"


@dataclass(frozen=True)
class Lead:
    """The variant with the lowest value of a figure.

    Attributes
    ----------
    figure
        ``mean`` or a percentile.
    name, value
        The variant and its value, in seconds.
    rivals
        Every other variant that has a value, the closest first: how it differs from the best.
    told_apart
        By name of the rival: whether that survives the correction for all pairs.
    """

    figure: str
    name: str
    value: float
    rivals: Mapping[str, Difference]
    told_apart: Mapping[str, bool]

    @property
    def tied(self) -> list[str]:
        """The rivals that cannot be told apart from the best."""
        return [name for name in self.rivals if not self.told_apart[name]]

    def to_dict(self) -> dict[str, Any]:
        """Return the lead as plain data."""
        return {
            "metric": f"latency.{self.figure}",
            "value": self.name,
            "estimate": self.value,
            "rivals": [
                {
                    "value": name,
                    "estimate": item.b,
                    "ratio": item.ratio,
                    "ratio_ci95": item.ratio_ci95,
                    "p_value": item.p_value,
                    "told_apart": self.told_apart[name],
                }
                for name, item in self.rivals.items()
            ],
        }


def lead(
    values: Mapping[str, float | None], figure: str, pair: Callable[[str, str, str], Difference]
) -> Lead | None:
    """Return the variant with the lowest value, None when fewer than two have one.

    ``pair(a, b, figure)`` gives how ``b`` differs from ``a``.
    """
    known = sorted((value, name) for name, value in values.items() if value is not None)
    if len(known) < 2:
        return None
    (value, name), *others = known
    rivals = {other: pair(name, other, figure) for _, other in others}
    pairs = len(known) * (len(known) - 1) / 2
    told = {
        other: item.p_value is not None and item.p_value * pairs < CHANCE
        for other, item in rivals.items()
    }
    return Lead(figure, name, value, rivals, told)


def headline_of(scenario: Mapping[str, Any]) -> str:
    """Return the figure by which variants of a resolved scenario are ranked.

    That of `run.precision`, else of the first objective on latency, else p99.
    """
    precision = (scenario.get("run") or {}).get("precision") or {}
    for metric in (precision.get("metric", ""), *(scenario.get("slo") or {})):
        figure = metric.removeprefix("latency.")
        if metric.startswith("latency.") and figure in ("mean", *QUANTILES):
            return figure
    return DEFAULT
