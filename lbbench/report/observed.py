"""What an importer counted in the real system, to stand beside what is simulated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from lbbench.model.result import Result
from lbbench.model.units import parse_time
from lbbench.report.units import count


@dataclass(frozen=True)
class Observed:
    """Requests per pod (by the pod's name) and latency in seconds; empty without an import."""

    pods: Mapping[str, int]
    latency: Mapping[str, float]
    requests: int

    @classmethod
    def of(cls, result: Result) -> Observed:
        """Return what stands in the scenario of ``result``."""
        given = dict(result.observed or {})
        pods = result.scenario["cluster"]["pods"]
        counted = dict(given.get("pods") or {})
        if not isinstance(pods, int):  # an import counts by address
            names = {pod.get("address"): pod["name"] for pod in pods}
            counted = {names.get(key, key): n for key, n in counted.items()}
        times = {name: parse_time(value) for name, value in (given.get("latency") or {}).items()}
        return cls(counted, times, int(given.get("requests") or sum(counted.values())))

    def share(self, pod: str) -> float | None:
        """Return the observed share of a pod; None when it was not seen or nothing was counted."""
        total = sum(self.pods.values())
        return self.pods[pod] / total if total and pod in self.pods else None

    @property
    def title(self) -> str:
        """Return how much was observed."""
        return f"{count(self.requests)} requests"
