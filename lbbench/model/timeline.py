"""The `timeline` key: what happens to the cluster during a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import BeforeValidator, field_validator, model_validator

from lbbench.model.cluster import MAX_PODS
from lbbench.model.fields import CountOrZero, Name, Part, Positive, PositiveTime, Time, whole
from lbbench.model.mistakes import fault, listed


class Scale(Part):
    """Change the number of pods.

    A new pod is ready ``ready_after`` after the change. A pod that goes leaves the endpoints at
    once, serves for ``drain`` more and is killed ``grace`` after the change.
    """

    SHORT: ClassVar[str] = "{pods: 15}"

    pods: Annotated[int, BeforeValidator(whole(0, MAX_PODS))]
    ready_after: Time = 0.0
    drain: Time = 5.0
    grace: Time = 30.0


class Rollout(Part):
    """Replace every pod by a new one, as a Deployment's rolling update does.

    ``ready_after``, ``drain`` and ``grace`` mean what they mean in :class:`Scale`.
    """

    SHORT: ClassVar[str] = "{max_surge: 1, max_unavailable: 1}"

    max_surge: CountOrZero = 1
    max_unavailable: CountOrZero = 1
    ready_after: Time = 10.0
    drain: Time = 5.0
    grace: Time = 30.0

    @model_validator(mode="after")
    def _moves(self) -> Rollout:
        if self.max_surge == 0 and self.max_unavailable == 0:
            raise fault("max_surge", "must be at least 1 when max_unavailable is 0")
        return self


_VERBS: dict[str, tuple[str, ...]] = {
    "scale": (),
    "rollout": (),
    "routes": (),
    "pod": ("speed", "cold", "pause", "fail"),
    "node": ("state", "azure"),
}
"""What a change is about; of the words behind it, exactly one says what happens."""

_LASTING = ("routes", "speed", "fail", "state", "azure")
"""What can have an end."""


class Change(Part):
    """One thing that happens at a time."""

    SHORT: ClassVar[str] = "{at: 60s, scale: {pods: 15}}"

    at: Time
    until: PositiveTime | None = None
    scale: Scale | None = None
    rollout: Rollout | None = None
    routes: Literal["missing"] | None = None
    pod: Name | None = None
    speed: Positive | None = None
    cold: Literal[True] | None = None
    pause: PositiveTime | None = None
    fail: Literal["refuse", "blackhole", "hang", "error"] | None = None
    after: Time | None = None
    node: Name | None = None
    state: Literal["down", "up", "drained"] | None = None
    azure: Literal["up", "down", "none"] | None = None

    @model_validator(mode="before")
    @classmethod
    def _usual_delay(cls, value: object) -> object:
        """Let a pod that answers errors take 1 ms for each unless the scenario says otherwise."""
        if isinstance(value, Mapping) and value.get("fail") == "error":
            return {"after": "1ms", **value}
        return value

    @field_validator("cold", mode="before")
    @classmethod
    def _only_true(cls, value: object) -> object:
        if value is not True:
            raise ValueError("must be true; leave it out otherwise")
        return value

    @model_validator(mode="after")
    def _one_thing(self) -> Change:
        given = [name for name in _VERBS if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"must have exactly one of {', '.join(_VERBS)}")
        verb = given[0]
        for owner, words in _VERBS.items():
            for word in words:
                if owner != verb and getattr(self, word) is not None:
                    raise fault(word, f"belongs to a change of a {owner}, not to {verb}")
        what = [word for word in _VERBS[verb] if getattr(self, word) is not None]
        if _VERBS[verb] and len(what) != 1:
            raise fault(verb, f"needs exactly one of {', '.join(_VERBS[verb])}")
        self._check_times(what[0] if what else verb)
        return self

    def _check_times(self, what: str) -> None:
        if self.after is not None and self.fail != "error":
            raise fault("after", "belongs to fail: error")
        if self.until is None:
            return
        if self.state == "up":
            text = "does not belong to state: up; give the time at which it goes down a change"
            raise fault("until", f"{text} of its own")
        if what not in _LASTING:
            raise fault("until", f"does not belong to {what}; {listed(_LASTING)} with it")
        if self.until <= self.at:
            raise fault("until", "must be later than at")
