"""What is asked of a run or a study: objectives (`slo`), precision, the axes of a sweep."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field, field_validator, model_validator

from lbbench.model.fields import Part, SmallCount, Text, positive, whole
from lbbench.model.mistakes import Fault, Mistake, fault, listed, near
from lbbench.model.ranges import Levels, is_sampled, n_levels, read_levels
from lbbench.model.units import parse_share, parse_time

METRICS = (
    "latency.mean",
    "latency.p50",
    "latency.p90",
    "latency.p95",
    "latency.p99",
    "latency.p999",
    "latency.max",
    "error_rate",
    "attainment",
    "utilisation.max",
)


def parse_objective(metric: str, limit: object) -> float:
    """Return the limit of a metric: seconds for latencies, a share else.

    Raises
    ------
    ValueError
        When there is no such metric, or the limit has the wrong unit.
    """
    if metric not in METRICS:
        hint = near(metric, METRICS)
        raise ValueError(f"is not a metric; {hint + ' ' if hint else ''}{listed(METRICS)}")
    return parse_time(limit) if metric.startswith("latency.") else parse_share(limit)


def flattened(value: object) -> object:
    """Return {latency: {p99: x}} as {"latency.p99": x}."""
    if not isinstance(value, Mapping):
        return value
    flat: dict[str, Any] = {}
    for name, limit in value.items():
        if isinstance(limit, Mapping):
            flat |= {f"{name}.{inner}": entry for inner, entry in limit.items()}
        else:
            flat[str(name)] = limit
    return flat


def _checked(value: dict[str, Any]) -> dict[str, Any]:
    found: list[Mistake] = []
    for metric, limit in value.items():
        try:
            parse_objective(metric, limit)
        except ValueError as error:
            found.append(Mistake((metric,), str(error)))
    if found:
        raise Fault(found)
    return value


Objectives = Annotated[dict[str, Any], BeforeValidator(flattened), AfterValidator(_checked)]
"""Limits as written, by metric."""


class Precision(Part):
    """Replicate until the interval of a metric is narrow enough."""

    SHORT: ClassVar[str] = "{metric: latency.p99, relative: 5%}"

    metric: Text = "latency.p99"
    relative: Annotated[float, BeforeValidator(positive(parse_share))] = 0.05
    max_replications: Annotated[int, BeforeValidator(whole(2, 10**6))] = 50

    @field_validator("metric", mode="after")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in METRICS:
            hint = near(value, METRICS)
            raise ValueError(f"is not a metric; {hint + ' ' if hint else ''}{listed(METRICS)}")
        return value


def _with_inner(schema: dict[str, Any]) -> None:
    """Let an editor know that ``zip`` and ``random`` may stand inside ``axes``."""
    levels = schema["additionalProperties"]
    schema["properties"] = {
        "zip": {"type": "object", "additionalProperties": levels},
        "random": {"type": "integer", "minimum": 1, "maximum": 10**6},
    }


class Sweep(Part):
    """Which leaves a study varies.

    ``axes`` are crossed; those under ``zip`` go forward together; ``random`` draws so many of the
    points instead of taking all. ``zip`` and ``random`` may also stand inside ``axes``. The values
    of a leaf are a list or a `Range`.
    """

    SHORT: ClassVar[str] = "{axes: {traffic.utilisation: [0.5, 0.7]}}"

    axes: dict[str, Levels] = Field(default_factory=dict, json_schema_extra=_with_inner)
    zip: dict[str, Levels] = Field(default_factory=dict)
    random: SmallCount | None = None

    @model_validator(mode="before")
    @classmethod
    def _lift(cls, value: object) -> object:
        """Take ``zip`` and ``random`` out of ``axes``."""
        axes = value.get("axes") if isinstance(value, Mapping) else None
        if not isinstance(value, Mapping) or not isinstance(axes, Mapping):
            return value
        inside = {name: axes[name] for name in ("zip", "random") if axes.get(name) is not None}
        for name in inside:
            if value.get(name) is not None:
                raise fault(name, "is given twice; keep one of them")
        rest = {name: entry for name, entry in axes.items() if name not in ("zip", "random")}
        return {**value, "axes": rest, **inside}

    @field_validator("axes", "zip", mode="before")
    @classmethod
    def _levels(cls, value: object) -> object:
        if not isinstance(value, Mapping):
            raise ValueError("must be keys with lists, for instance {traffic.utilisation: [0.5]}")
        made: dict[Any, Levels] = {}
        found: list[Mistake] = []
        for name, entry in value.items():
            try:
                made[name] = read_levels(entry)
            except Fault as error:
                found += [Mistake((str(name), *inner.keys), inner.text) for inner in error.mistakes]
        if found:
            raise Fault(found)
        return made

    @model_validator(mode="after")
    def _consistent(self) -> Sweep:
        if not self.axes and not self.zip:
            raise fault("axes", "has nothing to vary; write for instance " + self.SHORT)
        sizes = {path: n_levels(levels) for path, levels in self.leaves().items()}
        found = [
            Mistake(("zip", path), "has no values of its own to go forward with; add step or count")
            for path, levels in self.zip.items()
            if is_sampled(levels)
        ]
        if self.random is None:
            found += [
                Mistake(
                    ("axes", path),
                    "has no values of its own; add step or count, or draw points with random: 100 "
                    "beside the axes",
                )
                for path, levels in self.axes.items()
                if is_sampled(levels)
            ]
        if found:
            raise Fault(found)
        if len({sizes[path] for path in self.zip}) > 1:
            raise fault("zip", "must have lists of the same length")
        both = sorted(set(self.axes) & set(self.zip))
        if both:
            raise fault("zip", f"has {both[0]}, which axes have too; keep one of them")
        return self

    def leaves(self) -> dict[str, Levels]:
        """Return every varied leaf with its values."""
        return {**self.axes, **self.zip}
