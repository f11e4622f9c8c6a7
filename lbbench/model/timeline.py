"""The `timeline` key: what happens to the cluster during a run."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from lbbench.model.fields import CountOrZero, Part, Positive, PositiveTime, Text, Time


class Scale(Part):
    """Change the number of pods."""

    pods: CountOrZero


class Rollout(Part):
    """Replace every pod by a new one."""

    max_surge: CountOrZero = 1
    max_unavailable: CountOrZero = 1
    ready_after: Time = 10.0
    drain: Time = 5.0
    grace: Time = 30.0

    @model_validator(mode="after")
    def _moves(self) -> Rollout:
        if self.max_surge == 0 and self.max_unavailable == 0:
            raise ValueError("max_surge and max_unavailable must not both be 0")
        return self


_VERBS = ("scale", "rollout", "routes", "pod", "node")


class Change(Part):
    """One thing that happens at a time."""

    at: Time
    until: PositiveTime | None = None
    scale: Scale | None = None
    rollout: Rollout | None = None
    routes: Literal["missing"] | None = None
    pod: Text | None = None
    speed: Positive | None = None
    cold: bool | None = None
    pause: PositiveTime | None = None
    fail: Literal["refuse", "blackhole", "hang", "error"] | None = None
    after: Time = 0.001
    node: Text | None = None
    state: Literal["down", "up", "drained"] | None = None
    azure: Literal["up", "down", "none"] | None = None

    @model_validator(mode="after")
    def _one_thing(self) -> Change:
        verbs = [name for name in _VERBS if getattr(self, name) is not None]
        if len(verbs) != 1:
            raise ValueError(f"must have exactly one of {', '.join(_VERBS)}")
        if self.pod is not None:
            given = [name for name in ("speed", "cold", "pause", "fail") if getattr(self, name)]
            if len(given) != 1:
                raise ValueError("pod needs exactly one of speed, cold, pause, fail")
        if self.node is not None and (self.state is None) == (self.azure is None):
            raise ValueError("node needs exactly one of state and azure")
        if self.until is not None and self.until <= self.at:
            raise ValueError("until must be later than at")
        return self


class Precision(Part):
    """Replicate until an interval is narrow enough."""

    metric: Text = "latency.p99"
    relative: float = Field(default=0.05, gt=0.0)
    max_replications: int = Field(default=50, ge=2)

    @field_validator("relative", mode="before")
    @classmethod
    def _relative(cls, value: object) -> object:
        if isinstance(value, str) and value.endswith("%"):
            return float(value[:-1]) / 100.0
        return value
