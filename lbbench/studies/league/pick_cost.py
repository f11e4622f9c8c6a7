"""What a pick costs: a balancer by itself, in a compiled loop of picks and answers.

The time is that of one instance on this machine, with two requests per endpoint on their way: of
the balancer alone, without the engine around it. Rounds are told apart because other work on the
machine only ever makes a round longer; the median is kept, and between which rounds it lies.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint, find
from lbbench.core.jit import Bound, bind
from lbbench.core.rng import stream, wrapping
from lbbench.engines.parts import no_count, no_feedback
from lbbench.studies.league.figures import Figure

OUTSTANDING = 2
"""Requests per endpoint that are on their way while others are picked."""

PICKS = 20_000
"""Picks of a round."""

ROUNDS = 25

PAUSE_S = 0.005
"""Sleep before a round: a scheduler hardly interrupts who has just slept."""

INSIDE = 7
"""The median of 25 rounds lies between the 8th and the 18th with 95.7 % (binomial law)."""

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
        if endpoint >= 0:
            busy[endpoint] += 1
            counted(state, endpoint, busy[endpoint])
        away[place] = endpoint
        place += 1
        if place == away.size:
            place = 0


class PickLoop:
    """A balancer that lists ``size`` endpoints, its loop of picks compiled.

    Raises
    ------
    BalancerError
        When there is no such balancer.
    """

    def __init__(
        self, name: str, size: int, n_picks: int = PICKS, folder: Path | None = None
    ) -> None:
        self.balancer: Balancer = find(name, folder)
        self.size = size
        source = np.random.default_rng(1)
        self.keys = keys_for(
            self.balancer, self.balancer.options({}), source.integers(0, 2**32, n_picks)
        )
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
            counted=self.balancer.on_busy or no_count,
        )
        with wrapping():
            self.loop.prepare(*self._arguments())

    def run(self) -> None:
        """Pick once per key."""
        with wrapping():
            self.loop(*self._arguments())

    def _arguments(self) -> tuple[Any, ...]:
        return (self.state, self.rng, self.keys, self.busy, NOBODY, self.rtt, self.away,
                self.chosen)  # fmt: skip


def keys_for(balancer: Balancer, options: Mapping[str, Any], numbers: np.ndarray) -> np.ndarray:
    """Return what a balancer gets as keys: the numbers, or what its own digest makes of them."""
    if balancer.digest is None:
        return numbers
    digest = balancer.digest(options)
    texts = (str(ip_address(int(n))) if balancer.hash_by else f"/k{n}" for n in numbers)
    return np.array([digest(text.encode()) for text in texts], np.int64)


def state_of(balancer: Balancer, size: int, rng: np.ndarray) -> Any:
    """Return the state of an instance that lists ``size`` endpoints."""
    names = sorted(f"10.{64 + i // 65536}.{i // 256 % 256}.{i % 256}:8080" for i in range(size))
    state = balancer.state(balancer.options({}), tuple(Endpoint(name) for name in names))
    if balancer.on_endpoints is not None:
        with wrapping():
            balancer.on_endpoints(state, rng, NOBODY, np.arange(size), 0.0)
    return state


def prepare_picks(name: str, size: int, folder: str) -> None:
    """Compile the loop of a balancer; what fails fails again, and is told, when it is timed."""
    PickLoop(name, size, folder=Path(folder))


def picks_per_s(name: str, size: int, folder: str) -> Figure:
    """Return the picks per second of one core: the median round, with its 95 % interval."""
    loop = PickLoop(name, size, folder=Path(folder))
    loop.run()
    taken = []
    for _ in range(ROUNDS):
        time.sleep(PAUSE_S)
        started = time.perf_counter()
        loop.run()
        taken.append(time.perf_counter() - started)
    taken.sort()
    slow, fast = taken[ROUNDS - 1 - INSIDE], taken[INSIDE]
    return Figure(PICKS / taken[ROUNDS // 2], (PICKS / slow, PICKS / fast))
