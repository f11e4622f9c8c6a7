"""Expected shares of every stage's targets, by the rules alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.fault import blaming
from lbbench.engines.layout import Layout
from lbbench.engines.parts import instance_view
from lbbench.engines.world import States


def expected_shares(
    layout: Layout,
    balancers: tuple[Balancer, Balancer, Balancer],
    states: States,
    common: tuple[str, ...],
) -> dict[str, np.ndarray]:
    """Return the expected shares by stage, targets in the scenario's order.

    They are those of the lists at the start, without a canary; pods that come later have none.
    """
    azure, node, pod = balancers
    top = layout.life.topology
    by_node = np.zeros(len(top.nodes))
    by_node[layout.lb_list] = list_shares(azure, states.azure, len(layout.lb_list))
    by_target = np.zeros(len(layout.targets))
    for i, ids in enumerate(layout.node_lists):
        if by_node[i] > 0.0 and len(ids):
            by_target[ids] += by_node[i] * list_shares(node, states.node, len(ids), own=i)
    order = layout.replica_order if layout.ingress else layout.pod_order
    shares = {"azure_lb": by_node, "kube_proxy": restored(by_target, order)}
    if layout.ingress:
        workers = top.workers_per_replica
        shares["reuse_port"] = np.repeat(shares["kube_proxy"] / workers, workers)
        by_pod = np.zeros(len(layout.pods))
        ids = layout.pods_of(layout.life.first_pods)
        by_pod[ids] = list_shares(pod, states.pod, len(ids), common=common)
        shares["ingress"] = restored(by_pod, layout.pod_order)
    return shares


def list_shares(
    balancer: Balancer, stacked: Any, n: int, *, own: int = 0, common: tuple[str, ...] = ()
) -> np.ndarray:
    """Return the expected share of each of the ``n`` listed endpoints of one instance.

    Float64[n]: the balancer's own law where it has one (the product of the rules, the exact arcs of
    a ring), 1/n else.
    """
    if n == 0:
        return np.zeros(0)
    if balancer.shares is None:
        return np.full(n, 1.0 / n)
    state = instance_view(type(stacked), common)(stacked, own, 0)
    with blaming(balancer):
        return np.asarray(balancer.shares(state, n), np.float64)


def restored(values: np.ndarray, order: np.ndarray, axis: int = -1) -> np.ndarray:
    """Return ``values`` with its last axis back in the scenario's order."""
    made = np.empty_like(values)
    index: list[Any] = [slice(None)] * values.ndim
    index[axis] = order
    made[tuple(index)] = values
    return made
