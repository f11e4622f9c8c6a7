"""The same traffic through several variants: paired differences, with intervals and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lbbench.errors import RunError
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.stats.intervals import Difference, holm, paired, settle
from lbbench.studies.run import Engine, Progress, Replications, replicate, sum_up

SCHEMA = "lbbench.compare/1"
COMPARED = ("mean", "p50", "p99")
BALANCER = "stages.ingress.balancer"
CHANCE = 0.05


@dataclass(frozen=True)
class Comparison:
    """Variants of one scenario under common random numbers.

    Attributes
    ----------
    leaf
        Dotted path of the leaf that varies.
    results
        Result by the leaf's value, in the order given; all with the same warm-up.
    differences
        By value (the first one left out): every compared metric against the first value.
    told_apart
        By value and metric: whether the difference survives Holm's correction over all of them.
    sentences
        The differences in words.
    """

    leaf: str
    results: Mapping[str, Result]
    differences: Mapping[str, tuple[Difference, ...]]
    told_apart: Mapping[str, Mapping[str, bool]]
    sentences: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data (schema lbbench.compare/1)."""
        return {
            "schema": SCHEMA,
            "leaf": self.leaf,
            "sentences": list(self.sentences),
            "differences": [
                {
                    "value": value,
                    "against": next(iter(self.results)),
                    "metric": f"latency.{item.metric}",
                    "difference_s": item.difference,
                    "difference_ci95_s": item.difference_ci95,
                    "ratio": item.ratio,
                    "ratio_ci95": item.ratio_ci95,
                    "p_value": item.p_value,
                    "told_apart": self.told_apart[value][item.metric],
                }
                for value, items in self.differences.items()
                for item in items
            ],
            "results": {value: result.to_dict() for value, result in self.results.items()},
        }


def compare(
    scenario: Scenario,
    values: Sequence[Any],
    *,
    leaf: str = BALANCER,
    engine: Engine = "fast",
    progress: Progress | None = None,
    startup_s: float | None = None,
) -> Comparison:
    """Run ``scenario`` once per value of ``leaf`` on the same traffic and compare with the first.

    All variants use the largest warm-up that any of them needs.

    Raises
    ------
    LbbenchError
        When a variant is not valid or cannot be run, before any has been run where possible.
    """
    if len(values) < 2:
        raise RunError(f"a comparison needs at least two values of {leaf}; {len(values)} given")
    variants = {str(value): scenario.with_({leaf: value}) for value in values}
    if len(variants) < len(values):
        raise RunError(f"a value of {leaf} is given twice; name each one once")
    runs: dict[str, Replications] = {}
    for name, variant in variants.items():
        runs[name] = replicate(variant, engine=engine, progress=_named(progress, name))
    first = max(_warmup(run) for run in runs.values())
    results = {
        name: sum_up(
            variants[name], run, engine=engine, startup_s=startup_s, warmup_segments=first
        )
        for name, run in runs.items()
    }
    base, *others = runs
    differences = {
        name: tuple(_difference(runs[base], runs[name], metric, first) for metric in COMPARED)
        for name in others
    }
    told = _told_apart(differences)
    return Comparison(
        leaf=leaf,
        results=results,
        differences=differences,
        told_apart=told,
        sentences=tuple(_sentences(base, differences, told)),
    )


def _warmup(run: Replications) -> int:
    shape = run.outcomes[0].shape
    if shape.warmup_segments >= 0:
        return shape.warmup_segments
    return settle([outcome.tally for outcome in run.outcomes])


def _difference(a: Replications, b: Replications, metric: str, first: int) -> Difference:
    left = [outcome.tally for outcome in a.outcomes]
    right = [outcome.tally for outcome in b.outcomes]
    return paired(left, right, metric, first=first)


def _told_apart(
    differences: Mapping[str, Sequence[Difference]],
) -> dict[str, dict[str, bool]]:
    """Return by value and metric whether Holm's correction over all pairs leaves a difference."""
    pairs = [(name, item) for name, items in differences.items() for item in items]
    corrected = holm([1.0 if item.p_value is None else item.p_value for _, item in pairs])
    told: dict[str, dict[str, bool]] = {name: {} for name in differences}
    for (name, item), p in zip(pairs, corrected, strict=True):
        told[name][item.metric] = item.p_value is not None and p < CHANCE
    return told


def _sentences(
    base: str,
    differences: Mapping[str, Sequence[Difference]],
    told: Mapping[str, Mapping[str, bool]],
) -> list[str]:
    made = []
    for name, items in differences.items():
        for item in items:
            if item.metric == "p50":
                continue
            if item.ratio is None or item.ratio_ci95 is None:
                made.append(f"{name} {item.metric}: too few requests to compare with {base}")
            elif not told[name][item.metric]:
                made.append(f"{name} {item.metric} and {base} cannot be told apart")
            else:
                low, high = item.ratio_ci95
                made.append(
                    f"{name} {item.metric} {_times(item.ratio)}x {base}, "
                    f"95 % {_times(low)}-{_times(high)}"
                )
    return made


def _times(ratio: float) -> str:
    return f"{ratio:.3g}" if ratio < 100 else f"{ratio:.0f}"


def _named(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None

    def named(what: str, done: int, total: int | None) -> None:
        progress(what if what.startswith("compiling") else f"{name}: {what}", done, total)

    return named
