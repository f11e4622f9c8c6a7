"""The `traffic` key: arrivals, service times, clients, connections, keys, sessions."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, field_validator, model_validator

from lbbench.model.fields import (
    AnyRate,
    Count,
    Number,
    Off,
    Part,
    Positive,
    PositiveTime,
    Rate,
    Ratio,
    Share,
    Text,
    Time,
    one_of,
)
from lbbench.model.units import parse_rate, parse_time, write_rate, write_time


def _step(value: object) -> tuple[float, float]:
    if not isinstance(value, (list, tuple)) or len(value) != 2:
        raise ValueError('each step must be a pair [time, rate], for instance [60s, "400/s"]')
    return parse_time(value[0]), parse_rate(value[1])


def _write_step(value: tuple[float, float]) -> list[str]:
    return [write_time(value[0]), write_rate(value[1])]


Step = Annotated[tuple[float, float], BeforeValidator(_step), PlainSerializer(_write_step)]


class Arrivals(Part):
    """When requests come."""

    process: Literal["poisson", "deterministic", "gamma", "mmpp", "diurnal", "steps", "closed"] = (
        "poisson"
    )
    rate: Rate | None = None
    cv: Positive | None = None
    rates: tuple[AnyRate, ...] | None = None
    means: tuple[PositiveTime, ...] | None = None
    base: Rate | None = None
    amplitude: Share | None = None
    period: PositiveTime | None = None
    steps: tuple[Step, ...] | None = None
    users: Count | None = None
    think_time: ThinkTime | None = None

    @field_validator("think_time", mode="before")
    @classmethod
    def _think_time(cls, value: object) -> object:
        if isinstance(value, (str, int, float)) and not isinstance(value, bool):
            return {"distribution": "deterministic", "mean": value}
        return value

    @model_validator(mode="after")
    def _figures(self) -> Arrivals:
        own = _OWN_FIGURES[self.process]
        for name in type(self).model_fields:
            if name not in ("process", "rate", *own) and getattr(self, name) is not None:
                raise ValueError(f"{name} does not belong to the process {self.process}")
        if self.rates is not None and len(self.rates) != len(self.means or ()):
            raise ValueError("rates and means must have the same number of entries")
        if self.rates is not None and max(self.rates) <= 0.0:
            raise ValueError("rates: at least one must be greater than 0")
        if self.steps is not None:
            times = [at for at, _ in self.steps]
            if not times or times[0] != 0.0 or sorted(set(times)) != times:
                raise ValueError("steps must begin at 0s and rise in time")
            if max(rate for _, rate in self.steps) <= 0.0:
                raise ValueError("steps: at least one rate must be greater than 0")
        return self

    def missing(self, *, scaled: bool) -> str | None:
        """Return the first figure that the process still needs; ``scaled``: utilisation is given."""
        for name in _OWN_FIGURES[self.process]:
            if getattr(self, name) is None:
                if scaled and name == "base":
                    continue
                return name
        if self.process in _BY_RATE and self.rate is None and not scaled:
            return "rate"
        return None


_OWN_FIGURES: dict[str, tuple[str, ...]] = {
    "poisson": (),
    "deterministic": (),
    "gamma": ("cv",),
    "mmpp": ("rates", "means"),
    "diurnal": ("base", "amplitude", "period"),
    "steps": ("steps",),
    "closed": ("users", "think_time"),
}
_BY_RATE = ("poisson", "deterministic", "gamma")

_SERVICE_FIGURES: dict[str, tuple[str, ...]] = {
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


class Distribution(Part):
    """A distribution of times."""

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
    mean: PositiveTime | None = None
    k: Count | None = None
    cv: Positive | None = None
    alpha: Positive | None = None
    low: PositiveTime | None = None
    high: PositiveTime | None = None
    values: tuple[Time, ...] | None = None
    shares: tuple[Share, ...] | None = None
    file: Text | None = None

    @model_validator(mode="after")
    def _figures(self) -> Distribution:
        figures = _SERVICE_FIGURES[self.distribution]
        for name in figures:
            if getattr(self, name) is None:
                raise ValueError(f"the distribution {self.distribution} needs {name}")
        for name in type(self).model_fields:
            if name not in ("distribution", *figures) and getattr(self, name) is not None:
                raise ValueError(f"{name} does not belong to the distribution {self.distribution}")
        if self.distribution == "pareto" and self.alpha is not None and self.alpha <= 1.0:
            raise ValueError("alpha must be greater than 1: otherwise the mean is infinite")
        if self.distribution == "hyperexponential" and self.cv is not None and self.cv < 1.0:
            raise ValueError("cv must be at least 1; use erlang or lognormal below")
        if self.low is not None and self.high is not None and self.low >= self.high:
            raise ValueError("low must be less than high")
        if self.values is not None and self.shares is not None:
            if len(self.values) != len(self.shares) or not self.values:
                raise ValueError("values and shares must have the same number of entries")
            if abs(math.fsum(self.shares) - 1.0) > 1e-9:
                raise ValueError("shares must add up to 1 (100%)")
            if max(self.values) <= 0.0:
                raise ValueError("values: at least one must be longer than 0")
        return self


ThinkTime = Distribution
Arrivals.model_rebuild()


class Zipf(Part):
    """Popularity of rank k in proportion to k^-zipf."""

    zipf: Number = Field(default=1.0, ge=0.0)


def _popularity(value: object) -> object:
    return one_of(value, {"zipf": Zipf}, ("uniform",))


Popularity = Annotated[Literal["uniform"] | Zipf, BeforeValidator(_popularity)]


class Clients(Part):
    """Who sends."""

    count: Count = 1000
    popularity: Popularity = "uniform"
    behind_nat: Share = 0.0
    nat_addresses: Count = 1


class Geometric(Part):
    """A geometric number with this mean."""

    geometric: Number = Field(ge=1.0)


class Fixed(Part):
    """Always this number."""

    fixed: Count


def _budget(value: object) -> object:
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("must be at least 1")
        return 1 if value == 1 else Fixed(fixed=value)
    return one_of(value, {"geometric": Geometric, "fixed": Fixed}, ("unlimited",))


class Connections(Part):
    """How many requests a client connection carries, and how."""

    requests: Annotated[Literal[1, "unlimited"] | Geometric | Fixed, BeforeValidator(_budget)] = 1
    protocol: Literal["http1", "http2"] = "http1"
    streams: Count = 128
    gap: Distribution | None = None


class Keys(Part):
    """What $request_uri takes."""

    count: Count = 500
    popularity: Popularity = Field(default_factory=lambda: Zipf(zipf=1.0))


class Sessions(Part):
    """Cookie jars."""

    count: Count = 1000
    cookies: Literal["kept", "none"] = "kept"
    lifetime: Distribution | None = None


class Demand(Part):
    """The traffic that the chain has to carry."""

    arrivals: Arrivals = Field(default_factory=Arrivals)
    utilisation: Ratio | None = None
    service_time: Distribution = Field(
        default_factory=lambda: Distribution(distribution="exponential", mean="20ms")  # type: ignore[arg-type]
    )
    clients: Clients = Field(default_factory=Clients)
    connections: Connections = Field(default_factory=Connections)
    keys: Keys = Field(default_factory=Keys)
    sessions: Off | Sessions | None = None
    connect_timeout: PositiveTime = 10.0
    trace: Text | None = None

    @field_validator("sessions", mode="before")
    @classmethod
    def _sessions(cls, value: object) -> object:
        if value is None or value == "none":
            return value
        return Sessions.model_validate(value)

    @field_validator("utilisation", mode="after")
    @classmethod
    def _utilisation(cls, value: float | None) -> float | None:
        if value is not None and value <= 0.0:
            raise ValueError("must be greater than 0")
        return value

    @model_validator(mode="after")
    def _one_source(self) -> Demand:
        arrivals = self.arrivals
        closed = arrivals.process == "closed"
        figures = arrivals.rate is not None or arrivals.base is not None
        if self.trace is not None:
            if arrivals.rate is not None or self.utilisation is not None or closed:
                raise ValueError(
                    "has a trace and also a rate, a utilisation or closed arrivals; give exactly one"
                )
            return self
        if closed and (self.utilisation is not None or arrivals.rate is not None):
            raise ValueError("closed arrivals set their own rate; remove utilisation or rate")
        if self.utilisation is not None and figures and arrivals.process in (*_BY_RATE, "diurnal"):
            raise ValueError("has both a rate and a utilisation; give exactly one")
        missing = arrivals.missing(scaled=self.utilisation is not None)
        if missing == "rate":
            raise ValueError("needs exactly one of arrivals.rate, utilisation or trace")
        if missing is not None:
            raise ValueError(f"arrivals: the process {arrivals.process} needs {missing}")
        return self


def describe(value: Any) -> str:
    """Return a short text of a popularity or budget, for tables."""
    return str(value if not isinstance(value, Part) else value.model_dump())
