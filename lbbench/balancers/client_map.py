"""Which endpoint a client's last connection went to: ClientIP affinity as a map with a timeout.

What nftables' sets with ``timeout``, IPVS's persistence templates and Cilium's affinity map have in
common: each new connection of a client renews its entry, and one that is not renewed in time is no
more. (iptables has a list per endpoint instead, see iptables.py.) It serves any state that has
these fields: ``client``, ``until``, ``owner``, ``life`` and ``span`` (see `client_map`).

An open-addressing table: a client's entry is among the `PROBES` places from where its hash points.
An expired entry makes room; where all of them are alive the client is not remembered, as in a set
that is full. An entry counts only as long as its endpoint stays listed: `forget_endpoint` makes all
entries of one void at once.

Units: seconds. Cost: O(1) where the table is not nearly full, never more than `PROBES` looks.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lbbench.core.rng import mix64
from lbbench.errors import BalancerError

ENTRIES = 65536  # kube-proxy's dynamic nft sets hold 65535
PROBES = 64
NOBODY = -1


def client_map(name: str, endpoints: int, timeout: float, entries: int) -> dict[str, np.ndarray]:
    """Return the fields of a balancer's state for a table without entries.

    Parameters
    ----------
    name
        The balancer's, for messages.
    endpoints
        How many exist in the run.
    timeout
        Seconds that an entry lasts, 0: there is no affinity, and no table.
    entries
        Places of the table, a power of two.

    Raises
    ------
    BalancerError
        When ``timeout`` or ``entries`` is none.
    """
    if not 0.0 <= timeout < math.inf:
        raise BalancerError(
            f"{name}: affinity_timeout = {timeout:g}: must be a time in seconds, 0 for none"
        )
    if isinstance(entries, bool) or not isinstance(entries, int) or entries.bit_count() != 1:
        raise BalancerError(f"{name}: affinity_entries = {entries}: must be a power of two")
    places = entries if timeout > 0.0 else 1
    return {
        "client": np.full(places, NOBODY, np.int64),  # the address, NOBODY where nobody ever was
        "until": np.zeros(places),  # float64, the last second of the entry
        "owner": np.zeros((2, places), np.int64),  # endpoint id; its life when the entry was made
        "life": np.zeros(endpoints, np.int64),  # by id: how often it has left the list
        "span": np.array([float(timeout)]),  # seconds that an entry lasts
    }


def remembers(state: Any) -> bool:
    """Tell whether there is affinity."""
    return bool(state.span[0] > 0.0)


def remembered(state: Any, client: int, now: float) -> int:
    """Return the endpoint *id* of a client's entry, -1 when there is none or it is void."""
    mask = len(state.client) - 1
    home = _home(client, mask)
    for k in range(min(PROBES, mask + 1)):
        place = (home + k) & mask
        if state.client[place] == NOBODY:
            return -1
        if state.client[place] == client:
            return int(state.owner[0, place]) if _is_alive(state, place, now) else -1
    return -1


def place_of(state: Any, client: int, now: float) -> int:
    """Return the position of a client's endpoint by the field ``seat``; -1: none is remembered."""
    known = remembered(state, client, now) if remembers(state) else -1
    return int(state.seat[known]) if known >= 0 else -1


def take_list(state: Any, old: np.ndarray, new: np.ndarray) -> None:
    """Keep a list in the fields ``listed`` and ``seat``, and forget who went to what has left."""
    for k in range(len(old)):
        state.seat[old[k]] = -1
    for k in range(len(new)):
        state.listed[k] = new[k]
        state.seat[new[k]] = k
    for k in range(len(old)):
        if state.seat[old[k]] < 0:
            forget_endpoint(state, old[k])


def remember(state: Any, client: int, endpoint: int, now: float) -> None:
    """Renew a client's entry, or make one; nothing happens where there is no room."""
    mask = len(state.client) - 1
    home = _home(client, mask)
    room = -1
    for k in range(min(PROBES, mask + 1)):
        place = (home + k) & mask
        if state.client[place] == client:
            room = place
            break
        if room < 0 and (state.client[place] == NOBODY or not _is_alive(state, place, now)):
            room = place
        if state.client[place] == NOBODY:
            break
    if room < 0:
        return
    state.client[room] = client
    state.until[room] = now + state.span[0]
    state.owner[0, room] = endpoint
    state.owner[1, room] = state.life[endpoint]


def forget_endpoint(state: Any, endpoint: int) -> None:
    """Make all entries of an endpoint void."""
    state.life[endpoint] += 1


def _is_alive(state: Any, place: int, now: float) -> bool:
    endpoint = state.owner[0, place]
    return bool(state.until[place] >= now and state.owner[1, place] == state.life[endpoint])


def _home(client: int, mask: int) -> int:
    return int(np.int64(mix64(np.uint64(client)) & np.uint64(mask)))
