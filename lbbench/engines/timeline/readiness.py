"""The kubelet's readiness probes: a failing pod leaves the list in the API, and comes back.

Every pod has its own clock: a probe at phase + k x period with the phase uniform in the period.
After `failures` failures in a row the pod is not ready, with the first success it is again. So a
pod that fails for good is out after U(0, period) + (failures - 1) x period. A probe counts at the
time at which it is sent (its timeout of 1 s is not added).
"""

from __future__ import annotations

from lbbench.core.rng import stream, uniform
from lbbench.engines.timeline.cluster import Cluster, PodState
from lbbench.engines.timeline.track import tick_from
from lbbench.model.cluster import Readiness

PROBE_TIMEOUT = 1.0  # seconds; timeoutSeconds of a Kubernetes probe


class Kubelet:
    """Probes pods whose condition is in doubt, and no others."""

    def __init__(
        self, cluster: Cluster, spec: Readiness | None, *, seed: int, replication: int
    ) -> None:
        self.cluster = cluster
        self.spec = spec
        self.seed = seed
        self.replication = replication
        self._phases: dict[int, float] = {}
        self._failures: dict[int, int] = {}
        self._watched: set[int] = set()

    def watch(self, pod: PodState) -> None:
        """Probe ``pod`` from its next tick on until its state is settled again."""
        self._next_probe(pod, 0)

    def _next_probe(self, pod: PodState, least: int) -> None:
        if self.spec is None or pod.number in self._watched or self._is_settled(pod):
            return
        phase = self._phase(pod, self.spec.period)
        k = max(least, tick_from(phase, self.spec.period, self.cluster.now))
        self._watched.add(pod.number)
        self.cluster.at(phase + k * self.spec.period, lambda: self._probe(pod, k))

    def _probe(self, pod: PodState, k: int) -> None:
        self._watched.discard(pod.number)
        if self.spec is None or not self._is_probed(pod):
            self._failures.pop(pod.number, None)
            return
        if self.is_failing(pod):
            failures = self._failures.get(pod.number, 0) + 1
            self._failures[pod.number] = failures
            if failures >= self.spec.failures:
                self.decide(pod, passing=False)
        else:
            self._failures.pop(pod.number, None)
            self.decide(pod, passing=True)
        self._next_probe(pod, k + 1)

    def decide(self, pod: PodState, *, passing: bool) -> None:
        """Hold ``pod`` ready or not."""
        pod.passing = passing
        self.cluster.list_anew(pod, pod.notes)

    def is_failing(self, pod: PodState) -> bool:
        """Tell whether a probe that is sent now gets no good answer in time."""
        return pod.fault != "" or pod.paused_until - self.cluster.now > PROBE_TIMEOUT

    def _is_probed(self, pod: PodState) -> bool:
        return pod.started and not pod.leaving and not pod.canary and self.cluster.is_running(pod)

    def _is_settled(self, pod: PodState) -> bool:
        if not self._is_probed(pod):
            return True
        if pod.fault != "":
            return not pod.passing
        # while failures are counted the next probe is due already
        return pod.passing and pod.paused_until <= self.cluster.now

    def _phase(self, pod: PodState, period: float) -> float:
        if pod.number not in self._phases:
            rng = stream(self.seed, self.replication, "timeline", f"kubelet {pod.name}")
            self._phases[pod.number] = uniform(rng) * period
        return self._phases[pod.number]
