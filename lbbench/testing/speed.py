"""How long a pick takes: compiled, or in plain Python where it cannot be compiled."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.core.jit import bind
from lbbench.core.rng import wrapping
from lbbench.engines.parts import no_count, no_feedback
from lbbench.studies.league.pick_cost import OUTSTANDING, keys_for, picks
from lbbench.testing.script import endpoints_of
from lbbench.testing.watched import stream_of, with_parts

SIZES = (16, 4096)
ROUNDS = 3


def nanoseconds_per_pick(
    balancer: Balancer, options: Mapping[str, Any], size: int, *, compiled: bool, n_picks: int
) -> float:
    """Return the shortest of a few rounds, nanoseconds per pick with its answer."""
    parts: dict[str, Any] = {
        "pick": balancer.pick,
        "done": balancer.done or no_feedback,
        "counted": balancer.on_busy or no_count,
    }
    source = np.random.default_rng(1)
    keys = keys_for(balancer, options, source.integers(0, 2**32, n_picks))
    rtt, chosen = source.exponential(0.02, n_picks), np.zeros(n_picks, np.int64)
    rng, listed = stream_of(balancer, 1), np.arange(size)
    nobody = np.zeros(0, np.int64)
    best = float("inf")
    with wrapping():
        state = balancer.state(dict(options), endpoints_of(size))
        if balancer.on_endpoints is not None:
            balancer.on_endpoints(state, rng, nobody, listed, 0.0)
        busy, away = np.zeros(size, np.int64), np.full(OUTSTANDING * size, -1, np.int64)
        args = (state, rng, keys, busy, nobody, rtt, away, chosen)
        loop: Callable[..., Any] = with_parts(picks, parts)
        if compiled:
            loop = bound = bind(picks, **parts)
            bound.prepare(*args)
        for _ in range(ROUNDS):
            started = time.perf_counter()
            loop(*args)
            best = min(best, time.perf_counter() - started)
    return best / n_picks * 1e9
