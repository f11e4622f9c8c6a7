"""The condition of pods, nodes and routes; in a cluster that does not change it is always good."""

from __future__ import annotations

from lbbench.engines.parts import CHANGES
from lbbench.engines.script import OPEN
from lbbench.engines.world import N_ROUTES, World


def door_of(w: World, pod: int) -> int:
    """Return how the pod takes what reaches it: OPEN, REFUSE, ... of script.py."""
    return w.site[pod].door if CHANGES else OPEN


def is_down(w: World, node: int) -> bool:
    """Tell whether the node is down."""
    return CHANGES and w.host[node].up == 0


def is_cut_off(w: World, node: int, other: int) -> bool:
    """Tell whether no packet passes between two nodes, because the routes are gone."""
    return CHANGES and node != other and w.number[N_ROUTES] == 0
