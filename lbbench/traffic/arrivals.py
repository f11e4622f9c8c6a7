"""When requests arrive: open-loop processes, each with its time-average rate, in blocks of times.

Processes draw unit gaps from the stream ``gaps``. Poisson, deterministic and gamma scale them;
``mmpp`` and ``steps`` read the running sum of unit gaps on the clock of their integrated rate,
which is exact; ``diurnal`` thins a Poisson process of the peak rate. Every running sum is
sequential and goes on from the last value of the block before, so that the times do not depend on
the block size.

`scaled` multiplies a whole process by a number: the way in which `utilisation` sets its rate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from lbbench.traffic.streams import GAPS, STATES, THINNING, Streams

CANDIDATES = 4096  # candidates of a thinned process are drawn in chunks of this size
SOJOURNS = 64  # states of a modulated process are drawn at least so many at a time


class Clock(Protocol):
    """A process in progress."""

    def take(self, n: int) -> np.ndarray:
        """Return the next ``n`` arrival times, float64 seconds; fewer when there are no more."""


class Process(Protocol):
    """An open-loop arrival process."""

    def rate(self, horizon: float) -> float:
        """Return the time-average rate, per second; over ``horizon`` where there is no long run."""

    def expected_end(self, n: int) -> float:
        """Return the time by which ``n`` arrivals are expected, seconds."""

    def scaled(self, factor: float) -> Process:
        """Return the process with every rate multiplied by ``factor``."""

    def start(self, streams: Streams) -> Clock:
        """Return the process at time 0."""


@dataclass(frozen=True)
class Renewal:
    """Independent gaps: Poisson (``cv`` 1), deterministic (0), gamma distributed (any other).

    Attributes
    ----------
    mean_rate
        Requests per second.
    cv
        Coefficient of variation of the gaps; index of dispersion of counts in the long run: cv^2.
    """

    mean_rate: float
    cv: float = 1.0

    def rate(self, horizon: float) -> float:  # noqa: ARG002
        """Return 1 / E[gap]."""
        return self.mean_rate

    def expected_end(self, n: int) -> float:
        """Return n / rate."""
        return n / self.rate(math.inf)

    def scaled(self, factor: float) -> Renewal:
        """Return the process with gaps divided by ``factor``."""
        return replace(self, mean_rate=self.mean_rate * factor)

    def start(self, streams: Streams) -> Clock:
        """Return the process at time 0; the first arrival is one gap later."""
        return _RenewalClock(self, streams)


class _RenewalClock:
    def __init__(self, process: Renewal, streams: Streams) -> None:
        self.stream = streams.open(GAPS)
        self.mean = 1.0 / process.mean_rate
        self.cv = process.cv
        self.now = 0.0

    def take(self, n: int) -> np.ndarray:
        if self.cv == 1.0:
            gaps = self.stream.standard_exponential(n)
            gaps *= self.mean
        elif self.cv == 0.0:
            gaps = np.full(n, self.mean)
        else:
            gaps = self.stream.standard_gamma(self.cv**-2, n)
            gaps *= self.mean * self.cv**2
        times = running_sum(gaps, self.now)
        if n:
            self.now = float(times[-1])
        return times


def running_sum(gaps: np.ndarray, start: float) -> np.ndarray:
    """Return start + g1, (start + g1) + g2, ...: one addition per step, never regrouped.

    Changes ``gaps`` in place and returns it.
    """
    if len(gaps):
        gaps[0] += start
    return np.cumsum(gaps, out=gaps)


@dataclass(frozen=True)
class Modulated:
    """A Poisson process whose rate changes from state to state (mmpp).

    The states follow each other in the order given, over and over; each lasts an exponential time.
    The process starts in its stationary state, so the average holds from t = 0. With two states,
    rates l1, l2 and mean times 1/r12, 1/r21, the index of dispersion of counts tends to
    1 + 2 (l1 - l2)^2 r12 r21 / ((r12 + r21)^2 (l1 r21 + l2 r12)).

    Attributes
    ----------
    rates
        Requests per second in each state.
    means
        Mean time in each state, seconds.
    """

    rates: tuple[float, ...]
    means: tuple[float, ...]

    def rate(self, horizon: float) -> float:  # noqa: ARG002
        """Return the rates weighted by the mean times."""
        return math.fsum(r * m for r, m in zip(self.rates, self.means, strict=True)) / math.fsum(
            self.means
        )

    def expected_end(self, n: int) -> float:
        """Return n / rate."""
        return n / self.rate(math.inf)

    def scaled(self, factor: float) -> Modulated:
        """Return the process with its rates multiplied; the times in the states stay."""
        return replace(self, rates=tuple(rate * factor for rate in self.rates))

    def start(self, streams: Streams) -> Clock:
        """Return the process at time 0, in a state drawn by the shares of time."""
        return _PieceClock(streams, _Sojourns(self, streams))


@dataclass(frozen=True)
class Steps:
    """A Poisson process whose rate is set at given times and kept until the next one.

    Before the first of these times nothing arrives; the last rate holds for ever.

    Attributes
    ----------
    at
        Times of the changes, seconds, ascending.
    rates
        Requests per second from that time on.
    """

    at: tuple[float, ...]
    rates: tuple[float, ...]

    def rate(self, horizon: float) -> float:
        """Return the average rate over 0 .. ``horizon``; steps have no long run of their own."""
        ends = (*self.at[1:], math.inf)
        pieces = zip(self.at, ends, self.rates, strict=True)
        return (
            math.fsum(rate * (min(end, horizon) - at) for at, end, rate in pieces if at < horizon)
            / horizon
        )

    def expected_end(self, n: int) -> float:
        """Return the time at which the integral of the rate reaches ``n``; infinite if never."""
        came = 0.0
        ends = (*self.at[1:], math.inf)
        for at, end, rate in zip(self.at, ends, self.rates, strict=True):
            if rate > 0.0:
                if came + rate * (end - at) >= n:
                    return at + (n - came) / rate
                came += rate * (end - at)
        return math.inf

    def scaled(self, factor: float) -> Steps:
        """Return the process with its rates multiplied; the times of the changes stay."""
        return replace(self, rates=tuple(rate * factor for rate in self.rates))

    def start(self, streams: Streams) -> Clock:
        """Return the process at time 0."""
        ends = [*self.at, math.inf]
        rates = [0.0, *self.rates]
        return _PieceClock(streams, _Listed(np.array(ends), np.array(rates)))


class _Listed:
    """Pieces of constant rate that are all known: they are given out once."""

    def __init__(self, ends: np.ndarray, rates: np.ndarray) -> None:
        self.left: tuple[np.ndarray, np.ndarray] | None = (ends, rates)

    def more(self, _: int) -> tuple[np.ndarray, np.ndarray] | None:
        given, self.left = self.left, None
        return given


class _Sojourns:
    """Pieces of constant rate that are drawn, as many at a time as are asked for."""

    def __init__(self, process: Modulated, streams: Streams) -> None:
        self.stream = streams.open(STATES)
        self.rates = np.array(process.rates)
        self.means = np.array(process.means)
        shares = np.cumsum(self.means)
        first = np.searchsorted(shares, self.stream.random() * shares[-1], side="right")
        self.state = int(min(first, len(shares) - 1))
        self.now = 0.0

    def more(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        states = (self.state + np.arange(n)) % len(self.rates)
        stays = self.stream.standard_exponential(n) * self.means[states]
        ends = running_sum(stays, self.now)
        self.state = (self.state + n) % len(self.rates)
        self.now = float(ends[-1])
        return ends, self.rates[states]


class _PieceClock:
    """Reads the running sum of unit gaps on the clock of a piecewise constant rate.

    With L(t) the integral of the rate, the arrivals of a Poisson process of that rate are
    L^-1(S1), L^-1(S2), ... where S is a Poisson process of rate 1.
    """

    def __init__(self, streams: Streams, pieces: _Listed | _Sojourns) -> None:
        self.stream = streams.open(GAPS)
        self.pieces = pieces
        self.sum = 0.0
        self.start = np.zeros(0)  # seconds
        self.end = np.zeros(0)
        self.rate = np.zeros(0)
        self.sum_at_start = np.zeros(0)
        self.sum_at_end = np.zeros(0)

    def take(self, n: int) -> np.ndarray:
        sums = running_sum(self.stream.standard_exponential(n), self.sum)
        if n == 0:
            return sums
        self.sum = float(sums[-1])
        while not (len(self.end) and self.sum_at_end[-1] >= self.sum):
            if not self._extend():
                break
        piece = np.searchsorted(self.sum_at_end, sums)  # its rate is above 0: the sum grew in it
        sums = sums[: np.searchsorted(piece, len(self.end))]
        piece = piece[: len(sums)]
        times = self.start[piece] + (sums - self.sum_at_start[piece]) / self.rate[piece]
        np.minimum(times, self.end[piece], out=times)  # rounding must not carry past the next piece
        if len(piece):
            self._forget(int(piece[-1]))
        return times

    def _extend(self) -> bool:
        given = self.pieces.more(max(SOJOURNS, len(self.end)))
        if given is None:
            return False
        ends, rates = given
        starts = np.concatenate([self.end[-1:] if len(self.end) else [0.0], ends[:-1]])
        with np.errstate(invalid="ignore"):
            grown = np.where(rates > 0.0, (ends - starts) * rates, 0.0)
        before = float(self.sum_at_end[-1]) if len(self.end) else 0.0
        sums = running_sum(grown, before)
        self.start = np.concatenate([self.start, starts])
        self.end = np.concatenate([self.end, ends])
        self.rate = np.concatenate([self.rate, rates])
        self.sum_at_start = np.concatenate([self.sum_at_start, [before], sums[:-1]])
        self.sum_at_end = np.concatenate([self.sum_at_end, sums])
        return True

    def _forget(self, pieces: int) -> None:
        self.start = self.start[pieces:]
        self.end = self.end[pieces:]
        self.rate = self.rate[pieces:]
        self.sum_at_start = self.sum_at_start[pieces:]
        self.sum_at_end = self.sum_at_end[pieces:]


@dataclass(frozen=True)
class Diurnal:
    """A Poisson process of rate base (1 + amplitude sin(2 pi t / period)).

    Attributes
    ----------
    base
        Requests per second, the average over a whole period.
    amplitude
        0 .. 1, relative to the base.
    period
        Seconds.
    """

    base: float
    amplitude: float
    period: float

    def rate(self, horizon: float) -> float:  # noqa: ARG002
        """Return the average over whole periods."""
        return self.base

    def expected_end(self, n: int) -> float:
        """Return n / rate."""
        return n / self.rate(math.inf)

    def scaled(self, factor: float) -> Diurnal:
        """Return the process with its base multiplied."""
        return replace(self, base=self.base * factor)

    def start(self, streams: Streams) -> Clock:
        """Return the process at time 0, where the rate is the base and rises."""
        return _ThinnedClock(self, streams)


class _ThinnedClock:
    """Keeps a candidate of the peak rate with probability rate(t) / peak."""

    def __init__(self, process: Diurnal, streams: Streams) -> None:
        self.gaps = streams.open(GAPS)
        self.coins = streams.open(THINNING)
        self.process = process
        self.now = 0.0
        self.kept = np.zeros(0)

    def take(self, n: int) -> np.ndarray:
        waiting: Sequence[np.ndarray] = [self.kept]
        there = len(self.kept)
        while there < n:
            fresh = self._thin()
            waiting = [*waiting, fresh]
            there += len(fresh)
        times = np.concatenate(waiting)
        self.kept = times[n:].copy()
        return times[:n]

    def _thin(self) -> np.ndarray:
        p = self.process
        peak = 1.0 + p.amplitude
        gaps = self.gaps.standard_exponential(CANDIDATES)
        gaps *= 1.0 / (p.base * peak)
        times = running_sum(gaps, self.now)
        self.now = float(times[-1])
        level = 1.0 + p.amplitude * np.sin(times * (2.0 * math.pi / p.period))
        kept: np.ndarray = times[self.coins.random(CANDIDATES) * peak < level]
        return kept
