"""iptables: kube-proxy's chain of `statistic` rules, and session affinity by `recent`.

Original: kubernetes/kubernetes pkg/proxy/iptables/proxier.go at 092dddd1: rule i of n endpoints
(from 0, in the order of the endpoints' addresses as text) has the probability 1/(n-i), printed
with %0.5f until 2019 and with %0.10f since pull request 83599; the last rule has none.
torvalds/linux net/netfilter/xt_statistic.c at 02b5a603 and xt_recent.c at 0079c5ae (but without
the fault of that time in rules without --hitcount). One choice is made per new connection;
conntrack (the engine) keeps it.

**Random mode.** A rule matches iff 31 random bits are below T = round(p 2^31) of the *printed* p,
so shares are not exactly 1/n (see `shares`). Each rule reached draws once, the last never.
Probabilities of an imported rule set are used as written; where their last rule is conditional
too, a connection can pass all rules: -1.

**nth mode** (``iptables_nth``; kube-proxy never uses it). One counter per rule, which counts only
the connections that reach the rule: `--every n-i --packet 0` on rule i is a round robin. Writing
the rules anew sets the counters back.

**ClientIP affinity** (``affinity_timeout`` > 0). Before these rules stands, per endpoint in rule
order, `recent --rcheck --seconds T --reap`; the first list that has seen the client within T wins.
Every new connection stamps the client in the chosen endpoint's list (`--set`), so T runs from the
last connection. A list holds 100 addresses; the one stamped longest ago makes room. It lives as
long as its endpoint is listed, whatever else is written anew.

Deviations: time stamps are exact, not in jiffies; `--reap` needs no work of its own, for what it
removes can neither match again nor outlive a younger entry. Units: seconds. Cost per pick: O(n)
rules in the worst case, (n-1)(n+2)/(2n) draws on average; with affinity also a scan of the lists.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.core.rng import next_u64, step, upper31
from lbbench.errors import BalancerError

ALWAYS = 2**31
"""Threshold of a rule without a condition: no 31 bits reach it."""

FORMATS = ("%0.10f", "%0.5f")
"""How kube-proxy prints a probability: since 2019, and before."""

RECENT_SIZE = 100  # xt_recent.c: ip_list_tot

N, RANDOM_MODE, STAMPS = range(3)


class IptablesState(NamedTuple):
    """The rules of one node; E endpoints exist in the run, K places per `recent` list."""

    number: np.ndarray  # int64[3] listed endpoints; 1: random, 0: nth; stamps given so far
    by_rest: np.ndarray  # int64[E + 1] threshold of the rule that chooses one of m, by m
    written: np.ndarray  # int64[] thresholds as written; empty: by_rest
    counter: np.ndarray  # int64[E] nth, by rule
    listed: np.ndarray  # int64[E] endpoint ids in rule order
    timeout: np.ndarray  # float64[1] affinity in seconds, 0: none
    client: np.ndarray  # int64[E, K] addresses, by endpoint id
    seen: np.ndarray  # float64[E, K] seconds, the last connection
    stamp: np.ndarray  # int64[E, K] number of that stamp; the lowest is the oldest entry
    held: np.ndarray  # int64[E] addresses in the list
    stays: np.ndarray  # int64[E] scratch: 1 while a change is made for what is listed after it


# --- the numbers in the rules (plain Python) ------------------------------------------------------


def written_probability(m: int, number_format: str = FORMATS[0]) -> str:
    """Return 1/m as kube-proxy writes it into the rule that chooses one of ``m`` endpoints."""
    return number_format % (1.0 / m)


def threshold(text: str) -> int:
    """Return the u32 that iptables stores for a written probability: p 2^31, halves away from 0.

    Raises
    ------
    BalancerError
        When the text is no number from 0 to 1.
    """
    try:
        scaled = float(text) * ALWAYS  # exact: a power of two
    except ValueError:
        scaled = math.nan
    if not 0.0 <= scaled <= ALWAYS:
        raise BalancerError(f"iptables: probability {text}: must be a number from 0 to 1")
    whole = math.floor(scaled)
    return whole + int(scaled - whole >= 0.5)


def printed_probability(value: int) -> str:
    """Return a threshold as iptables-save prints it: 11 decimals."""
    return f"{value / ALWAYS:.11f}"


def chain_thresholds(n: int, number_format: str = FORMATS[0]) -> list[int]:
    """Return the thresholds of kube-proxy's rules for ``n`` endpoints, in rule order."""
    rules = [threshold(written_probability(n - i, number_format)) for i in range(n - 1)]
    return [*rules, ALWAYS] if n else []


def written_thresholds(probabilities: Sequence[float | None]) -> list[int]:
    """Return the thresholds of rules with these probabilities; None: no condition."""
    return [ALWAYS if p is None else threshold(f"{p:.11f}") for p in probabilities]


def rule_shares(thresholds: Sequence[int]) -> np.ndarray:
    """Return the exact share of every rule of a chain: p_i prod_{j<i} (1 - p_j), float64[n]."""
    shares, rest = [], 1.0
    for value in thresholds:
        p = value / ALWAYS
        shares.append(rest * p)
        rest *= 1.0 - p
    return np.array(shares)


def shares(n: int, number_format: str = FORMATS[0]) -> np.ndarray:
    """Return the exact share of each of ``n`` endpoints under kube-proxy's rules, float64[n]."""
    return rule_shares(chain_thresholds(n, number_format))


def shares_of(probabilities: Sequence[float | None]) -> np.ndarray:
    """Return the exact share of every rule with these probabilities as written, float64[n].

    Their sum is below 1 where the last rule is conditional.
    """
    return rule_shares(written_thresholds(probabilities))


# --- state ----------------------------------------------------------------------------------------


def random_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IptablesState:
    """Return one node's random rules before they list anything.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return _state(params, len(endpoints), random_mode=1)


def nth_state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> IptablesState:
    """Return one node's `nth` rules before they list anything.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    return _state(params, len(endpoints), random_mode=0)


def _state(params: Mapping[str, Any], n: int, *, random_mode: int) -> IptablesState:
    number_format, given = params.get("probability_format", FORMATS[0]), params.get("probabilities")
    affinity, places = float(params["affinity_timeout"]), int(params["recent_list_size"])
    if number_format not in FORMATS:
        raise BalancerError(
            f"iptables: probability_format = {number_format}: must be one of {', '.join(FORMATS)}"
        )
    if not 0.0 <= affinity < math.inf:
        raise BalancerError(
            f"iptables: affinity_timeout = {affinity:g}: must be a time in seconds, 0 for none"
        )
    if places < 1:
        raise BalancerError(f"iptables: recent_list_size = {places}: must be at least 1")
    if affinity == 0.0:
        places = 1
    by_rest = [threshold(written_probability(m, number_format)) for m in range(2, n + 1)]
    return IptablesState(
        number=np.array([0, random_mode, 0], np.int64),
        by_rest=np.array([ALWAYS, ALWAYS, *by_rest], np.int64),
        written=np.array([] if given is None else written_thresholds(given), np.int64),
        counter=np.zeros(n, np.int64),
        listed=np.zeros(n, np.int64),
        timeout=np.array([affinity]),
        client=np.zeros((n, places), np.int64),
        seen=np.zeros((n, places)),
        stamp=np.zeros((n, places), np.int64),
        held=np.zeros(n, np.int64),
        stays=np.zeros(n, np.int64),
    )


def on_endpoints(
    state: IptablesState, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, _now: float
) -> None:
    """Write the rules anew: `nth` counters begin again, lists of endpoints that left are gone."""
    n = len(new)
    state.number[N] = n
    for k in range(n):
        state.listed[k] = new[k]
        state.stays[new[k]] = 1
        state.counter[k] = nth_start(n - k, 0)
    for k in range(len(old)):
        if state.stays[old[k]] == 0:
            state.held[old[k]] = 0
    for k in range(n):
        state.stays[new[k]] = 0


# --- pick -----------------------------------------------------------------------------------------


def pick(
    state: IptablesState,
    rng: np.ndarray,
    now: float,
    key: int,
    _busy: np.ndarray,
    _tried: np.ndarray,
) -> int:
    """Return the position whose rule matches for the client address ``key``, -1 when none does."""
    with_affinity = state.timeout[0] > 0.0
    place = -1
    if with_affinity:
        place = _seen_at(state, key, now)
    if place < 0:
        place = _random_rule(state, rng) if state.number[RANDOM_MODE] == 1 else _nth_rule(state)
    if with_affinity and place >= 0:
        _remember(state, state.listed[place], key, now)
    return place


def _random_rule(state: IptablesState, rng: np.ndarray) -> int:
    n = state.number[N]
    if len(state.written) == n:
        return _written_rule(state, rng)
    a, b, c, d = rng[0], rng[1], rng[2], rng[3]
    rest = n
    while rest > 1:
        x, a, b, c, d = step(a, b, c, d)
        if upper31(x) < state.by_rest[rest]:
            break
        rest -= 1
    rng[0] = a
    rng[1] = b
    rng[2] = c
    rng[3] = d
    return int(n - rest) if n > 0 else -1


def _written_rule(state: IptablesState, rng: np.ndarray) -> int:
    """Return the first rule as written that matches; one without a condition draws nothing."""
    for rule in range(len(state.written)):
        limit = state.written[rule]
        if limit == ALWAYS or upper31(next_u64(rng)) < limit:
            return rule
    return -1


def _nth_rule(state: IptablesState) -> int:
    n = state.number[N]
    for rule in range(n - 1):
        if nth_matches(state.counter, rule, n - rule):
            return rule
    return int(n - 1)


def nth_start(every: int, packet: int) -> int:
    """Return where the counter of `--every every --packet packet` begins."""
    return every - 1 - packet


def nth_matches(counter: np.ndarray, rule: int, every: int) -> bool:
    """Count a packet that reaches the rule; tell whether it is one in ``every`` that matches."""
    counter[rule] = 0 if counter[rule] == every - 1 else counter[rule] + 1
    return bool(counter[rule] == 0)


def _seen_at(state: IptablesState, client: int, now: float) -> int:
    """Return the first position in rule order whose list saw the client within the timeout."""
    for place in range(state.number[N]):
        endpoint = state.listed[place]
        entry = _entry(state, endpoint, client)
        if entry >= 0 and state.seen[endpoint, entry] >= now - state.timeout[0]:
            return place
    return -1


def _entry(state: IptablesState, endpoint: int, client: int) -> int:
    """Return the place of a client in an endpoint's list, -1 when it is not there."""
    for k in range(state.held[endpoint]):
        if state.client[endpoint, k] == client:
            return k
    return -1


def _remember(state: IptablesState, endpoint: int, client: int, now: float) -> None:
    """Stamp the client in the endpoint's list; in a full list it replaces the oldest entry."""
    entry = _entry(state, endpoint, client)
    held = state.held[endpoint]
    if entry < 0 and held < state.client.shape[1]:
        entry = held
        state.held[endpoint] = held + 1
    elif entry < 0:
        entry = 0
        for k in range(held):
            if state.stamp[endpoint, k] < state.stamp[endpoint, entry]:
                entry = k
    state.number[STAMPS] += 1
    state.client[endpoint, entry] = client
    state.seen[endpoint, entry] = now
    state.stamp[endpoint, entry] = state.number[STAMPS]


def state_shares(state: IptablesState, n: int) -> np.ndarray:
    """Return the exact share of every listed endpoint by the random or nth rules, float64[n]."""
    if state.number[RANDOM_MODE] == 0:
        return np.full(n, 1.0 / n)
    if len(state.written) == n:
        return rule_shares(state.written.tolist())
    return rule_shares(state.by_rest[n:0:-1].tolist())


_SOURCE = (
    "kubernetes/kubernetes pkg/proxy/iptables/proxier.go@092dddd1, "
    "torvalds/linux net/netfilter/xt_statistic.c@02b5a603, xt_recent.c@0079c5ae"
)
_AFFINITY = {"affinity_timeout": 0.0, "recent_list_size": RECENT_SIZE}

IPTABLES = Balancer(
    name="iptables",
    level="l4",
    summary="kube-proxy iptables: a chain of random rules with the kernel's thresholds",
    source=_SOURCE,
    state=random_state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=state_shares,
    params=MappingProxyType({"probability_format": FORMATS[0], "probabilities": None, **_AFFINITY}),
    scope="node",
    reads_busy=False,
    independent=True,
    cost="O(n) rules, about n/2 draws",
    differs=(("iptables_nth", "draws at each rule instead of counting connections"),),
)

IPTABLES_NTH = Balancer(
    name="iptables_nth",
    level="l4",
    summary="iptables statistic mode nth as round robin (kube-proxy does not use it)",
    source=_SOURCE,
    state=nth_state,
    pick=pick,
    on_endpoints=on_endpoints,
    shares=state_shares,
    params=MappingProxyType(_AFFINITY),
    scope="node",
    reads_busy=False,
    cost="O(n) rules",
    differs=(
        (
            "iptables",
            "gives each rule its turn instead of a draw, until the rules are written anew",
        ),
    ),
)
