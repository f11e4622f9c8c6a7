"""The timeline in order: every change, and every end of a change that lasts."""

from __future__ import annotations

from dataclasses import dataclass

from lbbench.model.timeline import Change
from lbbench.model.units import write_time


@dataclass(frozen=True)
class Occurrence:
    """One change that begins or ends."""

    at: float  # seconds
    change: Change
    entry: int  # its number in the scenario's list
    ends: bool

    @property
    def kind(self) -> str:
        """What it is about: of two changes of a kind to one thing the later replaces the other."""
        change = self.change
        if change.state is not None:
            return "cordon" if change.state == "drained" else "power"
        words = ("scale", "rollout", "routes", "speed", "cold", "pause", "fail", "azure")
        return next(word for word in words if getattr(change, word) is not None)

    def text(self) -> str:
        """Return what happens, as one reads it beside a chart."""
        change = self.change
        name = change.pod or change.node or ""
        if change.scale is not None:
            return f"scale to {change.scale.pods} pods"
        if change.rollout is not None:
            return "rollout"
        if change.routes is not None:
            return "routes are back" if self.ends else "routes are missing"
        if change.speed is not None:
            own = "its own speed again" if self.ends else f"{change.speed:g} times its speed"
            return f"{name} works at {own}"
        if change.cold is not None:
            return f"{name} is cold"
        if change.pause is not None:
            return f"{name} pauses for {write_time(change.pause)}"
        if change.fail is not None:
            return (
                f"{name} recovers: {change.fail}" if self.ends else f"{name} fails: {change.fail}"
            )
        if change.azure is not None:
            return f"{name}: admin state {'none' if self.ends else change.azure}"
        if change.state == "drained":
            return f"{name} is uncordoned" if self.ends else f"{name} is drained"
        is_up = self.ends or change.state == "up"
        return f"{name} is up" if is_up else f"{name} goes down"


def occurrences(timeline: tuple[Change, ...], horizon: float) -> list[Occurrence]:
    """Return what happens up to ``horizon`` in order: by time, ends first, then as listed."""
    found = [Occurrence(change.at, change, i, ends=False) for i, change in enumerate(timeline)]
    found += [
        Occurrence(change.until, change, i, ends=True)
        for i, change in enumerate(timeline)
        if change.until is not None
    ]
    kept = [item for item in found if item.at <= horizon]
    return sorted(kept, key=lambda item: (item.at, not item.ends, item.entry))
