"""Expected shares of every stage's targets, by the rules alone."""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.engines.parts import instance_view


def list_shares(balancer: Balancer, stacked: Any, instance: int, n: int) -> np.ndarray:
    """Return the expected share of each of the ``n`` listed endpoints of one instance.

    Float64[n]: the balancer's own law where it has one (the product of the rules, the exact arcs of
    a ring), 1/n else.
    """
    if n == 0:
        return np.zeros(0)
    if balancer.shares is None:
        return np.full(n, 1.0 / n)
    state = instance_view(type(stacked))(stacked, instance)
    return np.asarray(balancer.shares(state, n), np.float64)


def node_shares(balancer: Balancer, stacked: Any, healthy: np.ndarray, nodes: int) -> np.ndarray:
    """Return the expected share of connections of every node, float64[N]."""
    shares = np.zeros(nodes)
    shares[healthy] = list_shares(balancer, stacked, 0, len(healthy))
    return shares


def target_shares(
    balancer: Balancer,
    stacked: Any,
    by_node: np.ndarray,
    member: np.ndarray,
    counts: np.ndarray,
    targets: int,
) -> np.ndarray:
    """Return the expected share of connections of every target of kube-proxy, float64[T]."""
    shares = np.zeros(targets)
    for node, weight in enumerate(by_node):
        n = int(counts[node])
        if weight > 0.0 and n:
            shares[member[node, :n]] += weight * list_shares(balancer, stacked, node, n)
    return shares
