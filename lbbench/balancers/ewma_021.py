"""ewma_0.21: the ewma of ingress-nginx 0.21, every worker for itself.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua at 4e986667 (the end of
2018). Values, decay and the choice of two are those of `ewma`, which see; the rest is not:

- **Nothing is shared.** Each worker has tables of its own, so it learns from its own answers only
  and needs no lock.
- **Any change of the list forgets everything**, another order of the same endpoints too. There is
  no slow start: after each change all endpoints have no value and score 0, and one wins whenever it
  is drawn until its first answer is logged.
- **A retry may draw the endpoint that has just failed**: every pick chooses among all.
- **The first attempt counts**: its endpoint gets its own response time, also when that attempt
  failed, so a pod that refuses looks fast; the endpoint that answered after a retry learns nothing.

A late sample of an endpoint that has left is kept until the next change. Before 0.22 all workers
drew the same unseeded Lua sequence: the engine gives them equal streams.

Deviations: none in the arithmetic. That workers kept the old list when a backend became empty
(until 0.23) is a matter of who calls `on_endpoints`; an empty list here means no endpoint.
Units: seconds, from nginx's clock of 1 ms. Cost per pick: two draws and two exp, O(1); per change
of the list O(E) for E endpoints of the run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.ewma import DECAY_TIME, PICK_SET_SIZE, EwmaState, done
from lbbench.balancers.ewma import pick as pick_untried
from lbbench.balancers.ewma import state as empty_tables


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> EwmaState:
    """Return one worker's empty tables and an empty list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return empty_tables({**params, "lock_hold": 0.0}, endpoints)


def pick(
    state: EwmaState,
    rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the drawn position with the lowest score, whatever failed; -1 without endpoints."""
    return pick_untried(state, rng, now, key, busy, tried[:0])


def on_endpoints(
    state: EwmaState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Take a new list and forget all values, unless it is the old list."""
    if _are_equal(old, new):
        return
    for endpoint in range(len(state.known)):
        state.value[endpoint] = 0.0
        state.touched[endpoint] = 0.0
        state.known[endpoint] = 0
    for k in range(len(new)):
        state.listed[k] = new[k]
        state.position[k] = k


def _are_equal(old: np.ndarray, new: np.ndarray) -> bool:
    if len(old) != len(new):
        return False
    for k in range(len(old)):  # noqa: SIM110  (compiled code has no generators)
        if old[k] != new[k]:
            return False
    return True


EWMA_021 = Balancer(
    name="ewma_0.21",
    level="l7",
    summary="ingress-nginx 0.21 ewma: as ewma, but per worker, forgets at every change",
    source="kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer/ewma.lua@4e986667",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    params=MappingProxyType({"decay": DECAY_TIME, "choices": PICK_SET_SIZE}),
    scope="worker",
    accounts="first",
    clock="ms",
    cost="O(1), two draws and two exp",
    differs=(
        ("ewma", "every worker learns for itself, and forgets everything when the list changes"),
    ),
)
