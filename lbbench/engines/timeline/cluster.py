"""The cluster while its timeline is played: nodes, pods, what the API lists, and the CHANGE steps.

This file holds the state and its clock. What alters it: `condition.py` a pod's health, `power.py`
a node, `lifecycle.py` which pods there are, `readiness.py` whether the kubelet holds one ready.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from lbbench.engines.script import OPEN, Step
from lbbench.engines.timeline.track import NOBODY, Notes, Track
from lbbench.model.topology import PodInfo, Topology

Action = Callable[[], None]


class Endpoints(NamedTuple):
    """What the API lists for a Service: numbers of its endpoints, ascending."""

    ready: tuple[int, ...]
    draining: tuple[int, ...]  # terminating and still serving


class Door(NamedTuple):
    """How a pod treats what comes (OPEN, ... of `script.py`)."""

    kind: int
    after: float = 0.0  # seconds that an ERROR takes


OPEN_DOOR = Door(OPEN)


@dataclass(slots=True)
class PodState:
    """A pod that exists or has existed."""

    number: int
    name: str
    node: int
    base: float  # speed without any change
    canary: bool = False
    generation: int = 0  # of its Deployment's template
    ready_after: float = 0.0  # seconds from its creation
    started: bool = True  # it has begun to serve
    passing: bool = True  # its readiness probe
    leaving: bool = False  # terminating
    closed: bool = False  # its listener, before it is gone
    member: bool = True  # what the last MEMBER step said
    born: float = 0.0
    gone: float = math.inf
    factor: float = 1.0  # of a `speed` change
    pressure: float = 1.0  # what antagonists leave of its speed
    cold_until: float = -math.inf
    cold_factor: float = 1.0
    paused_until: float = -math.inf
    fault: str = ""  # refuse, blackhole, hang, error
    fault_after: float = 0.0
    pace: float = 1.0  # what the last SPEED step said
    door: Door = OPEN_DOOR  # what the last DOOR step said
    notes: Notes = NOBODY  # the change that it was last subject to


@dataclass(slots=True)
class NodeState:
    """A node."""

    name: str
    up: bool = True
    cordoned: bool = False  # takes no new pods
    marked: bool = False  # NotReady in the API
    boots: int = 0  # what was started before the last boot is void
    live: int = 0  # pods on it that are not leaving
    notes: Notes = NOBODY


@dataclass
class Cluster:
    """The state, its clock and the record of it."""

    nodes: list[NodeState]
    pods: list[PodState]
    infos: list[PodInfo]  # of `pods`
    replica_nodes: tuple[int, ...]
    now: float = 0.0
    steps: list[Step] = field(default_factory=list)
    concerned: dict[int, list[int]] = field(default_factory=dict)  # pods by change
    ready: set[int] = field(default_factory=set)
    draining: set[int] = field(default_factory=set)
    ready_of: dict[int, int] = field(default_factory=dict)  # how many are ready by generation

    def __post_init__(self) -> None:
        self._queue: list[tuple[float, int, Action]] = []
        self._pushed = 0
        self._touched: Notes = NOBODY
        for pod in self.pods:
            self.nodes[pod.node].live += 1
            pod.pace = pod.base
            if not pod.canary:
                self.ready.add(pod.number)
        self.ready_of[0] = len(self.ready)
        self.pod_lists = Track(self._pod_list())
        self.replica_lists = Track(self._replica_list())
        self.node_up = [Track(True) for _ in self.nodes]
        self.routes = Track(True)
        self.doors: dict[int, Track[int]] = {}
        self.still: dict[int, Track[bool]] = {}

    # --- the clock ------------------------------------------------------------------------------

    def at(self, time: float, action: Action) -> None:
        """Have ``action`` done at ``time``; at equal times in the order of asking."""
        heapq.heappush(self._queue, (time, self._pushed, action))
        self._pushed += 1

    def play(self, horizon: float, settle: Action) -> None:
        """Do everything up to ``horizon``, with ``settle`` after each action.

        What the API lists is recorded at the end of each instant: five pods that become ready
        together are one change.
        """
        while self._queue and self._queue[0][0] <= horizon:
            self.now, _, action = heapq.heappop(self._queue)
            action()
            settle()
            if not self._queue or self._queue[0][0] > self.now:
                self._record()

    def _record(self) -> None:
        if self._touched:
            self.pod_lists.put(self.now, self._pod_list(), self._touched)
            self.replica_lists.put(self.now, self._replica_list(), self._touched)
            self._touched = NOBODY

    def _pod_list(self) -> Endpoints:
        return Endpoints(tuple(sorted(self.ready)), tuple(sorted(self.draining)))

    def _replica_list(self) -> Endpoints:
        listed = (i for i, node in enumerate(self.replica_nodes) if not self.nodes[node].marked)
        return Endpoints(tuple(listed), ())

    # --- what happens to it ---------------------------------------------------------------------

    def emit(self, op: int, a: int, b: int = 0, value: float = 0.0) -> None:
        """Add a CHANGE step at the present time."""
        self.steps.append(Step(time=self.now, op=op, a=a, b=b, value=value))

    def touch(self, notes: Notes) -> None:
        """Note that the lists in the API may differ from now on, because of ``notes``."""
        self._touched |= notes

    def concern(self, pod: PodState, notes: Notes) -> None:
        """Remember that ``pod`` is subject to the changes ``notes``."""
        pod.notes = notes
        for note in notes:
            listed = self.concerned.setdefault(note, [])
            if pod.number not in listed[-1:]:
                listed.append(pod.number)

    def list_anew(self, pod: PodState, notes: Notes) -> None:
        """Let the API list ``pod`` as what it is by now."""
        is_ready = (
            pod.started
            and pod.passing
            and not (pod.leaving or pod.canary)
            and not self.nodes[pod.node].marked
        )
        if is_ready == (pod.number in self.ready):
            return
        (self.ready.add if is_ready else self.ready.discard)(pod.number)
        self.ready_of[pod.generation] = self.ready_of.get(pod.generation, 0) + (
            1 if is_ready else -1
        )
        self.touch(notes)

    def schedulable(self) -> int:
        """Return the node for a new pod: the fewest pods, ties to the first; -1: there is none."""
        open_ = [i for i, node in enumerate(self.nodes) if node.up and not node.cordoned]
        return min(open_, key=lambda i: self.nodes[i].live, default=-1)

    def is_running(self, pod: PodState) -> bool:
        """Tell whether ``pod`` has processes: it is not gone and its node is up."""
        return pod.gone > self.now and self.nodes[pod.node].up

    def pods_on(self, node: int) -> list[PodState]:
        """Return the pods on a node that are not gone, ascending."""
        return [pod for pod in self.pods if pod.node == node and pod.gone > self.now]


def cluster_of(top: Topology, canary: frozenset[int]) -> Cluster:
    """Return the settled cluster of ``top``; ``canary`` are the pods of the second backend."""
    pods = [
        PodState(i, item.name, item.node, item.speed, canary=i in canary)
        for i, item in enumerate(top.pods)
    ]
    return Cluster(
        nodes=[NodeState(item.name) for item in top.nodes],
        pods=pods,
        infos=list(top.pods),
        replica_nodes=tuple(item.node for item in top.replicas),
    )
