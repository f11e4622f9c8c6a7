"""The bare loop: lbbench's balancers doing the job of ``c/j1.c`` with the same methods.

Poisson arrivals, N FIFO pods with one place each, exponential service of mean 50 ms: no network, no
workers, no connections. What is measured is the balancers' own functions, bound as the engines bind
them. The draws are made inside the loop; latencies go into an HDR histogram instead of being kept,
so memory does not grow with the number of requests.

Two methods. *Lindley*: without feedback a pod is the time at which it is free. *Lazy retirement*:
the finished requests of a pod are taken off its list, and told to the balancer, when a pick looks
at that pod; the function through which a pick reads an endpoint is replaced by one that retires
first. It is exact, because what is not looked at is not seen.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.draws import exponential
from benchmarks.instances import state_of
from lbbench.balancers.base import registry
from lbbench.balancers.ewma import EwmaState
from lbbench.balancers.ewma import done as ewma_done
from lbbench.balancers.ewma import score as ewma_score
from lbbench.balancers.p2c import P2cState
from lbbench.core.histogram import FINE, fine_index, quantiles_ns
from lbbench.core.jit import Bound, bind
from lbbench.core.rng import stream, wrapping
from lbbench.engines.parts import no_feedback
from lbbench.engines.timing import nanoseconds

SERVICE_S = 0.05
"""Mean service; ewma's decay of 10 s is then the 200 mean service times of ``c/j1.c``."""

NONE = -1
POOL_PER_POD = 256
"""Requests in the system per pod that there is room for; a run that needs more says so."""

SLOT = np.dtype([("end", "f8"), ("latency", "f8"), ("next", "i8"), ("pad", "i8")])
"""A request that its pod has not retired: when it ends, what it takes (s), who is behind it."""

pick: Any = None  # bound by `bind`, as is `done`
done: Any = None


class Pods(NamedTuple):
    """Requests that are not retired yet, as one list per pod."""

    free_at: np.ndarray  # float64[N] seconds: when the last request of the pod ends
    first: np.ndarray  # int64[N] slot of its oldest request, NONE
    last: np.ndarray  # int64[N]
    outstanding: np.ndarray  # int64[N] requests on its list: what a pick sees as `busy`
    slot: np.ndarray  # SLOT[M]
    spare: np.ndarray  # int64[M + 1] slots that are free, from the start; their number at the end


class EwmaAndPods(NamedTuple):
    """An `EwmaState` with the pods beside it, so that a read of a score can retire."""

    value: np.ndarray
    touched: np.ndarray
    known: np.ndarray
    listed: np.ndarray
    position: np.ndarray
    last_score: np.ndarray
    decay: np.ndarray
    choices: np.ndarray
    lock_hold: np.ndarray
    left: np.ndarray
    mark: np.ndarray
    free_at: np.ndarray
    first: np.ndarray
    last: np.ndarray
    outstanding: np.ndarray
    slot: np.ndarray
    spare: np.ndarray


class P2cAndPods(NamedTuple):
    """A `P2cState` with the pods beside it, so that a look at what is outstanding can retire."""

    choices: np.ndarray
    out: np.ndarray
    free_at: np.ndarray
    first: np.ndarray
    last: np.ndarray
    outstanding: np.ndarray
    slot: np.ndarray
    spare: np.ndarray


class Found(NamedTuple):
    """What a bare run found; times in seconds."""

    requests: int
    mean_s: float
    p50_s: float
    p99_s: float
    counts: np.ndarray  # int64[FINE] latencies
    wall_s: float


# --- the two loops --------------------------------------------------------------------------------


def lindley(
    state: Any,
    balancer_rng: np.ndarray,
    rng: np.ndarray,
    busy: np.ndarray,
    tried: np.ndarray,
    free_at: np.ndarray,
    counts: np.ndarray,
    total: np.ndarray,
    requests: int,
    gap: float,
    service: float,
) -> int:
    """Send ``requests`` through a balancer without feedback; return their number.

    ``free_at`` float64[N] seconds, ``counts`` int64[FINE], ``total`` int64[1] nanoseconds, ``gap``
    and ``service`` mean seconds.
    """
    now = 0.0
    sum_ns = 0
    for _ in range(requests):
        now += exponential(rng) * gap
        pod = pick(state, balancer_rng, now, NONE, busy, tried)
        end = max(free_at[pod], now) + exponential(rng) * service
        free_at[pod] = end
        ns = nanoseconds(end - now)
        counts[fine_index(ns)] += 1
        sum_ns += ns
    total[0] += sum_ns
    return requests


def lazy(
    state: Any,
    balancer_rng: np.ndarray,
    rng: np.ndarray,
    tried: np.ndarray,
    counts: np.ndarray,
    total: np.ndarray,
    requests: int,
    gap: float,
    service: float,
) -> int:
    """Send ``requests`` through a balancer that looks at few pods; return how many went.

    ``state`` has the fields of `Pods`. A latency is counted when the request arrives: a FIFO pod's
    end is known then. Fewer than asked went when there was no room for the next one.
    """
    now = 0.0
    sum_ns = 0
    for number in range(requests):
        now += exponential(rng) * gap
        pod = pick(state, balancer_rng, now, NONE, state.outstanding, tried)
        if state.spare[len(state.slot)] == 0:
            return number
        end = max(state.free_at[pod], now) + exponential(rng) * service
        put(state, pod, end, end - now)
        ns = nanoseconds(end - now)
        counts[fine_index(ns)] += 1
        sum_ns += ns
    total[0] += sum_ns
    return requests


def put(state: Any, pod: int, end: float, latency: float) -> None:
    """Put a request on the list of ``pod``."""
    n_spare = state.spare[len(state.slot)] - 1
    new = state.spare[n_spare]
    state.spare[len(state.slot)] = n_spare
    state.slot[new].end = end
    state.slot[new].latency = latency
    state.slot[new].next = NONE
    if state.first[pod] == NONE:
        state.first[pod] = new
    else:
        state.slot[state.last[pod]].next = new
    state.last[pod] = new
    state.free_at[pod] = end
    state.outstanding[pod] += 1


def retire(state: Any, pod: int, now: float) -> None:
    """Take what ``pod`` has finished by ``now`` off its list and tell the balancer."""
    oldest = state.first[pod]
    while oldest != NONE and state.slot[oldest].end <= now:
        done(state, pod, state.slot[oldest].end, state.slot[oldest].latency, True)
        state.outstanding[pod] -= 1
        n_spare = state.spare[len(state.slot)]
        state.spare[n_spare] = oldest
        state.spare[len(state.slot)] = n_spare + 1
        oldest = state.slot[oldest].next
        state.first[pod] = oldest


def looked_score(state: Any, endpoint: int, now: float) -> float:
    """Return ewma's score of an endpoint after what it has finished is known."""
    retire(state, endpoint, now)
    return ewma_score(state, endpoint, now)


def looked_outstanding(state: Any, busy: np.ndarray, position: int, now: float) -> int:
    """Return how many requests an endpoint has after what it has finished is gone."""
    retire(state, position, now)
    return int(busy[position])


# --- bound and run --------------------------------------------------------------------------------


class Bare:
    """One balancer on N pods, compiled; each `run` begins with empty pods.

    Parameters
    ----------
    balancer
        ``round_robin``, ``random`` (Lindley), ``p2c`` or ``ewma`` (lazy retirement).
    """

    def __init__(self, balancer: str, pods: int) -> None:
        self.balancer = balancer
        self.pods = pods
        self.kernel = _kernel(balancer)
        with wrapping():
            self.compile_s = self.kernel.prepare(*self._arguments(1, 1, 0.8))

    def run(self, requests: int, *, seed: int = 1, utilisation: float = 0.8) -> Found:
        """Return what ``requests`` found, and the seconds of loop and quantiles (not of making).

        Raises
        ------
        RuntimeError
            When more requests are in the system than there is room for.
        """
        arguments = self._arguments(requests, seed, utilisation)
        counts, total = arguments[-5], arguments[-4]
        started = time.perf_counter()
        with wrapping():
            served = self.kernel(*arguments)
        if served < requests:
            raise RuntimeError(
                f"{self.balancer} on {self.pods} pods: after {served} of {requests} requests more "
                f"than {POOL_PER_POD} per pod are in the system; lower the utilisation"
            )
        p50, p99 = quantiles_ns(counts, [0.5, 0.99]) / 1e9
        mean = total[0] / requests / 1e9
        wall_s = time.perf_counter() - started
        return Found(requests, mean, float(p50), float(p99), counts, wall_s)

    def _arguments(self, requests: int, seed: int, utilisation: float) -> tuple[Any, ...]:
        """Return fresh arguments of the kernel: no request was ever there."""
        balancer_rng = stream(seed, 0, "bare", self.balancer)
        rng = stream(seed, 0, "traffic", "")
        gap = SERVICE_S / (utilisation * self.pods)
        tried = np.zeros(0, np.int64)
        counts, total = np.zeros(FINE, np.int64), np.zeros(1, np.int64)
        asked = (counts, total, requests, gap, SERVICE_S)
        if self.balancer in LINDLEY:
            free_at, busy = np.zeros(self.pods), np.zeros(self.pods, np.int64)
            state = state_of(registry()[self.balancer], self.pods, balancer_rng)
            return (state, balancer_rng, rng, busy, tried, free_at, *asked)
        state: Any = _empty_pods(self.pods)
        if self.balancer == "ewma":
            ewma = state_of(registry()["ewma"], self.pods, balancer_rng)
            assert isinstance(ewma, EwmaState)
            state = EwmaAndPods(*ewma, *state)
        else:
            p2c = state_of(registry()["p2c"], self.pods, balancer_rng)
            assert isinstance(p2c, P2cState)
            state = P2cAndPods(*p2c, *state)
        return (state, balancer_rng, rng, tried, *asked)


LINDLEY = ("round_robin", "random")
BALANCERS = ("round_robin", "p2c", "ewma")


def _kernel(balancer: str) -> Bound:
    """Return the loop bound to the balancer's functions."""
    if balancer in LINDLEY:
        return bind(lindley, pick=registry()[balancer].pick)
    if balancer == "ewma":
        return bind(lazy, pick=registry()["ewma"].pick, done=ewma_done, score=looked_score)
    looked: Callable[..., int] = looked_outstanding
    return bind(lazy, pick=registry()["p2c"].pick, done=no_feedback, outstanding=looked)


def _empty_pods(pods: int) -> Pods:
    """Return ``pods`` pods without requests."""
    room = pods * POOL_PER_POD
    return Pods(
        free_at=np.zeros(pods),
        first=np.full(pods, NONE, np.int64),
        last=np.full(pods, NONE, np.int64),
        outstanding=np.zeros(pods, np.int64),
        slot=np.zeros(room, SLOT),
        spare=np.concatenate([np.arange(room)[::-1], [room]]),
    )
