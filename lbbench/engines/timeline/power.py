"""Nodes that go down, come back, are drained and uncordoned.

A node that goes down takes its pods with it, and nobody is told: clients of what was inside hear
nothing. The API marks it NotReady after NODE_GRACE, which is when its endpoints leave the lists.
When it is up again its pods start anew on it and are listed at once.
"""

from __future__ import annotations

from lbbench.engines.script import EMPTY, LOST, NODE
from lbbench.engines.timeline.cluster import Cluster
from lbbench.engines.timeline.condition import Conditions
from lbbench.engines.timeline.lifecycle import Deployment
from lbbench.engines.timeline.readiness import Kubelet
from lbbench.engines.timeline.track import Notes

NODE_GRACE = 40.0
"""Seconds without a heartbeat until a node is NotReady: kube-controller-manager's
--node-monitor-grace-period, 40 s before release 1.32, 50 s since (kubernetes/kubernetes#126287)."""


class Power:
    """Alters nodes."""

    def __init__(
        self, cluster: Cluster, conditions: Conditions, deployment: Deployment, kubelet: Kubelet
    ) -> None:
        self.cluster = cluster
        self.conditions = conditions
        self.deployment = deployment
        self.kubelet = kubelet

    def down(self, number: int, notes: Notes) -> None:
        """Let node ``number`` lose power; nothing if it is down."""
        cluster = self.cluster
        node = cluster.nodes[number]
        if not node.up:
            return
        node.notes = notes
        pods = cluster.pods_on(number)
        node.up = False
        node.boots += 1
        cluster.node_up[number].put(cluster.now, False, notes)
        cluster.emit(NODE, number, 0)
        for pod in pods:
            cluster.concern(pod, notes)
            if pod.leaving:
                pod.gone = cluster.now
            self.deployment.set_member(pod, is_member=False)
            self.conditions.refresh(pod)
            cluster.emit(EMPTY, pod.number, LOST)
        boots = node.boots
        cluster.at(cluster.now + NODE_GRACE, lambda: self._mark(number, boots))

    def _mark(self, number: int, boots: int) -> None:
        node = self.cluster.nodes[number]
        if node.up or node.boots != boots:
            return
        node.marked = True
        self._relist(number)

    def up(self, number: int, notes: Notes) -> None:
        """Boot node ``number`` if it is down."""
        cluster = self.cluster
        node = cluster.nodes[number]
        if node.up:
            return
        node.notes = notes
        node.up, node.marked = True, False
        cluster.node_up[number].put(cluster.now, True, notes)
        cluster.emit(NODE, number, 1)
        for pod in cluster.pods_on(number):
            cluster.concern(pod, notes)
            if pod.started:
                self.conditions.restart(pod)
                self.deployment.set_member(pod, is_member=True)
                self.kubelet.watch(pod)
            else:
                self.conditions.refresh(pod)
                self.deployment.start_later(pod)
        self._relist(number)

    def cordon(self, number: int, notes: Notes) -> None:
        """Drain node ``number``: it takes no new pods, and those on it are evicted.

        Ingress replicas and kube-proxy belong to DaemonSets and stay.
        """
        self.cluster.nodes[number].cordoned = True
        self.deployment.evict(number, notes)

    def uncordon(self, number: int) -> None:
        """Let node ``number`` take pods again."""
        self.cluster.nodes[number].cordoned = False

    def _relist(self, number: int) -> None:
        """Tell the API's lists whether the node is NotReady: its pods and its ingress replicas."""
        notes = self.cluster.nodes[number].notes
        self.cluster.touch(notes)
        for pod in self.cluster.pods_on(number):
            self.cluster.list_anew(pod, notes)
