"""The same traffic through several variants: paired differences, with intervals and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbbench.errors import RunError
from lbbench.inputs.yaml import parse_set
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.stats.intervals import Difference, holm, paired
from lbbench.studies.run import (
    Engine,
    Progress,
    Replications,
    replicate,
    sum_up,
    tallies,
    warmup_segments,
)

SCHEMA = "lbbench.compare/1"
BALANCER = "stages.ingress.balancer"
FIGURES = ("mean", "p50", "p99")
SAID = ("mean", "p99", "error_rate")
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
        By value (the first one left out): every compared figure against the first value.
    told_apart
        By value and figure: whether the difference survives Holm's correction over all of them.
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
                    "metric": _metric(item.metric),
                    "a": item.a,
                    "b": item.b,
                    "difference": item.difference,
                    "difference_ci95": item.difference_ci95,
                    "ratio": item.ratio,
                    "ratio_ci95": item.ratio_ci95,
                    "p_value": item.p_value,
                    "told_apart": self.told_apart[value][item.metric],
                    "from": item.source,
                }
                for value, items in self.differences.items()
                for item in items
            ],
            "results": {value: result.to_dict() for value, result in self.results.items()},
        }

    def by_file_name(self) -> dict[str, Result]:
        """Return the results by a name that is fit for a file, distinct ones."""
        made: dict[str, Result] = {}
        for number, (value, result) in enumerate(self.results.items()):
            name = re.sub(r"[^\w.-]+", "_", Path(value).name).strip("._") or "value"
            made[name if name not in made else f"{name}-{number}"] = result
        return made


def variants_of(
    scenario: Scenario, balancers: str | None, vary: str | None, default: str
) -> tuple[str, list[Any]]:
    """Return the leaf that varies and its values, from texts as the command line gives them.

    ``balancers`` is ``A,B,C``; ``vary`` is ``LEAF=X,Y`` with YAML values (commas inside brackets
    and quotes belong to a value); ``default`` are the balancers when neither is given.

    Raises
    ------
    RunError, ScenarioError
        When both are given, or they cannot be read, or the balancer takes no part.
    """
    if balancers is not None and vary is not None:
        raise RunError("--balancers and --vary both say what varies; give one of them")
    if vary is None:
        if scenario.path == "service":
            raise RunError(
                f"{scenario.name}: path = service has no ingress balancer; compare another leaf, "
                "for instance --vary stages.kube_proxy.mode=iptables,iptables_nth"
            )
        names = [name.strip() for name in (default if balancers is None else balancers).split(",")]
        names = [name for name in names if name]
        if len(names) < 2 or len(set(names)) < len(names):
            raise RunError(
                f"--balancers {balancers!r}: name at least two different ones, for instance "
                "round_robin,ewma"
            )
        return BALANCER, names
    leaf, equals, text = vary.partition("=")
    if not equals or not text.strip():
        raise RunError(f"--vary {vary}: write it as LEAF=X,Y, for instance cluster.pods=10,12")
    if leaf.strip() in ("run.seed", "run.replications"):
        raise RunError(
            f"--vary {leaf.strip()}: a comparison sends the same traffic through every variant; "
            "use --replications for other draws of the traffic"
        )
    values = parse_set(f"{leaf}=[{text}]")[1]
    return leaf.strip(), values


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
        When a variant is not valid (before any is run), or cannot be run.
    """
    if len(values) < 2:
        raise RunError(f"{leaf}: a comparison needs at least two values, {len(values)} given")
    if scenario.run.precision is not None:
        raise RunError(
            f"{scenario.name}: run.precision gives every variant its own number of replications, "
            "and a comparison pairs them; set run.replications instead"
        )
    variants = {str(value): scenario.with_({leaf: value}) for value in values}
    if len(variants) < len(values):
        twice = next(str(v) for v in values if sum(str(w) == str(v) for w in values) > 1)
        raise RunError(f"{leaf} = {twice} is given twice; name each value once")
    _check_plans(variants)
    runs = {
        name: replicate(variant, engine=engine, progress=_named(progress, name))
        for name, variant in variants.items()
    }
    first = max(warmup_segments(run.outcomes) for run in runs.values())
    results = {
        name: sum_up(
            variants[name], done, engine=engine, startup_s=startup_s, warmup_segments=first
        )
        for name, done in runs.items()
    }
    has_failed = any(result.requests["failed"] for result in results.values())
    figures = (*FIGURES, "error_rate") if has_failed else FIGURES
    base, *others = runs
    differences = {
        name: tuple(_difference(runs[base], runs[name], figure, first) for figure in figures)
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


def _check_plans(variants: Mapping[str, Scenario]) -> None:
    """Raise what is wrong with any variant before time is spent on the others."""
    from lbbench.engines.stages import azure_stage, ingress_stage, node_stage

    for variant in variants.values():
        for stage in (azure_stage, node_stage, ingress_stage):
            stage(variant)


def _difference(a: Replications, b: Replications, figure: str, first: int) -> Difference:
    return paired(tallies(a.outcomes), tallies(b.outcomes), figure, first=first)


def _told_apart(differences: Mapping[str, Sequence[Difference]]) -> dict[str, dict[str, bool]]:
    """Return by value and figure whether Holm's correction over all pairs leaves a difference."""
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
    return [
        _sentence(base, name, item, told_apart=told[name][item.metric])
        for name, items in differences.items()
        for item in items
        if item.metric in SAID
    ]


def _sentence(base: str, name: str, item: Difference, *, told_apart: bool) -> str:
    figure = item.metric.replace("_", " ")
    if item.difference_ci95 is None:
        return f"{name} {figure} and {base}: too few requests to tell them apart"
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


def _metric(figure: str) -> str:
    return figure if figure == "error_rate" else f"latency.{figure}"


def _named(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None

    def named(what: str, done: int, total: int | None) -> None:
        progress(what if what.startswith("compiling") else f"{name}: {what}", done, total)

    return named
