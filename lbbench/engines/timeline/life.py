"""The life of a cluster: from a scenario's timeline to the steps that the engines merge in.

Nothing of it depends on a request, so it runs forward once. The timeline is played on the cluster
(`play.py`), which gives the CHANGE steps and the lists in the API over time. Everybody's view
follows from those by clocks of their own: the nodes' rules (`rules.py`), the load balancer's probes
through these rules (`probes.py`, `pool.py`), the ingress workers' lists (`sync.py`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from lbbench.core.rng import stream, uniform, wrapping
from lbbench.engines.script import N_CHANGES, NODE_VIEW, Step
from lbbench.engines.timeline.cluster import Endpoints
from lbbench.engines.timeline.health import Patients, checked_views, health_track
from lbbench.engines.timeline.play import Played, play
from lbbench.engines.timeline.policy import NodeRules, Policy
from lbbench.engines.timeline.pool import Pool, pool_views
from lbbench.engines.timeline.probes import Scene, verdict_track
from lbbench.engines.timeline.rules import node_rules
from lbbench.engines.timeline.sync import replica_views
from lbbench.engines.timeline.track import Track
from lbbench.engines.timeline.view import View
from lbbench.errors import ScenarioError
from lbbench.model.scenario import Scenario
from lbbench.model.topology import POD_PORT, PodInfo, ReplicaInfo, Topology, free_addresses


@dataclass(frozen=True, kw_only=True)
class ChangeNote:
    """One entry of the timeline that happened, or the end of one.

    Attributes
    ----------
    at
        Seconds.
    text
        What happened, for instance "pod-4 fails: refuse".
    pods, nodes
        Numbers of what it concerns: pods that it created, ended or hit; the node that it names.
    list_changed_at
        When a list in the API changed first because of it, None: never.
    first_view_at, last_view_at
        The first and the last VIEW step behind which it is, None: there is none. A step that takes
        several changes together counts for all of them.
    """

    at: float
    text: str
    pods: tuple[int, ...]
    nodes: tuple[int, ...]
    list_changed_at: float | None
    first_view_at: float | None
    last_view_at: float | None


@dataclass(frozen=True, kw_only=True)
class Life:
    """What happens to a cluster during a run, and how everything stands when it begins.

    At the beginning every pod has its own speed and an open door, nodes are up, routes are there,
    and ``first_pods`` and ``canary_pods`` are members.

    Attributes
    ----------
    topology
        The cluster with all pods that ever exist: the first ones, the canary's, then the later ones
        in order of birth.
    first_pods, canary_pods
        Numbers of the pods that are listed at the beginning, which is also every worker's list; and
        of the second backend, whose list never changes.
    born, gone
        When each pod exists, seconds: from its creation until it is killed; 0 and inf without a
        change.
    steps
        In order of time; at equal times changes first, then views by balancer, node, worker.
    changes
        What happened, in order.
    lb_first, node_first, node_drops
        The nodes eligible at the beginning; what the rules of each node list; whether an empty list
        drops (else it rejects).
    """

    topology: Topology
    first_pods: tuple[int, ...]
    canary_pods: tuple[int, ...]
    born: tuple[float, ...]
    gone: tuple[float, ...]
    steps: tuple[Step, ...]
    changes: tuple[ChangeNote, ...]
    lb_first: tuple[int, ...]
    node_first: tuple[tuple[int, ...], ...]
    node_drops: tuple[bool, ...]


def life_of(scenario: Scenario, top: Topology, *, replication: int, horizon: float) -> Life:
    """Return the life of ``scenario``'s cluster up to ``horizon`` seconds, a finite time.

    Raises
    ------
    ScenarioError
        When a node runs out of addresses for new pods.
    """
    if not math.isfinite(horizon):
        raise ValueError(f"horizon = {horizon}: must be finite, or probes would go on for ever")
    with wrapping():
        top, canary = _with_canary(scenario, top)
        played = play(scenario, top, frozenset(canary), replication=replication, horizon=horizon)
        views = _Views(scenario, top, played, replication, horizon)
        rules = views.rules()
        lb_first, lb_views = views.pool(rules)
        # by balancer, node, worker: what happens at the same time keeps this order
        seen = [*lb_views, *_rule_views(rules), *views.workers()]
    seen = [view for view in seen if view.step.time <= horizon]
    cluster = played.cluster
    return Life(
        topology=replace(top, pods=tuple(cluster.infos)),
        first_pods=cluster.pod_lists.values[0].ready,
        canary_pods=canary,
        born=tuple(pod.born for pod in cluster.pods),
        gone=tuple(pod.gone for pod in cluster.pods),
        steps=_in_order(cluster.steps, [view.step for view in seen]),
        changes=_notes(played, seen),
        lb_first=lb_first,
        node_first=tuple(track.values[0].listed for track in rules),
        node_drops=tuple(track.values[0].drops for track in rules),
    )


class _Views:
    """Everybody's view, each from its own streams."""

    def __init__(
        self, scenario: Scenario, top: Topology, played: Played, replication: int, horizon: float
    ) -> None:
        self.scenario = scenario
        self.top = top
        self.played = played
        self.seed = scenario.run.seed
        self.replication = replication
        self.horizon = horizon
        self.ingress = scenario.path == "ingress"
        self.local = scenario.stages.kube_proxy.external_traffic_policy == "Local"
        targets = top.replicas if self.ingress else played.cluster.infos
        self.target_node = [item.node for item in targets]

    def rules(self) -> list[Track[NodeRules]]:
        spec = self.scenario.stages.kube_proxy
        cluster = self.played.cluster
        lists = cluster.replica_lists if self.ingress else cluster.pod_lists
        policy = Policy(
            self.target_node,
            [node.zone for node in self.top.nodes],
            local=self.local,
            topology=spec.topology,
        )
        return [
            node_rules(
                lists,
                cluster.node_up[i],
                policy,
                i,
                rng=self._stream(f"kube-proxy {node.name}"),
                min_sync_period=float(spec.min_sync_period),
                horizon=self.horizon,
            )
            for i, node in enumerate(self.top.nodes)
        ]

    def pool(self, rules: Sequence[Track[NodeRules]]) -> tuple[tuple[int, ...], list[View]]:
        spec = self.scenario.stages.azure_lb
        cluster = self.played.cluster
        kind = spec.probe.kind
        scene = Scene(
            node_up=cluster.node_up,
            rules=rules,
            routes=cluster.routes,
            target_node=self.target_node,
            doors={} if self.ingress else cluster.doors,
            kind=("http" if self.local else "tcp") if kind == "auto" else kind,
            local=self.local,
        )
        verdicts = [
            verdict_track(
                scene,
                i,
                name=node.name,
                seed=self.seed,
                replication=self.replication,
                interval=float(spec.probe.interval),
                threshold=spec.probe.threshold,
                horizon=self.horizon,
            )
            for i, node in enumerate(self.top.nodes)
        ]
        return pool_views(Pool(spec.sku, spec.on_all_down), verdicts, self.played.admin)

    def workers(self) -> list[View]:
        spec = self.scenario.stages.ingress
        lists = _ready_lists(self.played.cluster.pod_lists)
        count = self.top.workers_per_replica
        views: list[View] = []
        for r, replica in enumerate(self.top.replicas if self.ingress else ()):
            interval = float(spec.sync.worker_interval)
            names = [f"worker {replica.name}/{k}" for k in range(count)]
            workers = range(r * count, (r + 1) * count)
            told = replica_views(
                lists,
                self.played.cluster.node_up[replica.node],
                workers,
                [uniform(self._stream(name)) * interval for name in names],
                rate=spec.sync.rate_limit,
                interval=interval,
                release=spec.release,
                horizon=self.horizon,
            )
            tracks = self._health(replica)
            if tracks and not isinstance(spec.health_check, str):
                panic = spec.health_check.panic
                told = checked_views(told, lists.values[0], tracks, workers, panic=panic)
            views += told
        return views

    def _health(self, replica: ReplicaInfo) -> dict[int, Track[bool]]:
        """Return which pods a replica's own checks hold unhealthy at some time, by number."""
        spec, cluster = self.scenario.stages.ingress.health_check, self.played.cluster
        if isinstance(spec, str):
            return {}
        node = [pod.node for pod in cluster.infos]
        seen = Patients(node, cluster.doors, cluster.still, cluster.routes)
        found = {
            pod: health_track(
                seen,
                pod,
                replica.node,
                spec,
                name=f"health {replica.name} {info.name}",
                seed=self.seed,
                replication=self.replication,
                horizon=self.horizon,
            )
            for pod, info in enumerate(cluster.infos)
        }
        return {pod: track for pod, track in found.items() if len(track.times) > 1}

    def _stream(self, instance: str) -> np.ndarray:
        return stream(self.seed, self.replication, "timeline", instance)


def _with_canary(scenario: Scenario, top: Topology) -> tuple[Topology, tuple[int, ...]]:
    """Return the cluster with the canary's pods, each on the node with the fewest."""
    names = scenario.stages.ingress.canary_names() if scenario.path == "ingress" else []
    spec = scenario.cluster.pod
    free = free_addresses(top)
    pods = list(top.pods)
    live = [0] * len(top.nodes)
    for pod in pods:
        live[pod.node] += 1
    for name in names:
        node = live.index(min(live))
        live[node] += 1
        try:
            address = free.take(node, POD_PORT)
        except ValueError as error:
            raise ScenarioError(f"stages.ingress.canary: {error}") from None
        pods.append(PodInfo(name, node, address, spec.speed, spec.concurrency))
    return replace(top, pods=tuple(pods)), tuple(range(len(top.pods), len(pods)))


def _ready_lists(lists: Track[Endpoints]) -> Track[tuple[int, ...]]:
    """Return what the ingress controller takes: ready pods only."""
    ready = Track(lists.values[0].ready)
    for time, endpoints, notes in lists.changes():
        ready.put(time, endpoints.ready, notes)
    return ready


def _rule_views(rules: Sequence[Track[NodeRules]]) -> list[View]:
    """Return the steps by which the nodes' rules change.

    That the last ready endpoint of a node drains changes its answer to probes, not its list.
    """
    views: list[View] = []
    for node, track in enumerate(rules):
        listed, drops, _ = track.values[0]
        for time, found, notes in track.changes():
            if (found.listed, found.drops) != (listed, drops):
                listed, drops, _ = found
                step = Step(time=time, op=NODE_VIEW, a=node, b=int(drops), listed=listed)
                views.append(View(step, notes))
    return views


def _in_order(changes: Iterable[Step], views: Iterable[Step]) -> tuple[Step, ...]:
    """Return all steps by time, changes before views, else in the order given."""
    return tuple(sorted([*changes, *views], key=lambda step: (step.time, step.op >= N_CHANGES)))


def _notes(played: Played, views: Iterable[View]) -> tuple[ChangeNote, ...]:
    cluster = played.cluster
    listed: dict[int, list[float]] = {}
    seen: dict[int, list[float]] = {}
    for track in (cluster.pod_lists, cluster.replica_lists):
        for time, _, notes in track.changes():
            for note in notes:
                listed.setdefault(note, []).append(time)
    for view in views:
        if view.step.op >= N_CHANGES:
            for note in view.notes:
                seen.setdefault(note, []).append(view.step.time)
    return tuple(
        ChangeNote(
            at=told.at,
            text=told.text,
            pods=told.pods,
            nodes=told.nodes,
            list_changed_at=min(listed.get(i, ()), default=None),
            first_view_at=min(seen.get(i, ()), default=None),
            last_view_at=max(seen.get(i, ()), default=None),
        )
        for i, told in enumerate(played.told)
    )
