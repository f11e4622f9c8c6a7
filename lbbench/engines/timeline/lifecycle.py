"""Which pods there are: one Deployment that scales, rolls out and replaces what a drain evicts.

The Deployment is brought to what it should be after every change, as its controller does. A pod
that terminates leaves the endpoints at once, serves on for `drain` seconds (its preStop hook), then
takes no new connection, and is killed `grace` seconds after the beginning. Pods of a node that is
down are not replaced: that happens only after 5 minutes (the tolerance of the not-ready taint) and
is left out. The canary's pods belong to another Deployment, which nothing changes.
"""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

from lbbench.engines.script import DROP_IDLE, EMPTY, MEMBER, RESET
from lbbench.engines.timeline.antagonists import Antagonists
from lbbench.engines.timeline.cluster import Cluster, PodState
from lbbench.engines.timeline.condition import Conditions
from lbbench.engines.timeline.readiness import Kubelet
from lbbench.engines.timeline.track import NOBODY, Notes
from lbbench.errors import ScenarioError
from lbbench.model.cluster import PodSpec
from lbbench.model.timeline import Rollout, Scale
from lbbench.model.topology import POD_PORT, FreeAddresses, PodInfo

EVICTED = Rollout()
"""How pods of a drained node go and how their replacements come: with a rollout's usual times."""


class _Making(NamedTuple):
    """How new pods come."""

    ready_after: float
    notes: Notes


class _Ending(NamedTuple):
    """How surplus pods go."""

    drain: float
    grace: float
    notes: Notes


class Deployment:
    """The pods of the Service that the scenario is about."""

    def __init__(
        self,
        cluster: Cluster,
        conditions: Conditions,
        kubelet: Kubelet,
        antagonists: Antagonists,
        spec: PodSpec,
        free: FreeAddresses,
        next_number: int,
    ) -> None:
        self.cluster = cluster
        self.conditions = conditions
        self.kubelet = kubelet
        self.antagonists = antagonists
        self.spec = spec
        self.free = free
        self.next_number = next_number
        # by pod number, ascending; `old` are those that a rollout is to replace
        self.old: dict[int, PodState] = {}
        self.new = {pod.number: pod for pod in cluster.pods if not pod.canary}
        self.waiting: deque[_Making] = deque()  # for a node that takes pods
        self.desired = len(self.new)
        self.generation = 0
        self.rolling: Rollout | None = None
        self._making = _Making(EVICTED.ready_after, NOBODY)
        self._ending = _Ending(EVICTED.drain, EVICTED.grace, NOBODY)

    # --- what is asked of it --------------------------------------------------------------------

    def scale(self, spec: Scale, notes: Notes) -> None:
        """Want another number of pods."""
        self.desired = spec.pods
        self._making = _Making(spec.ready_after, notes)
        self._ending = _Ending(spec.drain, spec.grace, notes)

    def roll_out(self, spec: Rollout, notes: Notes) -> None:
        """Want every pod of now replaced."""
        self.old |= self.new
        self.new = {}
        self.waiting.clear()
        self.generation += 1
        self.rolling = spec
        self._making = _Making(spec.ready_after, notes)
        self._ending = _Ending(spec.drain, spec.grace, notes)

    def evict(self, node: int, notes: Notes) -> None:
        """Terminate the pods on ``node``."""
        if self.rolling is None:
            self._making = _Making(EVICTED.ready_after, notes)
        ending = _Ending(EVICTED.drain, EVICTED.grace, notes)
        for pod in self.cluster.pods_on(node):
            if not (pod.leaving or pod.canary):
                self._terminate(pod, ending)

    # --- the controller -------------------------------------------------------------------------

    def settle(self) -> None:
        """Create and terminate pods until nothing more may be done at this time."""
        while self.waiting and self._place(self.waiting[0]):
            self.waiting.popleft()
        while self._create_one() or self._end_one():
            pass
        if not self.old:
            self.rolling = None

    def _create_one(self) -> bool:
        fresh = len(self.new) + len(self.waiting)
        surge = self.rolling.max_surge if self.rolling else 0
        if fresh >= self.desired or fresh + len(self.old) >= self.desired + surge:
            return False
        if not self._place(self._making):
            self.waiting.append(self._making)
        return True

    def _end_one(self) -> bool:
        fresh = len(self.new) + len(self.waiting)
        surge = self.rolling.max_surge if self.rolling else 0
        if fresh > self.desired:
            if self.waiting:
                self.waiting.pop()
            else:
                self._terminate(self.new[next(reversed(self.new))], self._ending)
            return True
        if self.old:
            too_many = fresh + len(self.old) > self.desired + surge
            victim = next(iter(self.old.values())) if too_many else self._replaceable()
            if victim is not None:
                self._terminate(victim, self._ending)
                return True
        return False

    def _replaceable(self) -> PodState | None:
        """Return the old pod that a rollout may terminate now.

        Those that are not ready go first: nobody misses them, and a rollout would wait for them for
        ever. The others go in ascending order while more than enough pods are available.
        """
        least = self.desired - (self.rolling.max_unavailable if self.rolling else 0)
        ready = self.cluster.ready_of
        fresh_ready = ready.get(self.generation, 0)
        fresh = len(self.new) + len(self.waiting)
        old_ready = len(self.cluster.ready) - fresh_ready
        spare = len(self.old) + fresh - least - (fresh - fresh_ready)
        if spare > 0 and old_ready < len(self.old):
            return next(pod for n, pod in self.old.items() if n not in self.cluster.ready)
        if len(self.cluster.ready) > least:
            return next(iter(self.old.values()))
        return None

    # --- one pod --------------------------------------------------------------------------------

    def _place(self, making: _Making) -> bool:
        """Create a pod on the node that the scheduler takes; False: there is none."""
        cluster = self.cluster
        node = cluster.schedulable()
        if node < 0:
            return False
        name = f"pod-{self.next_number}"
        self.next_number += 1
        try:
            address = self.free.take(node, POD_PORT)
        except ValueError as error:
            raise ScenarioError(f"timeline: {error}") from None
        info = PodInfo(name, node, address, self.spec.speed, self.spec.concurrency)
        pod = PodState(
            len(cluster.pods),
            name,
            node,
            info.speed,
            generation=self.generation,
            ready_after=making.ready_after,
            started=False,
            member=False,
            born=cluster.now,
            pace=info.speed,
        )
        cluster.pods.append(pod)
        cluster.infos.append(info)
        cluster.nodes[node].live += 1
        cluster.concern(pod, making.notes)
        self.new[pod.number] = pod
        self.antagonists.begin(pod)
        self.start_later(pod)
        return True

    def start_later(self, pod: PodState) -> None:
        """Let ``pod`` be ready its `ready_after` from now, unless its node goes down before."""
        if pod.ready_after == 0.0:
            self._start(pod)
            return
        boots = self.cluster.nodes[pod.node].boots
        self.cluster.at(
            self.cluster.now + pod.ready_after,
            lambda: self._start(pod) if self.cluster.nodes[pod.node].boots == boots else None,
        )

    def _start(self, pod: PodState) -> None:
        if pod.leaving or not self.cluster.is_running(pod):
            return
        pod.started = True
        self.set_member(pod, is_member=True)
        self.conditions.cool(pod, self.conditions.cold_start)
        if self.kubelet.spec is not None and self.kubelet.is_failing(pod):
            pod.passing = False
        self.cluster.list_anew(pod, pod.notes)
        self.kubelet.watch(pod)

    def set_member(self, pod: PodState, *, is_member: bool) -> None:
        """Say whether a session may still want ``pod``."""
        if pod.member != is_member:
            pod.member = is_member
            self.cluster.emit(MEMBER, pod.number, int(is_member))

    def _terminate(self, pod: PodState, ending: _Ending) -> None:
        cluster = self.cluster
        drain, grace, notes = ending
        cluster.concern(pod, notes)
        pod.leaving = True
        self.old.pop(pod.number, None)
        self.new.pop(pod.number, None)
        cluster.nodes[pod.node].live -= 1
        self.set_member(pod, is_member=False)
        if pod.number in cluster.ready:
            cluster.draining.add(pod.number)
        cluster.list_anew(pod, notes)
        if not (pod.started and cluster.is_running(pod)):
            pod.gone = cluster.now
        if drain < grace:
            cluster.at(cluster.now + drain, lambda: self._close(pod, notes))
        cluster.at(cluster.now + grace, lambda: self._kill(pod, notes))

    def _close(self, pod: PodState, notes: Notes) -> None:
        """End the preStop hook: the listener closes, what is inside is finished."""
        self._leave(pod, notes)
        if not pod.closed and self.cluster.is_running(pod):
            pod.closed = True
            self.conditions.refresh(pod)
            self.cluster.emit(DROP_IDLE, pod.number)

    def _kill(self, pod: PodState, notes: Notes) -> None:
        self._leave(pod, notes)
        if not self.cluster.is_running(pod):
            return
        if not pod.closed:
            self.cluster.emit(DROP_IDLE, pod.number)
        pod.gone = self.cluster.now
        self.cluster.emit(EMPTY, pod.number, RESET)
        self.conditions.refresh(pod)

    def _leave(self, pod: PodState, notes: Notes) -> None:
        if pod.number in self.cluster.draining:
            self.cluster.draining.discard(pod.number)
            self.cluster.touch(notes)
