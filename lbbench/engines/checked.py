"""Picks of somebody's own balancer in compiled code: what is out of range is an error.

Compiled code would read beyond its arrays. Built-in balancers, which their tests hold to the range,
are called without this.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.balancers.fault import is_own
from lbbench.core.held import bounded

own_azure_pick: Callable[..., int] | None = None  # bound by `bind`, as is `own_pod_pick`
own_pod_pick: Callable[..., int] | None = None


@bounded
def within(place: int, busy: np.ndarray) -> int:
    """Return ``place`` if it is -1 or a position; compiled code has no ``raise``, but bounds."""
    if place == -1:
        return place
    at = place if place >= 0 else busy.size
    return place + 0 * busy[at]


def checked_azure_pick(
    state: Any, rng: np.ndarray, now: float, key: int, busy: np.ndarray, tried: np.ndarray
) -> int:
    """Pick a node with a balancer of somebody's own."""
    place = own_azure_pick(state, rng, now, key, busy, tried)  # type: ignore[misc]
    return within(place, busy)


def checked_pod_pick(
    state: Any, rng: np.ndarray, now: float, key: int, busy: np.ndarray, tried: np.ndarray
) -> int:
    """Pick a pod with a balancer of somebody's own."""
    place = own_pod_pick(state, rng, now, key, busy, tried)  # type: ignore[misc]
    return within(place, busy)


def pick_parts(azure: Balancer, pod: Balancer) -> dict[str, Any]:
    """Return the parts of a kernel that pick nodes and pods."""
    parts: dict[str, Any] = {"azure_pick": azure.pick, "pod_pick": pod.pick}
    if is_own(azure):
        parts |= {"azure_pick": checked_azure_pick, "own_azure_pick": azure.pick}
    if is_own(pod):
        parts |= {"pod_pick": checked_pod_pick, "own_pod_pick": pod.pick}
    return parts
