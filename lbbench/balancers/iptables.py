"""iptables: kube-proxy's chain of `statistic` rules, and session affinity by `recent`.

Original: kubernetes/kubernetes pkg/proxy/iptables/proxier.go (rule i of n endpoints has the
probability 1/(n-i), printed with %0.5f until 2019 and %0.10f since; the last rule has none) and
torvalds/linux net/netfilter/xt_statistic.c, xt_recent.c. A rule matches iff 31 random bits are below
T = round(p 2^31) of the *printed* p. One choice per new connection; conntrack (the engine) keeps it.

``iptables_nth`` is `--mode nth` as a round robin: rule i counts `--every n-i --packet 0`.

ClientIP affinity: before the random rules one `recent --rcheck --seconds T --reap` per endpoint, in
rule order; the chosen endpoint's list takes the client's address and the time of this connection,
and holds 100 addresses, the oldest of which is forgotten. Deviation: time stamps are exact, not in
jiffies. Cost per pick: O(n) rules in the worst case, (n-1)(n+2)/(2n) draws on average.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import bits31

ALWAYS = 2**31
RECENT_SIZE = 100  # xt_recent: ip_list_tot

N, RANDOM_MODE = range(2)


class IptablesState(NamedTuple):
    """The rules of one node; E endpoints exist in the run, K places per `recent` list."""

    number: np.ndarray  # int64[2] listed endpoints; 1: random, 0: nth
    by_rest: np.ndarray  # int64[E + 1] threshold of 1/m, 2^31: no condition
    written: np.ndarray  # int64[E] thresholds as written; empty: from 1/m
    counter: np.ndarray  # int64[E] nth: packets by rule
    listed: np.ndarray  # int64[E] endpoint ids in rule order
    timeout: np.ndarray  # float64[1] affinity in seconds, 0: none
    client: np.ndarray  # int64[E, K] addresses by endpoint id
    seen: np.ndarray  # float64[E, K] time of the last connection
    held: np.ndarray  # int64[E] addresses in the list


def written_probability(rest: int, number_format: str = "%0.10f") -> str:
    """Return 1/rest as kube-proxy writes it into a rule."""
    return number_format % (1.0 / rest)


def threshold(text: str) -> int:
    """Return the u32 that iptables stores for a written probability: round(p 2^31)."""
    scaled = Decimal(text) * ALWAYS
    return int(scaled.to_integral_value(rounding=ROUND_HALF_UP))


def printed_probability(value: int) -> str:
    """Return a threshold as iptables-save prints it."""
    return "%.11f" % (value / ALWAYS)


def rule_shares(thresholds: Sequence[int]) -> np.ndarray:
    """Return the exact share of every rule of a chain: T_i prod_{j<i} (1 - T_j), float64[n]."""
    shares, rest = [], 1.0
    for value in thresholds:
        p = min(value / ALWAYS, 1.0)
        shares.append(rest * p)
        rest *= 1.0 - p
    return np.array(shares)


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IptablesState:
    """Return one node's rules before they list anything."""
    return _state(params, endpoints, random_mode=1)


def nth_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IptablesState:
    """Return one node's `nth` rules before they list anything."""
    return _state(params, endpoints, random_mode=0)


def _state(
    params: Mapping[str, Any], endpoints: Sequence[Endpoint], *, random_mode: int
) -> IptablesState:
    n = len(endpoints)
    number_format = params["probability_format"]
    by_rest = [ALWAYS, ALWAYS, *(threshold(written_probability(m, number_format))
                                 for m in range(2, n + 1))]  # fmt: skip
    given = params["probabilities"]
    written = [] if given is None else [threshold(f"{p:.11f}") for p in given]
    affinity = float(params["affinity_timeout"])
    places = int(params["recent_list_size"]) if affinity > 0.0 else 1
    return IptablesState(
        number=np.array([0, random_mode], np.int64),
        by_rest=np.array(by_rest, np.int64),
        written=np.array(written, np.int64),
        counter=np.zeros(n, np.int64),
        listed=np.zeros(n, np.int64),
        timeout=np.array([affinity]),
        client=np.zeros((n, places), np.int64),
        seen=np.zeros((n, places)),
        held=np.zeros(n, np.int64),
    )


def on_endpoints(
    state: IptablesState, _rng: np.ndarray, _old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Write the rules anew: `nth` counters begin again, `recent` lists live on by their names."""
    state.number[N] = len(new)
    for k in range(len(new)):
        state.listed[k] = new[k]
        # every - 1 - packet, with every = n - k and packet 0
        state.counter[k] = len(new) - k - 1


def pick(
    state: IptablesState,
    rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position whose rule matches for a client address ``key``, -1 when none does."""
    place = -1
    if state.timeout[0] > 0.0:
        place = _recent_place(state, key, now)
    if place < 0:
        place = _matching_rule(state, rng)
    if place >= 0 and state.timeout[0] > 0.0:
        _remember(state, state.listed[place], key, now)
    return place


def _matching_rule(state: IptablesState, rng: np.ndarray) -> int:
    n = state.number[N]
    as_written = len(state.written) == n
    for rule in range(n):
        rest = n - rule
        if state.number[RANDOM_MODE] == 1:
            limit = state.written[rule] if as_written else state.by_rest[rest]
            if limit >= ALWAYS or bits31(rng) < limit:
                return rule
        else:
            if rest == 1:
                return rule
            count = state.counter[rule]
            state.counter[rule] = 0 if count == rest - 1 else count + 1
            if state.counter[rule] == 0:
                return rule
    return -1


def _recent_place(state: IptablesState, key: int, now: float) -> int:
    """Return the first position in rule order that has seen the client within the timeout."""
    for place in range(state.number[N]):
        endpoint = state.listed[place]
        for k in range(state.held[endpoint]):
            if state.client[endpoint, k] == key:
                if now - state.seen[endpoint, k] <= state.timeout[0]:
                    return place
                break
    return -1


def _remember(state: IptablesState, endpoint: int, key: int, now: float) -> None:
    """Stamp the client in the endpoint's list; a full list forgets its oldest entry."""
    held = state.held[endpoint]
    place = held
    for k in range(held):
        if state.client[endpoint, k] == key:
            place = k
    if place == held and held == state.client.shape[1]:
        place = 0
        for k in range(held):
            if state.seen[endpoint, k] < state.seen[endpoint, place]:
                place = k
    elif place == held:
        state.held[endpoint] = held + 1
    state.client[endpoint, place] = key
    state.seen[endpoint, place] = now


def shares(state: IptablesState, n: int) -> np.ndarray:
    """Return the exact share of every rule, float64[n] (for nth: 1/n)."""
    if state.number[RANDOM_MODE] == 0:
        return np.full(n, 1.0 / n)
    if len(state.written) == n:
        return rule_shares(state.written.tolist())
    return rule_shares([int(state.by_rest[n - rule]) for rule in range(n)])


_PARAMS = MappingProxyType(
    {
        "probability_format": "%0.10f",
        "probabilities": None,
        "affinity_timeout": 0.0,
        "recent_list_size": RECENT_SIZE,
    }
)
_SOURCE = "kubernetes/kubernetes pkg/proxy/iptables/proxier.go, torvalds/linux xt_statistic.c, xt_recent.c"

IPTABLES = Balancer(
    name="iptables",
    level="l4",
    summary="kube-proxy iptables: a chain of random rules with the kernel's thresholds",
    source=_SOURCE,
    state=state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=_PARAMS,
    scope="node",
    independent=True,
    cost="O(n) rules",
)

IPTABLES_NTH = Balancer(
    name="iptables_nth",
    level="l4",
    summary="iptables statistic mode nth as round robin (kube-proxy does not use it)",
    source=_SOURCE,
    state=nth_state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=shares,
    params=_PARAMS,
    scope="node",
    cost="O(n) rules",
)
