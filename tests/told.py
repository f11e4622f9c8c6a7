"""Balancers that check what they are told: `on_busy` against the ``busy`` of each pick."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer


class Told(NamedTuple):
    """What one instance was told; E endpoints."""

    busy: np.ndarray  # int64[E] by id
    ids: np.ndarray  # int64[E] by position
    known: np.ndarray  # int64[E] 0: what `common` is made of
    picks: np.ndarray  # int64[3]: checked, numbers above 0 in them, wrong ones


def state(_params, endpoints) -> Told:
    """Return the state of an instance that was told nothing."""
    e = len(endpoints)
    return Told(*(np.zeros(n, np.int64) for n in (e, e, e, 3)))


def on_endpoints(state, _rng, _old, new, _now):
    """Keep the list."""
    for k in range(len(new)):
        state.ids[k] = new[k]


def on_busy(state, endpoint, busy):
    """Keep the number."""
    state.busy[endpoint] = busy


def pick(state, _rng, _now, _key, busy, tried):
    """Check all that is listed, then take the first with the fewest, not where it has failed."""
    best = -1
    for k in range(len(busy)):
        state.picks[0] += 1
        state.picks[1] += busy[k] > 0
        state.picks[2] += state.busy[state.ids[k]] != busy[k]
        failed = len(tried) > 0 and tried[-1] == k
        if not failed and (best < 0 or busy[k] < busy[best]):
            best = k
    return best if best >= 0 else len(busy) - 1


def checking(name: str, **how) -> Balancer:
    """Return a checking balancer."""
    return Balancer(
        name=name,
        level="l7",
        summary="checks what it is told",
        source="tests",
        state=state,
        pick=pick,
        on_endpoints=on_endpoints,
        on_busy=on_busy,
        **how,
    )


OWN = checking("told_own", scope="worker")
REPLICA = checking("told_replica", scope="replica")
SPLIT = checking("told_split", scope="replica", common=("known",))
SEES_REPLICA = checking("told_sees_replica", scope="worker", sees="replica")
PODS = checking("told_pods", scope="shared", sees="pods")
PODS_REPLICA = checking("told_pods_replica", scope="replica", sees="pods", common=("known",))
