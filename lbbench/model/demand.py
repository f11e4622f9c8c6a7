"""The `traffic` key: arrivals, service times, clients, connections, keys, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from lbbench.model.arrivals import Arrivals
from lbbench.model.distributions import FIGURES, Distribution, Popularity, Zipf
from lbbench.model.fields import (
    Name,
    Off,
    Part,
    PositiveRatio,
    PositiveTime,
    Share,
    SmallCount,
    number,
    whole,
)
from lbbench.model.forms import by_key, optional
from lbbench.model.mistakes import Fault, Mistake, fault

__all__ = [
    "Arrivals",
    "Clients",
    "Connections",
    "Demand",
    "Distribution",
    "Fixed",
    "Geometric",
    "Keys",
    "Sessions",
    "Zipf",
]

MEAN = "20ms"
"""Mean service time where a scenario gives none."""

MANY = 2**24
"""Most clients (the addresses of 11.0.0.0/8), keys and sessions."""

WHOLE = 100_000
"""Most requests of connections with gaps, whose requests are made in one piece."""

Many = Annotated[
    int,
    BeforeValidator(whole(1, MANY)),
    WithJsonSchema({"type": "integer", "minimum": 1, "maximum": MANY}),
]


class Clients(Part):
    """Who sends."""

    count: Many = 1000
    popularity: Popularity = "uniform"
    behind_nat: Share = 0.0
    nat_addresses: Annotated[int, BeforeValidator(whole(1, 2**22))] = 1


class Geometric(Part):
    """A geometric number with this mean."""

    SHORT: ClassVar[str] = "{geometric: 20}"

    geometric: Annotated[
        float,
        BeforeValidator(number(1.0, 1e9)),
        WithJsonSchema({"type": "number", "minimum": 1, "maximum": 1e9}),
    ]


class Fixed(Part):
    """Always this number."""

    SHORT: ClassVar[str] = "{fixed: 20}"

    fixed: Annotated[int, BeforeValidator(whole(1, 10**9))]


def _budget(value: object) -> object:
    if isinstance(value, str) and value.strip().isdigit():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if value < 1:
            raise ValueError("must be at least 1")
        return 1 if value == 1 else Fixed(fixed=value)
    if isinstance(value, (str, float, bool)) and value != "unlimited":
        raise ValueError(
            "is not understood; allowed are a whole number, unlimited, {geometric: 20}, {fixed: 20}"
        )
    shapes: dict[str, type[Part]] = {"geometric": Geometric, "fixed": Fixed}
    return by_key(value, shapes, ("unlimited",))


class Connections(Part):
    """How many requests a client connection carries, and how."""

    SHORT: ClassVar[str] = "{requests: {geometric: 20}}"

    requests: Annotated[
        Literal[1, "unlimited"] | Geometric | Fixed,
        BeforeValidator(_budget),
        WithJsonSchema(
            {
                "anyOf": [
                    {"type": "integer", "minimum": 1},
                    {"const": "unlimited"},
                    Geometric.model_json_schema(),
                    Fixed.model_json_schema(),
                ]
            }
        ),
    ] = 1
    protocol: Literal["http1", "http2"] = "http1"
    streams: SmallCount = 128
    gap: Distribution | None = None

    @model_validator(mode="after")
    def _ends(self) -> Connections:
        """With a gap the process gives connection starts: each has an end and is made whole."""
        if self.gap is None:
            return self
        if self.requests == "unlimited":
            raise fault(
                "requests",
                "stands beside gap, where each arrival opens a connection; give a number or "
                "{geometric: 20}, or remove gap",
            )
        if isinstance(self.requests, Geometric) and self.requests.geometric > WHOLE:
            raise fault("requests", f"must be at most {{geometric: {WHOLE}}} beside gap")
        if isinstance(self.requests, Fixed) and self.requests.fixed > WHOLE:
            raise fault("requests", f"must be at most {WHOLE} beside gap")
        return self


class Keys(Part):
    """What $request_uri takes."""

    count: Many = 500
    popularity: Popularity = Field(default_factory=lambda: Zipf(zipf=1.0))


class Sessions(Part):
    """Cookie jars."""

    SHORT: ClassVar[str] = "{count: 1000, cookies: kept}"

    count: Many = 1000
    cookies: Literal["kept", "none"] = "kept"
    lifetime: Distribution | None = None

    @field_validator("lifetime", mode="after")
    @classmethod
    def _takes_time(cls, value: Distribution | None) -> Distribution | None:
        return None if value is None else value.must_take_time()


def _usual_service() -> Distribution:
    return Distribution.model_validate({"distribution": "exponential", "mean": MEAN})


class Demand(Part):
    """The traffic that the chain has to carry."""

    SHORT: ClassVar[str] = "{utilisation: 0.8}"

    arrivals: Arrivals = Field(default_factory=Arrivals)
    utilisation: PositiveRatio | None = None
    service_time: Distribution = Field(default_factory=_usual_service)
    clients: Clients = Field(default_factory=Clients)
    connections: Connections = Field(default_factory=Connections)
    keys: Keys = Field(default_factory=Keys)
    sessions: Annotated[Off | Sessions, optional(Sessions)] | None = None
    connect_timeout: PositiveTime = 10.0
    trace: Name | None = None

    @field_validator("service_time", mode="before")
    @classmethod
    def _usual_mean(cls, value: object) -> object:
        """Give a distribution that lacks its mean the usual one."""
        if not isinstance(value, Mapping) or value.get("mean") is not None:
            return value
        name = value.get("distribution") or "exponential"
        return {**value, "mean": MEAN} if "mean" in FIGURES.get(str(name), ()) else value

    @field_validator("service_time", mode="after")
    @classmethod
    def _takes_time(cls, value: Distribution) -> Distribution:
        return value.must_take_time()

    @model_validator(mode="after")
    def _one_source(self) -> Demand:
        """Exactly one of a rate (or the process's own figures), a utilisation, a trace."""
        arrivals, way_out = self.arrivals, "give exactly one of them"
        closed = arrivals.process == "closed"
        if self.trace is not None:
            if self.utilisation is not None:
                raise fault("utilisation", f"stands beside trace; {way_out}")
            if arrivals.gives_rate() or closed:
                raise fault("trace", f"stands beside figures of arrivals; {way_out}")
            return self
        if closed and self.utilisation is not None:
            raise fault(
                "utilisation",
                "closed arrivals set their own rate; remove it or use an open process",
            )
        if self.utilisation is not None and arrivals.rate is not None:
            raise fault("utilisation", f"stands beside arrivals.rate; {way_out}")
        missing = arrivals.missing(scaled=self.utilisation is not None)
        if missing == "rate":
            raise ValueError(
                "has no load; give exactly one of arrivals.rate, utilisation and trace, "
                "for instance utilisation: 0.8"
            )
        if missing is not None:
            raise Fault([Mistake(("arrivals", "process"), f"needs {missing} beside it")])
        return self
