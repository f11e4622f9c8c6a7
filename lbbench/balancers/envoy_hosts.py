"""What Envoy's balancers share: the hosts of one priority, which are healthy, and panic.

Originals: envoyproxy/envoy source/extensions/load_balancing_policies/common/load_balancer_impl.cc
at 00cf9a05. A pick chooses among the healthy hosts. Where fewer than ``panic_threshold`` percent
are healthy all hosts are used ("panic"), except that it never comes to that while 140 % of the
healthy share reach 100 % (the overprovisioning factor), so thresholds above 71.4 % have no effect
between the two. ``panic_threshold: 0`` switches panic off: without a healthy host the request gets
an error. What makes a host unhealthy here is outlier detection (`lbbench.balancers.envoy_outlier`);
active health checks are the cluster's readiness, by which hosts leave the list.

Deviations: one priority and one locality, so there is no zone-aware routing and no spill-over;
subsets and retry host predicates are not modelled (a retry is picked for like any other attempt,
which is Envoy's default). Tables and schedules are made anew at the first pick after a change, not
at the change.

The functions take any state that has the fields of `host_fields`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.envoy_outlier import (
    EJECTED,
    OUTLIER,
    VERSION,
    begin_detector,
    detector_fields,
    forget,
    sweep,
    tell,
)
from lbbench.balancers.envoy_outlier import PARAMS as OUTLIER_PARAMS
from lbbench.balancers.figures import number as number_of

NONE = -1
LISTED, USABLE, ALL, BUILT, OWN = range(5)
"""`number`: hosts in the list; hosts that picks choose among; 1: these are all hosts (panic); the
version of the hosts' health that `usable` was made for, -1 for none; the balancer's own."""

WHOLE, OVERPROVISIONED = 100, 140  # percent; Envoy's default overprovisioning_factor

PARAMS: Mapping[str, Any] = MappingProxyType({"panic_threshold": 50, **OUTLIER_PARAMS})
"""Envoy's defaults; percentages are numbers from 0 to 100, as in its configuration."""

HEALTH = ("health", "ejected_at", "detector")
"""Fields that one Envoy has once, whatever its worker threads keep for themselves."""


def host_fields(
    name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint]
) -> dict[str, np.ndarray]:
    """Return the fields of a state that are the same for all of Envoy's balancers; E endpoints.

    ``panic`` float64[1] percent; ``number`` int64[5]; ``ids`` int64[E] endpoint ids by position;
    ``usable`` int64[E] positions that picks choose among; ``weight`` int64[E] by id; and those of
    the outlier detector, `envoy_outlier.detector_fields`.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    n = len(endpoints)
    return {
        "panic": np.array([number_of(name, params, "panic_threshold", 0.0, 100.0)]),
        "number": np.array([0, 0, 0, -1, 0], np.int64),
        "ids": np.zeros(n, np.int64),
        "usable": np.zeros(n, np.int64),
        "weight": np.array([item.weight for item in endpoints], np.int64),
        **detector_fields(name, params, n),
    }


def list_hosts(state: Any, old: np.ndarray, new: np.ndarray, now: float) -> bool:
    """Take the list ``new``; tell whether it is another. What comes and goes has no past."""
    begin_detector(state, now)
    same = len(old) == len(new)
    for k in range(len(new)):
        state.ids[k] = new[k]
        same = same and old[k] == new[k]
    state.number[LISTED] = len(new)
    if same and state.number[BUILT] >= 0:
        return False
    at = 0
    for k in range(len(new)):  # lists are in order of the ids
        while at < len(old) and old[at] < new[k]:
            forget(state, old[at])
            at += 1
        if at < len(old) and old[at] == new[k]:
            at += 1
        else:
            forget(state, new[k])
    while at < len(old):
        forget(state, old[at])
        at += 1
    state.number[BUILT] = -1
    return True


def attend(state: Any, now: float, tried: np.ndarray) -> bool:
    """Learn before a pick what has happened; True: the hosts must be gathered anew.

    A failure is learnt when the request is tried again; the last one of a request by `tell`.
    """
    if state.outlier[OUTLIER] == 1.0:
        sweep(state, now)
        if len(tried) > 0:
            failed = state.ids[tried[len(tried) - 1]]
            tell(state, state.number[LISTED], failed, now, False)
    return bool(state.number[BUILT] != state.detector[VERSION])


def gather(state: Any) -> int:
    """Put the hosts that picks choose among into ``usable``; return how many there are."""
    number = state.number
    n = number[LISTED]
    healthy = 0
    for place in range(n):
        if state.health[EJECTED, state.ids[place]] == 0:
            state.usable[healthy] = place
            healthy += 1
    number[ALL] = 0
    if OVERPROVISIONED * healthy < WHOLE * n and WHOLE * healthy / n < state.panic[0]:
        number[ALL] = 1
        healthy = n
        for place in range(n):
            state.usable[place] = place
    number[USABLE] = healthy
    number[BUILT] = state.detector[VERSION]
    return healthy


def done(state: Any, endpoint: int, now: float, _rtt: float, ok: bool) -> None:  # noqa: FBT001
    """Count an answer or a failure of an endpoint id for outlier detection."""
    if state.outlier[OUTLIER] == 1.0:
        sweep(state, now)
        tell(state, state.number[LISTED], endpoint, now, ok)
