"""Balancer instances: which worker uses which state, row of busy counts and stream."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import stream
from lbbench.engines.parts import stacked

NO_IDS = np.zeros(0, np.int64)


class Seats(NamedTuple):
    """For each worker (replica by replica): its state, its row of busy counts, its stream."""

    state_of: np.ndarray  # int64[W]
    busy_of: np.ndarray  # int64[W]
    rng_of: np.ndarray  # int64[W]
    streams: list[str]  # name of each stream
    n_states: int


def seats(balancer: Balancer, replicas: Sequence[str], workers: int) -> Seats:
    """Spread a balancer's state over replicas and their workers by its ``scope``."""
    count = len(replicas) * workers
    each = np.arange(count, dtype=np.int64)
    by_replica = each // max(workers, 1)
    worker_names = [f"{name}/{k}" for name in replicas for k in range(workers)]
    if balancer.scope == "replica":
        return Seats(by_replica, by_replica, by_replica, list(replicas), len(replicas))
    if balancer.scope == "shared":
        return Seats(np.zeros(count, np.int64), each, each, worker_names, 1)
    return Seats(each, each, each, worker_names, count)


def streams(seed: int, replication: int, stage: str, names: Sequence[str]) -> np.ndarray:
    """Return the streams uint64[n, 4] of the named instances of a stage."""
    return np.stack([stream(seed, replication, stage, name) for name in names])


def started(
    balancer: Balancer,
    options: Mapping[str, Any],
    endpoints: Sequence[Endpoint],
    lists: Sequence[np.ndarray],
    rngs: np.ndarray,
) -> Any:
    """Return the stacked states of all instances after they got their first endpoint list.

    ``lists[i]`` holds the endpoint ids of instance i; ``rngs`` is advanced by what the start draws.
    """
    states = [balancer.state(options, endpoints) for _ in lists]
    if balancer.on_endpoints is not None:
        for i, (state, ids) in enumerate(zip(states, lists, strict=True)):
            balancer.on_endpoints(state, rngs[min(i, len(rngs) - 1)], NO_IDS, ids, 0.0)
    return stacked(states)
