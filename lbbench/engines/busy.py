"""How much is outstanding where, in the fast engine: counted, and told to whom it concerns.

A balancer may want to hear of every change (`Balancer.on_busy`), to keep its endpoints in order
without looking at all of them for a pick.
"""

from __future__ import annotations

import numpy as np

from lbbench.engines.parts import azure_at, azure_counted, pod_at, pod_counted
from lbbench.engines.world import Facts, States, World


def count_attempt(f: Facts, w: World, s: States, worker: int, pod: int, change: int) -> None:
    """Count an attempt of a worker at a pod in (1) or out (-1)."""
    desk = f.worker[worker]
    w.pod_busy[desk.busy, pod] += change
    if f.sees_pods == 0:
        for view in range(desk.first, desk.first + desk.views):
            state = pod_at(s.pod, view, f.view_of[view].common)
            pod_counted(state, pod, w.pod_busy[desk.busy, pod])


def count_inside(f: Facts, w: World, s: States, pod: int, change: int) -> None:
    """Count attempts in or out of a pod."""
    w.in_system[pod] += change
    if f.sees_pods:
        for view in range(f.view_of.size):
            pod_counted(pod_at(s.pod, view, f.view_of[view].common), pod, w.in_system[pod])


def tell_all(f: Facts, w: World, s: States, view: int, row: int) -> None:
    """Tell a view's new state what is outstanding; ``row`` holds what its worker has."""
    by_id = w.in_system if f.sees_pods else w.pod_busy[row]
    for pod in range(by_id.size):
        if by_id[pod] != 0:
            pod_counted(pod_at(s.pod, view, f.view_of[view].common), pod, by_id[pod])


def tell_nodes(s: States, by_id: np.ndarray) -> None:
    """Tell the load balancer how many connections each node has, int64[N]."""
    for node in range(by_id.size):
        azure_counted(azure_at(s.azure, 0, 0), node, by_id[node])
