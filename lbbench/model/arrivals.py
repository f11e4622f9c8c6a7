"""The `traffic.arrivals` key: the process by which requests come."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BeforeValidator,
    PlainSerializer,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from lbbench.model.distributions import Distribution, Shape
from lbbench.model.fields import AnyRate, Part, PositiveTime, Rate, Share, SmallCount
from lbbench.model.mistakes import fault, listed
from lbbench.model.units import parse_rate, parse_time, write_rate, write_time

FIGURES: dict[str, tuple[str, ...]] = {
    "poisson": (),
    "deterministic": (),
    "gamma": ("cv",),
    "mmpp": ("rates", "means"),
    "diurnal": ("base", "amplitude", "period"),
    "steps": ("steps",),
    "closed": ("users", "think_time"),
}
"""What each process needs beside a rate; nothing else belongs to it."""

BY_RATE = ("poisson", "deterministic", "gamma")
"""Processes without a rate of their own."""


def _step(value: object) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError('must be a pair [time, rate], for instance [60s, "400/s"]')
    return parse_time(value[0]), parse_rate(value[1])


def _write_step(value: tuple[float, float]) -> list[str]:
    return [write_time(value[0]), write_rate(value[1])]


Step = Annotated[
    tuple[float, float],
    BeforeValidator(_step),
    PlainSerializer(_write_step),
    WithJsonSchema({"type": "array", "minItems": 2, "maxItems": 2}),
]


class Arrivals(Part):
    """When requests come.

    ``rate`` beside a process's own figures (mmpp, diurnal, steps) scales the whole process to that
    time average.
    """

    SHORT: ClassVar[str] = '{process: poisson, rate: "400/s"}'

    process: Literal["poisson", "deterministic", "gamma", "mmpp", "diurnal", "steps", "closed"] = (
        "poisson"
    )
    rate: Rate | None = None
    cv: Shape | None = None
    rates: tuple[AnyRate, ...] | None = None
    means: tuple[PositiveTime, ...] | None = None
    base: Rate | None = None
    amplitude: Share | None = None
    period: PositiveTime | None = None
    steps: tuple[Step, ...] | None = None
    users: SmallCount | None = None
    think_time: Distribution | None = None

    @field_validator("think_time", mode="before")
    @classmethod
    def _constant(cls, value: object) -> object:
        """Read a plain time as a constant."""
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            parse_time(value)
            return {"distribution": "deterministic", "mean": value}
        return value

    @model_validator(mode="after")
    def _own_figures(self) -> Arrivals:
        own = FIGURES[self.process]
        allowed = own if self.process == "closed" else ("rate", *own)
        for name in type(self).model_fields:
            if name not in ("process", *allowed) and getattr(self, name) is not None:
                raise fault(
                    name, f"does not belong to the process {self.process}; {listed(allowed)}"
                )
        return self

    @model_validator(mode="after")
    def _some_arrive(self) -> Arrivals:
        if self.rates is not None and self.means is not None:
            if not self.rates or len(self.rates) != len(self.means):
                raise fault("rates", "must have as many entries as means, at least one")
            if max(self.rates) <= 0.0:
                raise fault("rates", "must have one that is greater than 0")
        if self.steps is not None:
            times = [at for at, _ in self.steps]
            if not times or times[0] != 0.0 or sorted(set(times)) != times:
                raise fault("steps", "must begin at 0s and rise in time")
            if max(rate for _, rate in self.steps) <= 0.0:
                raise fault("steps", "must have a rate that is greater than 0")
        return self

    def missing(self, *, scaled: bool) -> str | None:
        """Return the first figure that the process lacks; ``scaled``: its average is given."""
        for name in FIGURES[self.process]:
            if getattr(self, name) is None and not (name == "base" and (scaled or self.rate)):
                return name
        if self.process in BY_RATE and self.rate is None and not scaled:
            return "rate"
        return None

    def gives_rate(self) -> bool:
        """Tell whether the figures say how many requests come, not only in which shape."""
        given: tuple[Any, ...] = (self.rate, self.rates, self.base, self.steps, self.users)
        return any(figure is not None for figure in given)
