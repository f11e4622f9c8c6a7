"""What queueing theory and elementary probability say: the exact figures that runs are held to.

The unit of time is one mean service time; ``rho`` is the load per server, below 1 unless said.
Servers are first come, first served unless said. Everything here is a closed form or a root, found
to 1e-12, or the stationary law of a Markov chain (`shortest_queue`); nothing is simulated.

References
----------
.. [1] L. Kleinrock, *Queueing Systems*, volumes 1 and 2, Wiley, 1975 and 1976.
.. [2] W. Whitt, "Planning queueing simulations", Management Science 35(11), 1989.
.. [3] G. J. Franx, "A simple solution for the M/D/c waiting time distribution", Operations
   Research Letters 29(5), 2001.
.. [4] M. Mitzenmacher, "The power of two choices in randomized load balancing", IEEE Transactions
   on Parallel and Distributed Systems 12(10), 2001.
.. [5] M. Raab and A. Steger, "Balls into bins: a simple and tight analysis", RANDOM 1998.
.. [6] J. Dean and L. A. Barroso, "The tail at scale", Communications of the ACM 56(2), 2013.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TOLERANCE = 1e-13


@dataclass(frozen=True)
class Response:
    """Law of the response time (wait and service) of one queue."""

    mean: float
    survival: Callable[[float], float]

    @property
    def mean_wait(self) -> float:
        """Return the mean time before service."""
        return self.mean - 1.0

    def quantile(self, p: float) -> float:
        """Return the time that a share ``p`` of the requests does not exceed."""
        return _quantile(self.survival, p)


def _root(of: Callable[[float], float], low: float, high: float) -> float:
    from scipy.optimize import brentq

    return float(brentq(of, low, high, xtol=TOLERANCE, rtol=TOLERANCE))


def _quantile(survival: Callable[[float], float], p: float) -> float:
    high = 1.0
    while survival(high) > 1.0 - p:
        high *= 2.0
    return _root(lambda t: survival(t) - (1.0 - p), 0.0, high)


def _exponential(mean: float) -> Response:
    return Response(mean, lambda t: math.exp(-t / mean))


def mm1(rho: float) -> Response:
    """Return the law of M/M/1, which a random split gives every pod [1]_."""
    return _exponential(1.0 / (1.0 - rho))


def mm1_wait_spread(rho: float) -> float:
    """Return n times the variance of the mean of n successive waits of M/M/1, for large n [2]_."""
    return rho * (2.0 + rho * (5.0 - rho * (4.0 - rho))) / (1.0 - rho) ** 4


def erlang_b(servers: int, offered: float) -> float:
    """Return the share lost by ``servers`` without a queue under ``offered`` load (Erlang B)."""
    blocked = 1.0
    for k in range(1, servers + 1):
        blocked = offered * blocked / (k + offered * blocked)
    return blocked


def erlang_c(servers: int, offered: float) -> float:
    """Return the share that waits for one of ``servers`` behind one queue (Erlang C)."""
    blocked = erlang_b(servers, offered)
    return blocked / (1.0 - offered / servers * (1.0 - blocked))


def mmc(servers: int, rho: float) -> Response:
    """Return the law of M/M/c: one queue before ``servers`` pods, a bound for every balancer.

    A wait has an exponential law of rate c (1 - rho) with probability `erlang_c`; service is added.
    """
    waits = erlang_c(servers, servers * rho)
    rate = servers * (1.0 - rho)

    def survival(t: float) -> float:
        # P(wait + service > t | waits): two exponentials of rates `rate` and 1; as they meet, the
        # difference quotient becomes t exp(-t), which expm1 gives without cancellation.
        gap = (rate - 1.0) * t
        if gap < -1.0:  # nothing cancels, and exp(-gap) may be too large for a float
            return math.exp(-t) + waits * (math.exp(-rate * t) - math.exp(-t)) / (1.0 - rate)
        quotient = t if gap == 0.0 else -t * math.expm1(-gap) / gap
        return math.exp(-t) * (1.0 + waits * quotient)

    return Response(1.0 + waits / rate, survival)


def mm1k(rho: float, places: int) -> tuple[float, float, float]:
    """Return (share refused, mean response of the rest, throughput) of M/M/1/K; any load."""
    weight = [rho**k for k in range(places + 1)]
    whole = math.fsum(weight)
    refused = weight[-1] / whole
    throughput = rho * (1.0 - refused)
    inside = math.fsum(k * w for k, w in enumerate(weight)) / whole
    return refused, inside / throughput, throughput


def mg1_mean_wait(rho: float, scv: float) -> float:
    """Return the mean wait of M/G/1 with squared coefficient of variation ``scv``.

    The formula of Pollaczek and Khinchine.
    """
    return rho * (1.0 + scv) / (2.0 * (1.0 - rho))


def mg1_ps_mean(rho: float, size: float = 1.0) -> float:
    """Return the mean response to work of ``size`` under processor sharing, whatever the law."""
    return size / (1.0 - rho)


def md1_wait_survival(rho: float) -> Callable[[float], float]:
    """Return P(wait > t) of M/D/1 as a function of t.

    Franx's form [3]_: sums of positive terms only, where Erlang's alternating series loses all
    digits for long waits.
    """
    poisson = [math.exp(-rho)]
    law = [1.0 - rho]  # number in the system at a departure
    below = [1.0 - rho]

    def more_than(k: int) -> float:
        """Return P(more than k arrivals during one service)."""
        term = math.exp(-rho + (k + 1) * math.log(rho) - math.lgamma(k + 2))
        tail, i = 0.0, k + 1
        while term > tail * 1e-18:
            tail += term
            i += 1
            term *= rho / i
        return tail

    excess = [more_than(0)]

    def extend(n: int) -> None:
        # What goes up past a level comes down past it, one at a time: all terms are positive.
        while len(law) <= n:
            i = len(law) - 1
            excess.append(more_than(i + 1))
            up = law[0] * excess[i] + math.fsum(law[k] * excess[i - k + 1] for k in range(1, i + 1))
            law.append(up / poisson[0])
            below.append(below[-1] + law[-1])

    def survival(t: float) -> float:
        if t < 0.0:
            return 1.0
        k = math.floor(t) + 1
        extend(k)
        rate = rho * (k - t)
        term, within = math.exp(-rate), 0.0
        for j in range(k):
            within += below[k - j] * term
            term *= rate / (j + 1)
        return 1.0 - within

    return survival


def gm1(laplace: Callable[[float], float]) -> tuple[float, Response]:
    """Return (sigma, law) of G/M/1 from the Laplace transform of the time between arrivals.

    sigma is the root of sigma = laplace(1 - sigma) in (0, 1): the chance to find the server busy.
    The response is exponential with mean 1 / (1 - sigma) [1]_.
    """
    sigma = _root(lambda s: laplace(1.0 - s) - s, 1e-12, 1.0 - 1e-9)
    return sigma, _exponential(1.0 / (1.0 - sigma))


def round_robin(rho: float, pods: int) -> tuple[float, Response]:
    """Return (sigma, law) of one pod when Poisson arrivals take turns over ``pods``: E_n/M/1."""
    return gm1(lambda z: math.exp(-pods * math.log1p(z / (pods * rho))))


def dm1(rho: float) -> tuple[float, Response]:
    """Return (sigma, law) of D/M/1, the limit of `round_robin` for many pods."""
    return gm1(lambda z: math.exp(-z / rho))


def _erlang_survival(t: float, joins: Sequence[float]) -> float:
    """Return sum over k of joins[k] P(Erlang(k + 1) > t): the response after finding k there."""
    term = math.exp(-t)
    tail, whole = 0.0, 0.0
    for k, share in enumerate(joins):
        tail += term
        term *= t / (k + 1)
        whole += share * tail
    return whole


def power_of_d(rho: float, choices: int) -> tuple[list[float], Response]:
    """Return (tails, law) of the shortest of ``choices`` random pods, for very many pods [4]_.

    tails[i] is the share of pods with at least i requests, rho^((d^i - 1) / (d - 1)).
    """
    tails = [1.0]
    while tails[-1] > 1e-18:
        tails.append(rho * tails[-1] ** choices)
    joins = [a**choices - b**choices for a, b in itertools.pairwise(tails)]
    mean = math.fsum(tails[1:]) / rho
    return tails, Response(mean, lambda t: _erlang_survival(t, joins))


def shortest_queue(pods: int, rho: float, choices: int, longest: int) -> tuple[float, Response]:
    """Return (share that finds an idle pod, law) of joining the shortest of ``choices`` pods.

    The choices are distinct and ties random; with ``choices = pods`` it is join the shortest
    queue. The stationary law of the Markov chain of sorted queue lengths up to ``longest``; the
    number of states is C(longest + pods, pods), and the cut must lie where lengths are unheard of.
    """
    from scipy.sparse import coo_matrix
    from scipy.sparse.linalg import spsolve

    states = list(itertools.combinations_with_replacement(range(longest + 1), pods))
    number = {state: i for i, state in enumerate(states)}
    ways = math.comb(pods, choices)
    chance = [math.comb(pods - 1 - at, choices - 1) / ways for at in range(pods)]
    rows: list[int] = []
    columns: list[int] = []
    rates: list[float] = []

    def flow(i: int, to: Sequence[int], rate: float) -> None:
        rows.extend((number[tuple(to)], i))
        columns.extend((i, i))
        rates.extend((rate, -rate))

    for i, state in enumerate(states):
        for at, length in enumerate(state):
            # Of equal pods the last takes an arrival and the first leaves, which keeps the order.
            last, first = pods - 1 - state[::-1].index(length), state.index(length)
            if chance[at] > 0.0 and length < longest:
                flow(i, (*state[:last], length + 1, *state[last + 1 :]), rho * pods * chance[at])
            if length:
                flow(i, (*state[:first], length - 1, *state[first + 1 :]), 1.0)
    n = len(states)
    # The balance of state 0 follows from the others; its row fixes the scale instead.
    balance = coo_matrix((rates, (rows, columns)), shape=(n, n)).tocsr()[1:, 1:]
    inflow = np.zeros(n - 1)
    for row, column, rate in zip(rows, columns, rates, strict=True):
        if column == 0 and row:
            inflow[row - 1] -= rate
    law = np.r_[1.0, spsolve(balance.tocsc(), inflow)]
    law /= law.sum()
    joins = np.zeros(longest + 1)
    for state, weight in zip(states, law, strict=True):
        for at, length in enumerate(state):
            joins[length] += weight * chance[at]
    mean = float((joins * np.arange(1, longest + 2)).sum())
    shares = joins.tolist()
    return shares[0], Response(mean, lambda t: _erlang_survival(t, shares))


def random_cov(targets: int, draws: float) -> float:
    """Return the coefficient of variation of the shares that ``draws`` uniform draws leave."""
    return math.sqrt((targets - 1) / draws)


def random_max_over_mean(targets: int, draws: float) -> float:
    """Return about how far the largest share lies above the mean by chance alone [5]_."""
    return 1.0 + math.sqrt(2.0 * targets * math.log(targets) / draws)


def largest_count(balls: int, bins: int) -> tuple[int, np.ndarray]:
    """Return (k0, P(largest count <= k0 + i)) of ``balls`` thrown into ``bins``, exactly.

    Given their sum, independent Poisson counts are multinomial: P(max <= k) is the coefficient of
    x^balls in the power of the cut Poisson law, over that of the whole law, read off by a Fourier
    transform long enough for nothing to wrap onto it.
    """
    from scipy.special import gammaln, xlogy

    mean = balls / bins
    low = max(math.ceil(mean), 1)
    whole = math.exp(float(xlogy(balls, balls) - balls - gammaln(balls + 1)))
    chances: list[float] = []
    for k in itertools.count(low):
        length = max(balls, bins * k - balls) + 1
        j = np.arange(k + 1)
        cut = np.exp(xlogy(j, mean) - mean - gammaln(j + 1))
        turned = np.fft.rfft(cut, length) ** bins
        at = np.exp(2j * np.pi * (balls * np.arange(len(turned)) % length) / length)
        twice = np.full(len(turned), 2.0)  # the other half of the transform is its mirror
        twice[0] = 1.0
        if length % 2 == 0:
            twice[-1] = 1.0
        found = float((twice * (turned * at).real).sum()) / length / whole
        chances.append(min(max(found, 0.0), 1.0))
        if chances[-1] > 1.0 - 1e-11 or k >= balls:
            return low, np.array(chances)
    raise AssertionError


def zipf_weights(count: int, exponent: float) -> np.ndarray:
    """Return the shares of ``count`` clients by popularity, k^-exponent scaled to 1."""
    weight = np.arange(1, count + 1, dtype=np.float64) ** -exponent
    return np.asarray(weight / weight.sum())


def hashed_cov(weights: np.ndarray, nodes: int) -> float:
    """Return the coefficient of variation of a node's share when clients are placed by hash."""
    return math.sqrt((nodes - 1) * float((weights * weights).sum()))


def per_connection_cov(connections: float, scv: float, nodes: int) -> float:
    """Return the same for the requests of connections that are placed whole (first order).

    ``scv`` is the squared coefficient of variation of the requests per connection.
    """
    return math.sqrt((nodes - 1) * (1.0 + scv) / connections)


def ring_cov(points: int, nodes: int) -> float:
    """Return the coefficient of variation of the arc of a node with ``points`` random points."""
    return math.sqrt((nodes - 1) / (points * nodes + 1))


def ring_share(points: int, nodes: int, p: float) -> float:
    """Return the quantile ``p`` of one node's arc over the fair share; its law is a beta law."""
    from scipy.special import betaincinv

    return nodes * float(betaincinv(points, points * (nodes - 1), p))


def ring_extremes(points: int, nodes: int) -> tuple[float, float]:
    """Return the mean of the largest and of the smallest arc over the fair share.

    Arcs are gamma variables over their sum, and that sum is independent of the ratios, so the means
    are those of the largest and smallest of ``nodes`` gamma variables over ``points``.
    """
    from scipy.integrate import quad
    from scipy.special import gammainc

    top = points + 12.0 * math.sqrt(points) + 40.0
    largest, _ = quad(lambda x: 1.0 - gammainc(points, x) ** nodes, 0.0, top)
    smallest, _ = quad(lambda x: (1.0 - gammainc(points, x)) ** nodes, 0.0, top)
    return largest / points, smallest / points


def ring_largest(points: int, nodes: int, p: float) -> float:
    """Return about the quantile ``p`` of the largest arc over the fair share, p near 1.

    One arc beyond it makes it, so 1 - p = nodes P(one arc > x): exact for two nodes, else too large
    by what two such arcs at once are worth, less than (1 - p)^2 / 2 in probability.
    """
    return ring_share(points, nodes, 1.0 - (1.0 - p) / nodes)


def moved_by_ring(nodes: int) -> float:
    """Return the share of keys that must move when one of ``nodes`` leaves: the lost one's."""
    return 1.0 / nodes


def moved_by_modulo(nodes: int) -> float:
    """Return the share of keys that move under hash modulo n when n falls by one."""
    return (nodes - 1) / nodes


def fan_out(p: float, leaves: int) -> float:
    """Return the share of requests over ``leaves`` that meet a leaf beyond its quantile p [6]_."""
    return -math.expm1(leaves * math.log(p))


def all_tries_fail(pods: int, down: int, tries: int, *, replacement: bool) -> float:
    """Return the chance that ``tries`` random pods are all down, drawn with replacement or not."""
    if replacement:
        return (down / pods) ** tries
    if tries > down:
        return 0.0
    return math.comb(down, tries) / math.comb(pods, tries)
