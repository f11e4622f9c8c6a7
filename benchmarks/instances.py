"""One instance of a balancer by itself: its state, its loop of picks, how well it spreads."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint, registry
from lbbench.core.jit import Bound, bind
from lbbench.core.rng import stream, wrapping
from lbbench.engines.parts import no_feedback

OUTSTANDING = 2
"""Requests per endpoint that are on their way while others are picked."""

NOBODY = np.zeros(0, np.int64)

pick: Any = None  # bound by `bind`, as are `done` and `counted`
done: Any = None
counted: Any = None


def picks(
    state: Any,
    rng: np.ndarray,
    keys: np.ndarray,
    busy: np.ndarray,
    tried: np.ndarray,
    rtt: np.ndarray,
    away: np.ndarray,
    chosen: np.ndarray,
) -> None:
    """Pick once per key; the answer comes when as many more as ``away`` has room for are picked.

    ``keys`` int64[n], ``busy`` int64[E] all 0, ``rtt`` float64[n] seconds, ``away`` int64[m] all
    -1, ``chosen`` int64[n] is filled.
    """
    place = 0
    for i in range(keys.size):
        now = i * 0.001
        back = away[place]
        if back >= 0:
            busy[back] -= 1
            counted(state, back, busy[back])
            done(state, back, now, rtt[i], True)
        endpoint = pick(state, rng, now, keys[i], busy, tried)
        chosen[i] = endpoint
        busy[endpoint] += 1
        counted(state, endpoint, busy[endpoint])
        away[place] = endpoint
        place += 1
        if place == away.size:
            place = 0


def no_count(state: Any, endpoint: int, busy: int) -> None:
    """Stand in for the hook of a balancer that does not follow how busy endpoints are."""


class Quality(NamedTuple):
    """How a balancer spreads keys over endpoints."""

    max_over_mean: float  # of the picks per endpoint
    cov: float  # their coefficient of variation
    moved: float | None  # share of keys that move when one endpoint leaves; None: not by key
    least: float | None  # the share that has to: that of the endpoint that leaves


class Instance:
    """A balancer that lists ``size`` endpoints, its loop compiled."""

    def __init__(self, name: str, size: int, n_picks: int) -> None:
        self.balancer: Balancer = registry()[name]
        self.size = size
        source = np.random.default_rng(1)
        self.keys = source.integers(0, 2**32, n_picks)
        self.rtt = source.exponential(0.02, n_picks)
        self.chosen = np.zeros(n_picks, np.int64)
        self.rng = stream(1, 0, "benchmark", name)
        self.busy = np.zeros(size, np.int64)
        self.away = np.full(OUTSTANDING * size, -1, np.int64)
        self.state = state_of(self.balancer, size, self.rng)
        self.loop: Bound = bind(
            picks,
            pick=self.balancer.pick,
            done=self.balancer.done or no_feedback,
            counted=getattr(self.balancer, "on_busy", None) or no_count,
        )
        with wrapping():
            self.loop.prepare(*self._arguments())

    def run(self) -> None:
        """Pick once per key."""
        with wrapping():
            self.loop(*self._arguments())

    def quality(self) -> Quality:
        """Return the balance of the last picks, and what moves when the first endpoint leaves."""
        counts = np.bincount(self.chosen, minlength=self.size)
        before = self.chosen.copy()
        balance = float(counts.max() / counts.mean()), float(counts.std() / counts.mean())
        if self.balancer.on_endpoints is None or not self._goes_by_key(before):
            return Quality(*balance, None, None)
        self.change(np.arange(self.size), np.arange(1, self.size))
        busy, self.busy = self.busy, np.zeros(self.size - 1, np.int64)
        self.away.fill(-1)
        self.run()
        moved = float(np.mean(before != self.chosen + 1))  # positions begin with endpoint 1 now
        self.change(np.arange(1, self.size), np.arange(self.size))
        self.busy = busy
        self.busy.fill(0)
        self.away.fill(-1)
        return Quality(*balance, moved, float(np.mean(before == 0)))

    def _goes_by_key(self, before: np.ndarray) -> bool:
        """Tell whether a key gets the same endpoint when its turn is another one."""
        self.keys = np.roll(self.keys, 1)
        self.run()
        self.keys = np.roll(self.keys, -1)
        return bool(np.array_equal(np.roll(before, 1), self.chosen))

    def change(self, old: np.ndarray, new: np.ndarray) -> None:
        """Tell the balancer of another list, as the readable engine does."""
        if self.balancer.on_endpoints is not None:
            with wrapping():
                self.balancer.on_endpoints(self.state, self.rng, old, new, 0.0)

    def _arguments(self) -> tuple[Any, ...]:
        return (
            self.state,
            self.rng,
            self.keys,
            self.busy,
            NOBODY,
            self.rtt,
            self.away,
            self.chosen,
        )


def state_of(balancer: Balancer, size: int, rng: np.ndarray) -> Any:
    """Return the state of an instance that lists ``size`` endpoints."""
    names = sorted(f"10.{64 + i // 65536}.{i // 256 % 256}.{i % 256}:8080" for i in range(size))
    state = balancer.state(balancer.options({}), tuple(Endpoint(name) for name in names))
    if balancer.on_endpoints is not None:
        with wrapping():
            balancer.on_endpoints(state, rng, NOBODY, np.arange(size), 0.0)
    return state
