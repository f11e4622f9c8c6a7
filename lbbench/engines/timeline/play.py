"""Plays the timeline on the cluster: each change is handed to what it alters."""

from __future__ import annotations

from dataclasses import dataclass

from lbbench.engines.script import ERROR, ERROR_RETRIED, ROUTES
from lbbench.engines.timeline.antagonists import Antagonists
from lbbench.engines.timeline.cluster import Cluster, PodState, cluster_of
from lbbench.engines.timeline.condition import Conditions
from lbbench.engines.timeline.lifecycle import Deployment
from lbbench.engines.timeline.occurrence import Occurrence, occurrences
from lbbench.engines.timeline.pool import Admin
from lbbench.engines.timeline.power import Power
from lbbench.engines.timeline.readiness import Kubelet
from lbbench.engines.timeline.track import Notes, Track
from lbbench.model.cluster import Antagonist, ColdStart, Readiness
from lbbench.model.scenario import Scenario
from lbbench.model.topology import Topology, free_addresses


@dataclass(frozen=True)
class Told:
    """A change as it happened."""

    at: float
    text: str
    pods: tuple[int, ...]
    nodes: tuple[int, ...]


@dataclass(frozen=True)
class Played:
    """What became of the cluster."""

    cluster: Cluster
    admin: list[Track[Admin]]
    told: list[Told]  # by number of the change


def play(
    scenario: Scenario, top: Topology, canary: frozenset[int], *, replication: int, horizon: float
) -> Played:
    """Play the timeline of ``scenario`` up to ``horizon`` seconds."""
    return _Player(scenario, top, canary, replication, horizon).play(horizon)


class _Player:
    def __init__(
        self,
        scenario: Scenario,
        top: Topology,
        canary: frozenset[int],
        replication: int,
        horizon: float,
    ) -> None:
        self.scenario = scenario
        spec = scenario.cluster.pod
        cold = spec.cold_start if isinstance(spec.cold_start, ColdStart) else None
        readiness = spec.readiness if isinstance(spec.readiness, Readiness) else None
        cluster = self.cluster = cluster_of(top, canary)
        self.conditions = Conditions(cluster, cold, _error_door(scenario))
        seed = scenario.run.seed
        self.kubelet = Kubelet(cluster, readiness, seed=seed, replication=replication)
        antagonists = Antagonists(
            cluster,
            self.conditions,
            spec.antagonist if isinstance(spec.antagonist, Antagonist) else None,
            seed=seed,
            replication=replication,
            horizon=horizon,
        )
        self.deployment = Deployment(
            cluster,
            self.conditions,
            self.kubelet,
            antagonists,
            spec,
            free_addresses(top),
            scenario.cluster.next_pod_number(),
        )
        self.power = Power(cluster, self.conditions, self.deployment, self.kubelet)
        self.nodes = {node.name: i for i, node in enumerate(top.nodes)}
        none: Admin = "none"
        self.admin = [Track(none) for _ in top.nodes]
        self.latest: dict[tuple[str, str], int] = {}  # entry in force by (kind, name)
        self.texts: dict[int, str] = {}

    def play(self, horizon: float) -> Played:
        found = occurrences(self.scenario.timeline, horizon)
        for number, occurrence in enumerate(found):
            self._ask(number, occurrence)
        self.cluster.play(horizon, self.deployment.settle)
        told = [
            Told(
                occurrence.at,
                self.texts[number],
                tuple(sorted(set(self.cluster.concerned.get(number, ())))),
                () if occurrence.change.node is None else (self.nodes[occurrence.change.node],),
            )
            for number, occurrence in enumerate(found)
        ]
        return Played(self.cluster, self.admin, told)

    def _ask(self, number: int, occurrence: Occurrence) -> None:
        self.cluster.at(occurrence.at, lambda: self._happen(number, occurrence))

    def _happen(self, number: int, occurrence: Occurrence) -> None:
        change = occurrence.change
        text = occurrence.text()
        key = (occurrence.kind, change.pod or change.node or "")
        replaced = occurrence.ends and self.latest.get(key) != occurrence.entry
        self.latest[key] = self.latest.get(key, -1) if occurrence.ends else occurrence.entry
        excuse = "a later change has taken its place" if replaced else ""
        if change.pod is not None and not replaced:
            excuse = self._happen_to_pod(change.pod, occurrence, frozenset({number}))
        elif not replaced:
            self._happen_to_cluster(occurrence, frozenset({number}))
        self.texts[number] = f"{text}: nothing happens, {excuse}" if excuse else text

    def _happen_to_pod(self, name: str, occurrence: Occurrence, notes: Notes) -> str:
        """Change the condition of pod ``name``; return why it cannot be done, "" if it can."""
        pod = self._pod(name)
        if pod is None:
            return f"{name} is not there yet"
        if pod.gone <= self.cluster.now:
            return f"{name} is gone"
        change = occurrence.change
        self.cluster.concern(pod, notes)
        if change.speed is not None:
            self.conditions.set_factor(pod, 1.0 if occurrence.ends else change.speed)
        elif change.cold is not None:
            self.conditions.cool(pod, self.conditions.cold_start or ColdStart())
        elif change.pause is not None:
            self.conditions.pause(pod, change.pause)
        elif change.fail is not None:
            fault = "" if occurrence.ends else change.fail
            self.conditions.fail(pod, fault, change.after or 0.0)
        self.kubelet.watch(pod)
        return ""

    def _happen_to_cluster(self, occurrence: Occurrence, notes: Notes) -> None:
        change, ends, now = occurrence.change, occurrence.ends, self.cluster.now
        if change.scale is not None:
            self.deployment.scale(change.scale, notes)
        elif change.rollout is not None:
            self.deployment.roll_out(change.rollout, notes)
        elif change.routes is not None:
            self.cluster.routes.put(now, ends, notes)
            self.cluster.emit(ROUTES, -1, int(ends))
        elif change.node is not None:
            node = self.nodes[change.node]
            if change.azure is not None:
                self.admin[node].put(now, "none" if ends else change.azure, notes)
            elif change.state == "drained":
                if ends:
                    self.power.uncordon(node)
                else:
                    self.power.cordon(node, notes)
            elif ends or change.state == "up":
                self.power.up(node, notes)
                if change.state == "up":
                    self.power.uncordon(node)
                    self.latest[("cordon", change.node)] = -1
            else:
                self.power.down(node, notes)

    def _pod(self, name: str) -> PodState | None:
        return next((pod for pod in self.cluster.pods if pod.name == name), None)


def _error_door(scenario: Scenario) -> int:
    """Return the door of a pod that answers errors.

    Which 5xx it is nobody says, so it is one that is retried as soon as any is.
    """
    on = scenario.stages.ingress.next_upstream.on
    return ERROR_RETRIED if any(word.startswith("http_5") for word in on) else ERROR
