"""Pods, replicas and lists by the numbers that the engines use: positions in order of address.

Balancers see endpoints sorted by address, so an engine's number of a pod or replica is its place
among all that ever exist, in that order.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.engines.instances import Seats
from lbbench.engines.script import (
    LB_VIEW,
    NODE,
    NODE_VIEW,
    WORKER_VIEW,
    Script,
    Step,
    script_of,
)
from lbbench.engines.timeline import Life
from lbbench.engines.views import first_lists
from lbbench.engines.world import Lists

NO_POD = (NODE, LB_VIEW, NODE_VIEW, WORKER_VIEW)
"""Steps whose `a` is no pod."""


@dataclass(frozen=True)
class Layout:
    """What exists at any time of a run, in the order of the addresses."""

    life: Life
    ingress: bool
    pod_order: np.ndarray  # int64[P] the topology's number of the pod with engine number i
    replica_order: np.ndarray  # int64[R] the same for replicas
    pods: tuple[Any, ...]
    replicas: tuple[Any, ...]
    targets: tuple[Any, ...]  # of kube-proxy: replicas, or pods on the service path
    target_node: np.ndarray  # int64[T]

    @property
    def node_lists(self) -> list[np.ndarray]:
        """The targets that each node's rules list at first."""
        return [self.targets_of(listed) for listed in self.life.node_first]

    @property
    def lb_list(self) -> np.ndarray:
        """The nodes that the load balancer holds eligible at first."""
        return np.array(sorted(self.life.lb_first), np.int64)

    def pods_of(self, numbers: Iterable[int]) -> np.ndarray:
        """Return engine numbers of pods, ascending."""
        return np.sort(_inverse(self.pod_order)[_ints(numbers)])

    def targets_of(self, numbers: Iterable[int]) -> np.ndarray:
        """Return engine numbers of targets, ascending."""
        order = self.replica_order if self.ingress else self.pod_order
        return np.sort(_inverse(order)[_ints(numbers)])


def layout_of(life: Life, *, ingress: bool) -> Layout:
    """Return the layout of everything in ``life``."""
    top = life.topology
    pod_order = _by_address(top.pods)
    replica_order = _by_address(top.replicas if ingress else ())
    pods = tuple(top.pods[i] for i in pod_order)
    replicas = tuple(top.replicas[i] for i in replica_order)
    targets: tuple[Any, ...] = replicas if ingress else pods
    target_node = np.array([item.node for item in targets], np.int64)
    return Layout(life, ingress, pod_order, replica_order, pods, replicas, targets, target_node)


def named(items: Iterable[Any]) -> tuple[Endpoint, ...]:
    """Return the endpoints that a balancer's `state` is made of."""
    return tuple(Endpoint(item.address, getattr(item, "weight", 1)) for item in items)


def view_lists(layout: Layout, places: Seats, backends: int) -> list[np.ndarray]:
    """Return the pods of each view at first: those of every instance, main backend and canary."""
    lists = [layout.pods_of(layout.life.first_pods), layout.pods_of(layout.life.canary_pods)]
    return lists[:backends] * max(places.n_own, 1)


def lists_of(layout: Layout, views: Sequence[np.ndarray], nodes: int) -> Lists:
    """Return what every viewer holds at first."""
    azure, azure_seen = first_lists([layout.lb_list], nodes)
    node, node_seen = first_lists(layout.node_lists, len(layout.targets))
    node_seen["drops"] = layout.life.node_drops
    pod, pod_seen = first_lists(list(views), len(layout.pods))
    return Lists(azure, azure_seen, node, node_seen, pod, pod_seen)


def script_for(layout: Layout, places: Seats, backends: int, workers: int) -> Script:
    """Return the steps of the life with the engines' numbers.

    Where the workers of a replica have one view, its first worker's steps are theirs.
    """
    pod_number = _inverse(layout.pod_order)
    replica_number = _inverse(layout.replica_order)
    made: list[Step] = []
    for step in layout.life.steps:
        if step.op == NODE_VIEW:
            made.append(replace(step, listed=tuple(layout.targets_of(step.listed))))
        elif step.op == LB_VIEW:
            made.append(replace(step, listed=tuple(sorted(step.listed))))
        elif step.op == WORKER_VIEW:
            replica, worker = divmod(step.a, workers)
            own = int(places.own_of[replica_number[replica] * workers + worker])
            if worker and own == int(places.own_of[replica_number[replica] * workers]):
                continue
            listed = tuple(layout.pods_of(step.listed))
            made.append(replace(step, a=own * backends, listed=listed))
        elif step.a >= 0 and step.op not in NO_POD:
            made.append(replace(step, a=int(pod_number[step.a])))
        else:
            made.append(step)
    return script_of(made)


def _by_address(items: Sequence[Any]) -> np.ndarray:
    return np.array(sorted(range(len(items)), key=lambda i: items[i].address), np.int64)


def _inverse(order: np.ndarray) -> np.ndarray:
    made = np.zeros(len(order), np.int64)
    made[order] = np.arange(len(order))
    return made


def _ints(numbers: Iterable[int]) -> np.ndarray:
    return np.array(list(numbers), np.int64)
