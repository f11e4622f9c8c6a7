"""envoy_ring_hash: Envoy's ``RING_HASH``, a consistent hash ring of 1024 points or more.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/ring_hash/ring_hash_lb.cc at
0d2acde2. Point i of a host is the xxHash64 of "address_i", i = 0, 1, ..; a key belongs to the first
point at or after it, the smallest point follows the largest. The ring has S points: the least
number from ``minimum_ring_size`` (1024) that gives the host with the least weight a whole number,
``maximum_ring_size`` (8388608) at most; host after host in the order of the list gets points until
there are S times the share of the weights so far. **All hosts' numbers of points depend on the
list**: when a host leaves, the others get more of them and take over keys of each other as well, if
few.

Retries get the same host again. Bounded load, keys: see `lbbench.balancers.envoy_hashing`.

Deviations: those of `envoy_hashing`; of equal points (one pair in 2^64) the first made comes first.
Units: none. Cost per pick: O(1), over the bound O(n); the first pick after a change makes the ring
anew, O(S) hashes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.envoy_hashing import (
    PARAMS,
    WEIGHT,
    digest,
    hashing_fields,
    on_busy,
    unsigned,
    weigh,
    within_bound,
)
from lbbench.balancers.envoy_hosts import (
    HEALTH,
    NONE,
    OWN,
    USABLE,
    attend,
    done,
    gather,
    list_hosts,
)
from lbbench.balancers.envoy_outlier import SWITCHES
from lbbench.balancers.figures import whole
from lbbench.core.rng import wrapping
from lbbench.core.xxhash import xxhash64_of
from lbbench.errors import BalancerError

NAME = "envoy_ring_hash"
LARGEST = 8388608
MINIMUM, MAXIMUM, BITS = range(3)
UNDERSCORE, NOUGHT = ord("_"), ord("0")
MOST_DIGITS = 8  # of a point's number, with the largest ring
SEED = np.uint64(0)


class Ring(NamedTuple):
    """The ring of one Envoy; E hosts exist in the run, S points at most, 2^b parts."""

    panic: np.ndarray  # float64[1] see envoy_hosts.host_fields
    number: np.ndarray  # int64[5] the last: points in use
    ids: np.ndarray  # int64[E]
    usable: np.ndarray  # int64[E]
    weight: np.ndarray  # int64[E]
    outlier: np.ndarray  # float64[7] see envoy_outlier.detector_fields
    health: np.ndarray  # int64[3, E]
    ejected_at: np.ndarray  # float64[E]
    detector: np.ndarray  # int64[2]
    bound: np.ndarray  # int64[3] see envoy_hashing.hashing_fields
    active: np.ndarray  # int64[E]
    order: np.ndarray  # int64[E]
    jumps: np.ndarray  # int64[E]
    twister: np.ndarray  # int64[625]
    size: np.ndarray  # int64[3] smallest and largest ring, b
    text: np.ndarray  # uint8[E, L] "address_"
    length: np.ndarray  # int64[E]
    line: np.ndarray  # uint8[L + 8] scratch: what is hashed
    point: np.ndarray  # uint64[S] ascending
    owner: np.ndarray  # int32[S] positions in the list
    made: np.ndarray  # uint64[S] scratch: points as they are made
    maker: np.ndarray  # int32[S] scratch: their owners
    first: np.ndarray  # int32[2^b + 1] the first point of every part of the circle


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> Ring:
    """Return an Envoy's ring before it has a list.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    least = whole(NAME, params, "minimum_ring_size", 1)
    most = whole(NAME, params, "maximum_ring_size", 1)
    if most > LARGEST:
        raise BalancerError(f"{NAME}: maximum_ring_size = {most}: must be {LARGEST} at most")
    if least > most:
        raise BalancerError(
            f"{NAME}: minimum_ring_size = {least}: must not exceed maximum_ring_size = {most}"
        )
    n = len(endpoints)
    weights = [item.weight for item in endpoints] or [1]
    room = min(least + sum(weights) // min(weights), most) + 3
    bits = min(max((room // 2).bit_length(), 1), 20)
    texts = [f"{item.address}_".encode() for item in endpoints]
    width = max(map(len, texts), default=1)
    rows = b"".join(text.ljust(width, b"\0") for text in texts)
    return Ring(
        **hashing_fields(NAME, params, endpoints),
        size=np.array([least, most, bits], np.int64),
        text=np.frombuffer(rows, np.uint8).reshape(n, width).copy(),
        length=np.array([len(text) for text in texts], np.int64),
        line=np.zeros(width + MOST_DIGITS, np.uint8),
        point=np.zeros(room, np.uint64),
        owner=np.zeros(room, np.int32),
        made=np.zeros(room, np.uint64),
        maker=np.zeros(room, np.int32),
        first=np.zeros(2**bits + 1, np.int32),
    )


def on_endpoints(
    state: Ring, _rng: np.ndarray, old: np.ndarray, new: np.ndarray, now: float
) -> None:
    """Take the list ``new``."""
    list_hosts(state, old, new, now)


def pick(
    state: Ring,
    rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position that owns ``key`` (xxHash64), -1 without a usable host."""
    if attend(state, now, tried):
        make_ring(state)
    if state.number[OWN] == 0:
        return NONE
    where = unsigned(key, rng)
    return within_bound(state, state.owner[find(state, where)], where, busy)


def find(state: Ring, where: np.uint64) -> int:
    """Return the number of the first point at or after ``where``, 0 behind the last one."""
    part = np.int64(where >> np.uint64(64 - state.size[BITS]))
    at = state.first[part]
    end = state.first[part + 1]
    while at < end and state.point[at] < where:
        at += 1
    return 0 if at == state.number[OWN] else at


def make_ring(state: Ring) -> None:
    """Gather the hosts and make their points anew, in order."""
    gather(state)
    weigh(state)
    size = _make_points(state)
    state.number[OWN] = size
    first, shift = state.first, np.uint64(64 - state.size[BITS])
    for part in range(len(first)):
        first[part] = 0
    for k in range(size):  # how many are in each part, then where each begins
        first[np.int64(state.made[k] >> shift) + 1] += 1
    for part in range(1, len(first)):
        first[part] += first[part - 1]
    for k in range(size - 1, -1, -1):  # from the end, so that each part fills up to its beginning
        end = np.int64(state.made[k] >> shift) + 1
        first[end] -= 1
        _place(state, k, first[end])
    for part in range(len(first) - 1):  # each has begun one place further left than it says
        first[part] = first[part + 1]
    first[len(first) - 1] = size
    for k in range(1, size):
        _sink(state, k)


def _make_points(state: Ring) -> int:
    """Fill ``made`` and ``maker`` host by host; return how many points there are."""
    n = state.number[USABLE]
    if n == 0:
        return 0
    least = state.weight[state.ids[state.usable[0]]]
    for k in range(1, n):
        least = min(least, state.weight[state.ids[state.usable[k]]])
    share = least / state.bound[WEIGHT]
    scale = min(math.ceil(share * state.size[MINIMUM]) / share, float(state.size[MAXIMUM]))
    target = 0.0
    made = 0
    for k in range(n):
        host = state.ids[state.usable[k]]
        target += scale * (state.weight[host] / state.bound[WEIGHT])
        i = 0
        while made < target:
            state.made[made] = _point(state, host, i)
            state.maker[made] = state.usable[k]
            made += 1
            i += 1
    return made


def _point(state: Ring, host: int, i: int) -> np.uint64:
    """Return the hash of "address_i"."""
    line = state.line
    length = state.length[host]
    if i == 0:
        for k in range(length):
            line[k] = state.text[host, k]
    digits = 1
    rest = i // 10
    while rest > 0:
        digits += 1
        rest //= 10
    for k in range(digits - 1, -1, -1):
        line[length + k] = NOUGHT + i % 10
        i //= 10
    return xxhash64_of(line, length + digits, SEED)


def _place(state: Ring, k: int, at: int) -> None:
    state.point[at] = state.made[k]
    state.owner[at] = state.maker[k]


def _sink(state: Ring, k: int) -> None:
    """Let point ``k`` go down to where it belongs; a part has two points on average."""
    point, owner = state.point[k], state.owner[k]
    at = k
    while at > 0 and state.point[at - 1] > point:
        state.point[at] = state.point[at - 1]
        state.owner[at] = state.owner[at - 1]
        at -= 1
    state.point[at] = point
    state.owner[at] = owner


def shares(state: Ring, n: int) -> np.ndarray:
    """Return the exact share of the hash space of every listed endpoint, float64[n]."""
    with wrapping():
        make_ring(state)
    size = int(state.number[OWN])
    found = np.zeros(n)
    if size:
        points = [int(point) for point in state.point[:size]]
        for k, point in enumerate(points):
            found[state.owner[k]] += ((point - points[k - 1]) % 2**64 or 2**64) / 2**64
    return found


ENVOY_RING_HASH = Balancer(
    name=NAME,
    level="l7",
    summary="Envoy's RING_HASH: ring of 1024 xxHash64 points or more, bounded load as an option",
    source="envoyproxy/envoy source/extensions/load_balancing_policies/ring_hash/"
    "ring_hash_lb.cc@0d2acde2",
    state=state,
    pick=pick,
    done=done,
    on_endpoints=on_endpoints,
    on_busy=on_busy,
    digest=digest,
    shares=shares,
    params=MappingProxyType({"minimum_ring_size": 1024, "maximum_ring_size": LARGEST, **PARAMS}),
    switches=SWITCHES,
    scope="replica",
    common=(*HEALTH, "weight", "text", "length"),
    cost="O(1), over the bound O(n)",
    differs=(
        ("chash", "hashes with xxHash64 and shares 1024 points or more among all hosts"),
        ("envoy_maglev", "moves fewer keys when the list changes, with less even shares"),
    ),
)
