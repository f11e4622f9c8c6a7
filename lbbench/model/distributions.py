"""Distributions and popularities as a scenario writes them, with the figures of each."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, WithJsonSchema, model_validator

from lbbench.model.fields import (
    Name,
    Part,
    PositiveTime,
    Share,
    Time,
    number,
    whole,
)
from lbbench.model.forms import by_key
from lbbench.model.mistakes import fault, listed

FIGURES: dict[str, tuple[str, ...]] = {
    "deterministic": ("mean",),
    "exponential": ("mean",),
    "erlang": ("mean", "k"),
    "lognormal": ("mean", "cv"),
    "hyperexponential": ("mean", "cv"),
    "pareto": ("mean", "alpha"),
    "bounded_pareto": ("low", "high", "alpha"),
    "bimodal": ("values", "shares"),
    "empirical": ("file",),
}
"""What each distribution needs; nothing else belongs to it."""

Shape = Annotated[
    float,
    BeforeValidator(number(above=0.0, most=1000.0)),
    WithJsonSchema({"type": "number", "exclusiveMinimum": 0, "maximum": 1000}),
]


class Distribution(Part):
    """A distribution of times."""

    SHORT: ClassVar[str] = "{distribution: exponential, mean: 20ms}"

    distribution: Literal[
        "deterministic",
        "exponential",
        "erlang",
        "lognormal",
        "hyperexponential",
        "pareto",
        "bounded_pareto",
        "bimodal",
        "empirical",
    ] = "exponential"
    mean: Time | None = None
    k: Annotated[int, BeforeValidator(whole(1, 10**6))] | None = None
    cv: Shape | None = None
    alpha: Shape | None = None
    low: PositiveTime | None = None
    high: PositiveTime | None = None
    values: tuple[Time, ...] | None = None
    shares: tuple[Share, ...] | None = None
    file: Name | None = None

    @model_validator(mode="after")
    def _own_figures(self) -> Distribution:
        figures = FIGURES[self.distribution]
        for name in type(self).model_fields:
            if name not in ("distribution", *figures) and getattr(self, name) is not None:
                raise fault(
                    name,
                    f"does not belong to the distribution {self.distribution}; {listed(figures)}",
                )
        for name in figures:
            if getattr(self, name) is None:
                raise fault(name, f"is missing; the distribution {self.distribution} needs it")
        return self

    @model_validator(mode="after")
    def _finite_mean(self) -> Distribution:
        if self.mean == 0.0 and self.distribution != "deterministic":
            raise fault("mean", "must be longer than 0")
        if self.distribution == "pareto" and self.alpha is not None and self.alpha <= 1.0:
            raise fault(
                "alpha", "must be greater than 1, else the mean is infinite; or use bounded_pareto"
            )
        if self.distribution == "hyperexponential" and self.cv is not None and self.cv < 1.0:
            raise fault("cv", "must be at least 1; use erlang or lognormal for less")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise fault("low", "must be shorter than high")
        return self

    def must_take_time(self) -> Distribution:
        """Return the distribution; raise Fault when it gives nothing but 0."""
        if self.mean == 0.0:
            raise fault("mean", "must be longer than 0")
        if self.values is not None and max(self.values) <= 0.0:
            raise fault("values", "must have one that is longer than 0")
        return self

    @model_validator(mode="after")
    def _whole_table(self) -> Distribution:
        if self.values is None or self.shares is None:
            return self
        if not self.values or len(self.values) != len(self.shares):
            raise fault("shares", "must have as many entries as values, at least one")
        if abs(math.fsum(self.shares) - 1.0) > 1e-9:
            raise fault("shares", f"must add up to 1 (100%), not to {math.fsum(self.shares):.10g}")
        return self


class Zipf(Part):
    """Popularity of rank k in proportion to k^-zipf."""

    SHORT: ClassVar[str] = "{zipf: 1.0}"

    zipf: Annotated[
        float,
        BeforeValidator(number(0.0, 100.0)),
        WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100}),
    ]


def _popularity(value: object) -> object:
    return by_key(value, {"zipf": Zipf}, ("uniform",))


Popularity = Annotated[Literal["uniform"] | Zipf, BeforeValidator(_popularity)]
