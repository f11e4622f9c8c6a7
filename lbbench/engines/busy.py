"""Balancers hear how much is outstanding where, in the fast engine (`Balancer.on_busy`).

Arguments are few on purpose: what is called is inlined, and a call that hands on all arrays of a
run costs seconds of compilation.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lbbench.engines.parts import azure_at, azure_counted, pod_at, pod_counted


def tell_views(
    states: Any, view_of: np.ndarray, first: int, views: int, pod: int, busy: int
) -> None:
    """Tell the balancers of ``views`` views from ``first`` that a pod has ``busy`` from now on.

    ``states`` are those of all views, ``view_of`` (VIEW_OF[V]) says what they have in common.
    """
    for view in range(first, first + views):
        pod_counted(pod_at(states, view, view_of[view].common), pod, busy)


def tell_all(states: Any, view: int, common: int, by_id: np.ndarray) -> None:
    """Tell a view's new state what every pod has, int64[P]; 0 it knows."""
    for pod in range(by_id.size):
        if by_id[pod] != 0:
            pod_counted(pod_at(states, view, common), pod, by_id[pod])


def tell_load_balancer(states: Any, by_id: np.ndarray) -> None:
    """Tell the load balancer how many connections each node has, int64[N]."""
    for node in range(by_id.size):
        azure_counted(azure_at(states, 0, 0), node, by_id[node])
