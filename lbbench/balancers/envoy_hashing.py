"""What Envoy's two consistent hashes share: keys of 64 bits, and bounded load.

Original: envoyproxy/envoy source/extensions/load_balancing_policies/common/thread_aware_lb_impl.cc
at 0336fd61. The key is the xxHash64 of what the scenario's ``hash_by`` gives; an empty text is a
missing header, for which every request draws a key. Tables are of the whole Envoy, of its healthy
hosts, of all in panic.

With ``hash_balance_factor`` f (percent, 100 or more; 0 is off) a host with weight share s has
max(ceil(ceil((active + 1) f / 100) s), 1) slots, where active are the requests of the whole Envoy.
If the owner of a key has **more** active requests than slots, so that it may reach one above them,
the other hosts are asked in an order that std::mt19937, seeded with the lower half of the key,
gives: the first that has not more than its slots is taken, and the least overloaded if there is
none, the owner on a tie.

Deviations: one hash policy per request, no cookie that Envoy makes itself; those of
`lbbench.balancers.envoy_hosts`.

References
----------
V. Mirrokni, M. Thorup and M. Zadimoghaddam, "Consistent Hashing with Bounded Loads" (2016);
J. Chen, B. Coleman and A. Shrivastava, "Revisiting Consistent Hashing with Bounded Loads" (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.balancers.envoy_hosts import PARAMS as HOST_PARAMS
from lbbench.balancers.envoy_hosts import USABLE, host_fields
from lbbench.balancers.figures import whole
from lbbench.core.hashes import xxhash64
from lbbench.core.mersenne import USED, below, seed_twister
from lbbench.core.rng import next_u64
from lbbench.errors import BalancerError

NO_KEY = -1
FACTOR, TOTAL, WEIGHT = range(3)
SIGN = 2**63

PARAMS: Mapping[str, Any] = MappingProxyType({"hash_balance_factor": 0, **HOST_PARAMS})
"""Envoy's defaults."""


def digest(_params: Mapping[str, Any]) -> Callable[[bytes], int]:
    """Return what makes the key of a text: its xxHash64 as an int64, -1 of an empty one."""
    return key_of


def key_of(text: bytes) -> int:
    """Return the key of a text."""
    if not text:
        return NO_KEY
    value = xxhash64(text, 0)
    return value - 2 * SIGN if value >= SIGN else value


def hashing_fields(
    name: str, params: Mapping[str, Any], endpoints: Sequence[Endpoint]
) -> dict[str, np.ndarray]:
    """Return the fields of a state that both hashes have; E endpoints.

    Those of `envoy_hosts.host_fields`; ``bound`` int64[3]: hash_balance_factor, active requests of
    all hosts, weights of the usable ones; ``active`` int64[E] by id; ``order`` and ``jumps``
    int64[E] scratch: 0, 1, .. between picks, and what was swapped; ``twister`` int64[625].

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    factor = whole(name, params, "hash_balance_factor", 0)
    if 0 < factor < 100:
        raise BalancerError(
            f"{name}: hash_balance_factor = {factor}: must be 100 or more, or 0 for none"
        )
    n = len(endpoints)
    return {
        **host_fields(name, params, endpoints),
        "bound": np.array([factor, 0, 0], np.int64),
        "active": np.zeros(n, np.int64),
        "order": np.arange(n, dtype=np.int64),
        "jumps": np.zeros(n, np.int64),
        "twister": np.zeros(USED + 1, np.int64),
    }


def on_busy(state: Any, endpoint: int, busy: int) -> None:
    """Let an endpoint id, listed or not, have ``busy`` active requests."""
    state.bound[TOTAL] += busy - state.active[endpoint]
    state.active[endpoint] = busy


def unsigned(key: int, rng: np.ndarray) -> np.uint64:
    """Return a key as 64 bits, drawn where there is none."""
    if key == NO_KEY:
        return next_u64(rng)
    return np.uint64(np.int64(key))


def within_bound(state: Any, owner: int, key: np.uint64, busy: np.ndarray) -> int:
    """Return the position of the owner of a key, or of another where it is overloaded. O(n)."""
    if state.bound[FACTOR] == 0:
        return owner
    least = overload(state, owner, busy)
    if least <= 1.0:
        return owner
    chosen = owner
    n = state.number[USABLE]
    order, jumps = state.order, state.jumps
    seed_twister(state.twister, np.int64(key & np.uint64(0xFFFFFFFF)))  # type: ignore[arg-type]
    asked = 0
    while asked < n:
        jump = asked + below(state.twister, n - asked)
        jumps[asked] = jump
        order[asked], order[jump] = order[jump], order[asked]
        place = state.usable[order[asked]]
        asked += 1
        if place == owner:
            continue
        factor = overload(state, place, busy)
        if factor < least:
            least = factor
            chosen = place
        if factor <= 1.0:
            chosen = place
            break
    for k in range(asked - 1, -1, -1):
        order[k], order[jumps[k]] = order[jumps[k]], order[k]
    return chosen


def overload(state: Any, place: int, busy: np.ndarray) -> float:
    """Return the active requests of the host at a position over its slots."""
    share = state.weight[state.ids[place]] / state.bound[WEIGHT]
    all_slots = ((state.bound[TOTAL] + 1) * state.bound[FACTOR] + 99) // 100
    return float(busy[place] / max(math.ceil(all_slots * share), 1))


def weigh(state: Any) -> None:
    """Add up the weights of the usable hosts."""
    total = 0
    for k in range(state.number[USABLE]):
        total += state.weight[state.ids[state.usable[k]]]
    state.bound[WEIGHT] = total
