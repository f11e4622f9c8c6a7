"""Balancer instances: which worker uses which state, row of busy counts and stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.fault import blaming
from lbbench.core.rng import stream
from lbbench.engines.objects import as_objects
from lbbench.engines.parts import instance_view, stacked

NO_IDS = np.zeros(0, np.int64)


class Seats(NamedTuple):
    """For each worker (replica by replica): its own state, the common one, busy counts, stream."""

    own_of: np.ndarray  # int64[W]
    common_of: np.ndarray  # int64[W]
    busy_of: np.ndarray  # int64[W]
    rng_of: np.ndarray  # int64[W]
    streams: list[str]  # name of each stream
    n_own: int
    n_common: int
    common: tuple[str, ...]  # fields of the state that are common


def seats(
    balancer: Balancer, replicas: Sequence[str], workers: int, *, views_differ: bool
) -> Seats:
    """Spread a balancer's state over replicas and their workers by its ``scope``.

    While no list ever changes, the workers of a scope can use one state; else each has the fields
    that are not common for itself, because workers learn of a change at different times.
    """
    count = len(replicas) * workers
    each = np.arange(count, dtype=np.int64)
    none = np.zeros(count, np.int64)
    by_replica = each // max(workers, 1)
    worker_names = [f"{name}/{k}" for name in replicas for k in range(workers)]
    if balancer.scope == "replica":
        split = (views_differ or balancer.threads) and bool(balancer.common)
        return Seats(
            own_of=each if split else by_replica,
            common_of=by_replica,
            busy_of=by_replica,
            rng_of=each if balancer.threads else by_replica,
            streams=worker_names if balancer.threads else list(replicas),
            n_own=count if split else len(replicas),
            n_common=len(replicas),
            common=balancer.common if split else (),
        )
    if balancer.scope == "shared":
        return Seats(
            own_of=each if views_differ else none,
            common_of=none,
            busy_of=by_replica if balancer.sees == "replica" else each,
            rng_of=each,
            streams=worker_names,
            n_own=count if views_differ else 1,
            n_common=1,
            common=balancer.common if views_differ else (),
        )
    busy_of = by_replica if balancer.sees == "replica" else each
    return Seats(each, none, busy_of, each, worker_names, count, 1, ())


def streams(seed: int, replication: int, stage: str, names: Sequence[str]) -> np.ndarray:
    """Return the streams uint64[n, 4] of the named instances of a stage."""
    return np.stack([stream(seed, replication, stage, name) for name in names])


def unlisted(
    balancer: Balancer,
    options: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    n_own: int,
    n_common: int = 1,
    common: Sequence[str] = (),
) -> Any:
    """Return the stacked states of all instances before they got a list; objects as they are."""
    with blaming(balancer):
        own = [balancer.state(options, endpoints) for _ in range(n_own)]
        shared = [balancer.state(options, endpoints) for _ in range(n_common)] if common else []
    return as_objects(balancer, own) or stacked(own, shared, common)


def listed(
    balancer: Balancer,
    states: Any,
    lists: Sequence[np.ndarray],
    rngs: Sequence[np.ndarray],
    commons: Sequence[int] | None = None,
    common: Sequence[str] = (),
) -> None:
    """Give every instance its first endpoint list: ``lists[i]`` holds ids, ``rngs[i]`` its stream.

    A stream is advanced by what the start draws.
    """
    if balancer.on_endpoints is None:
        return
    at = instance_view(type(states), common)
    for i, (ids, rng) in enumerate(zip(lists, rngs, strict=True)):
        state = at(states, i, 0 if commons is None else commons[i])
        with blaming(balancer):
            balancer.on_endpoints(state, rng, NO_IDS, np.asarray(ids, np.int64), 0.0)
