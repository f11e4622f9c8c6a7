"""How long does one pick take? Nanoseconds by balancer and number of endpoints.

The compiled loop holds the pick and, for balancers with feedback, the `done` that follows it. The
quality of the picks stands beside the time: a fast balancer that spreads badly is no good.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from lbbench.balancers.base import Balancer, Endpoint, registry
from lbbench.core.jit import bind
from lbbench.core.rng import stream, wrapping
from lbbench.engines.parts import no_feedback
from lbbench.studies.machine import machine

PICKS = 20_000
SIZES = (16, 256, 4096)

pick: Any = None  # bound by `bind`
done: Any = None


def loop(state, rng, keys, busy, tried, rtt, counts):
    """Pick once per key; the answer comes at once."""
    for i in range(keys.size):
        now = i * 0.001
        chosen = pick(state, rng, now, keys[i], busy, tried)
        counts[chosen] += 1
        done(state, chosen, now, rtt[i], True)


def state_of(balancer: Balancer, size: int, rng: np.ndarray, busy: np.ndarray) -> Any:
    """Return the state of one instance that sees ``size`` endpoints, ``busy`` by id."""
    endpoints = tuple(Endpoint(f"10.{64 + i // 65536}.{i // 256 % 256}.{i % 256}:8080")
                      for i in range(size))  # fmt: skip
    state = balancer.state(balancer.options({}), endpoints)
    if balancer.on_endpoints is not None:
        balancer.on_endpoints(state, rng, np.zeros(0, np.int64), np.arange(size), 0.0)
    if balancer.on_busy is not None:
        for endpoint in range(size):
            balancer.on_busy(state, endpoint, busy[endpoint])
    return state


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", sorted(registry()))
def test_pick(benchmark, name: str, size: int):
    """Time 20 000 picks of one instance; extra_info has ns per pick and the balance."""
    balancer = registry()[name]
    benchmark.group = f"{size} endpoints"
    rng = stream(1, 0, "benchmark", name)
    source = np.random.default_rng(1)
    keys = source.integers(0, 2**32, PICKS)
    rtt = source.exponential(0.02, PICKS)
    busy, tried = source.integers(0, 3, size), np.zeros(0, np.int64)
    counts = np.zeros(size, np.int64)
    with wrapping():
        state = state_of(balancer, size, rng, busy)
        kernel = bind(loop, pick=balancer.pick, done=balancer.done or no_feedback)
        arguments = (state, rng, keys, busy, tried, rtt, counts)
        kernel.prepare(*arguments)
        benchmark.pedantic(kernel, arguments, rounds=10, warmup_rounds=1, iterations=1)
    ns = benchmark.stats.stats.median / PICKS * 1e9
    benchmark.extra_info |= {
        "ns_per_pick": round(ns, 2),
        "max_over_mean": round(float(counts.max() / counts.mean()), 4),
        "cov": round(float(counts.std() / counts.mean()), 4),
        "machine": machine(),
    }
