"""What HAProxy's balancers share: server numbers and what becomes of a failed connect.

HAProxy tries a failed connect again, by default on the same server (``retries``, 3). With ``option
redispatch``, here ``redispatch: last``, it picks anew for the last of them, and leaves out the
server that failed; ``redispatch: true`` is ``option redispatch 1``, for every retry. How often a
request is tried is the scenario's ``next_upstream.tries``: HAProxy's own is 4.

Deviation: HAProxy waits for the connect timeout, 1 s at most, before it tries the same server
again; here it does so at once.

Servers are numbered from 1 in the order of the configuration: here the addresses in ascending
order, numbers in them read as numbers, so that 10.244.0.9 comes before 10.244.0.10.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lbbench.balancers.base import Endpoint
from lbbench.errors import BalancerError
from lbbench.model.natural import natural

NOBODY = -1
HIGHEST_WEIGHT = 4096  # SRV_EWGHT_MAX
WEIGHT_SCALE = 16  # BE_WEIGHT_SCALE
RETRIES = 3  # HAProxy's default
MOST_WEIGHT = 256  # of a server in the configuration


def server_numbers(endpoints: Sequence[Endpoint]) -> list[int]:
    """Return the number of each endpoint's server, from 1."""
    number = [0] * len(endpoints)
    in_order = sorted(range(len(endpoints)), key=lambda k: natural(endpoints[k].address))
    for rank, k in enumerate(in_order):
        number[k] = rank + 1
    return number


def server_weights(name: str, endpoints: Sequence[Endpoint]) -> list[int]:
    """Return the weights of the servers.

    Raises
    ------
    BalancerError
        When one is above 256, which HAProxy does not take.
    """
    for item in endpoints:
        if item.weight > MOST_WEIGHT:
            raise BalancerError(
                f"{name}: {item.address} has the weight {item.weight}: HAProxy takes 1 to "
                f"{MOST_WEIGHT}; divide all weights by the same number"
            )
    return [item.weight for item in endpoints]


def redispatch_of(name: str, params: Mapping[str, Any]) -> int:
    """Return after how many failures a request is picked for anew: each time so many; 0: never.

    Raises
    ------
    BalancerError
        When the option is neither true, false nor ``last``.
    """
    value = params["redispatch"]
    if value == "last":
        return RETRIES
    if not isinstance(value, bool):
        raise BalancerError(f"{name}: redispatch = {value}: must be true, false or last")
    return int(value)


def stays(tried: np.ndarray, redispatch: int) -> bool:
    """Tell whether a request that has failed is tried on the same server again."""
    return len(tried) > 0 and (redispatch == 0 or len(tried) % redispatch != 0)


def last_failed(tried: np.ndarray) -> int:
    """Return the position where the request failed last, -1 when it has not failed."""
    if len(tried) == 0:
        return NOBODY
    return tried[len(tried) - 1]
