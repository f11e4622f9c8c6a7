"""The same traffic through several variants: paired differences, with intervals and in words."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbbench.errors import RunError
from lbbench.inputs.yaml import parse_set
from lbbench.model.objectives import Precision
from lbbench.model.result import Result
from lbbench.model.scenario import Scenario
from lbbench.stats.intervals import is_precise
from lbbench.studies.differences import Differences, differences
from lbbench.studies.leading import headline_of
from lbbench.studies.run import (
    Engine,
    Progress,
    Replications,
    check_precision,
    first_of,
    imprecise,
    replicate,
    replication,
    sum_up,
    tallies,
    together,
    warmup_segments,
)
from lbbench.studies.variants import BALANCER, shown_name, split_names, with_balancer

SCHEMA = "lbbench.compare/1"


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
        Every compared figure of the other values against the first.
    """

    leaf: str
    results: Mapping[str, Result]
    differences: Differences

    @property
    def sentences(self) -> tuple[str, ...]:
        """The differences in words."""
        return tuple(self.differences.sentences())

    def to_dict(self) -> dict[str, Any]:
        """Return the comparison as plain data (schema lbbench.compare/1)."""
        return {
            "schema": SCHEMA,
            "leaf": self.leaf,
            "sentences": list(self.sentences),
            "differences": self.differences.to_list(),
            "leads": [lead.to_dict() for lead in self.differences.leads.values()],
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

    ``balancers`` is ``A,B{OPTION: VALUE},C``; ``vary`` is ``LEAF=X,Y`` with YAML values (commas
    inside brackets and quotes belong to a value); ``default`` are the balancers when neither is
    given.

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
        names = [
            shown_name(name) for name in split_names(default if balancers is None else balancers)
        ]
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

    All variants use the largest warm-up that any of them needs, and with `run.precision` as many
    replications as the one that needs most.

    Raises
    ------
    LbbenchError
        When a variant is not valid (before any is run), or cannot be run.
    """
    if len(values) < 2:
        raise RunError(f"{leaf}: a comparison needs at least two values, {len(values)} given")
    variants: dict[str, Scenario] = {}
    left_out: dict[str, tuple[str, ...]] = {}
    for value in values:
        made = with_balancer(scenario, value) if leaf == BALANCER else None
        variants[_named(value)] = made.scenario if made else scenario.with_({leaf: value})
        left_out[_named(value)] = made.left_out if made else ()
    if len(variants) < len(values):
        names = [_named(value) for value in values]
        twice = next(name for name in names if names.count(name) > 1)
        raise RunError(f"{leaf} = {twice} is given twice; name each value once")
    _check_plans(variants)
    if scenario.run.precision is None:
        runs = {
            name: replicate(variant, engine=engine, progress=_with_name(progress, name))
            for name, variant in variants.items()
        }
    else:
        runs = _until_precise(variants, scenario.run.precision, engine, progress)
    runs = {name: _noted(run, left_out[name]) for name, run in runs.items()}
    first = max(warmup_segments(run.outcomes) for run in runs.values())
    results = {
        name: sum_up(variants[name], done, startup_s=startup_s, warmup_segments=first)
        for name, done in runs.items()
    }
    counts = {name: dict(enumerate(tallies(done.outcomes))) for name, done in runs.items()}
    headline = headline_of(scenario.resolved())
    found = differences(counts, first, headline=headline)
    return Comparison(leaf=leaf, results=results, differences=found)


def _noted(run: Replications, left_out: tuple[str, ...]) -> Replications:
    """Say which options of the scenario a balancer does not have."""
    if not left_out:
        return run
    note = (
        f"stages.ingress.options: {', '.join(left_out)} left out, which this balancer does not "
        "have; give options with the name: NAME{OPTION: VALUE}"
    )
    return run._replace(notes=(*run.notes, note))


def _check_plans(variants: Mapping[str, Scenario]) -> None:
    """Raise what is wrong with any variant before time is spent on the others."""
    from lbbench.engines.stages import azure_stage, ingress_stage, node_stage

    for variant in variants.values():
        for stage in (azure_stage, node_stage, ingress_stage):
            stage(variant)


def _until_precise(
    variants: Mapping[str, Scenario],
    precision: Precision,
    engine: Engine,
    progress: Progress | None,
) -> dict[str, Replications]:
    """Run replications of all variants in turn until each is precise enough."""
    check_precision(precision)
    parts: dict[str, list[Replications]] = {name: [] for name in variants}
    wanted = first_of(next(iter(variants.values())))
    while True:
        for name, variant in variants.items():
            parts[name] += [
                replication(variant, number, engine=engine, progress=_with_name(progress, name))
                for number in range(len(parts[name]), wanted)
            ]
        runs = {name: together(done) for name, done in parts.items()}
        first = max(warmup_segments(run.outcomes) for run in runs.values())
        vague = [
            name
            for name, run in runs.items()
            if not is_precise(tallies(run.outcomes), first, precision.metric, precision.relative)
        ]
        if not vague:
            return runs
        if wanted >= precision.max_replications:
            note = imprecise(precision, wanted)
            return {
                name: run._replace(notes=(*run.notes, note)) if name in vague else run
                for name, run in runs.items()
            }
        wanted += 1


def _named(value: Any) -> str:
    """Return a value as a scenario writes it: ``true``, ``none``, ``0.5``."""
    if value is None:
        return "none"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _with_name(progress: Progress | None, name: str) -> Progress | None:
    if progress is None:
        return None

    def named(what: str, done: int, total: int | None) -> None:
        progress(what if what.startswith("compiling") else f"{name}: {what}", done, total)

    return named
