"""jsq_d: the shortest queue of d pods drawn at random, by the pods' true numbers. A yardstick.

The rule of ``p2c`` (`p2c.py`: distinct draws, the first drawn on a tie, what has failed not drawn),
but what is compared is how many requests are at each pod at this moment, those of all workers,
waiting or in service, as in ``jsq``. So ``choices`` d says what sampling costs, and the difference
to ``p2c`` with the same number is what it costs that a worker sees its own attempts only. With one
worker and no delays both are SQ(d) of queueing theory; ``choices: 1`` is random splitting, as many
as there are pods is ``jsq``.

For very many pods and exponential work the share of pods with k requests or more at load rho is
rho^((d^k - 1) / (d - 1)): M. Mitzenmacher (2001); N. Vvedenskaya, R. Dobrushin and F. Karpelevich
(1996).

Original: none; theory. Units: requests in the system. Cost per pick: d draws, O(d (d + tried)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers import p2c
from lbbench.balancers.base import Balancer, Endpoint
from lbbench.balancers.p2c import P2cState, p2c_state

pick_of_drawn = p2c.pick


def state(params: Mapping[str, Any], endpoints: Sequence[Endpoint]) -> P2cState:
    """Return an instance's state.

    Raises
    ------
    BalancerError
        When ``choices`` is no whole number from 1.
    """
    return p2c_state("jsq_d", params, endpoints)


def pick(
    state: P2cState,
    rng: np.ndarray,
    now: float,
    key: int,
    busy: np.ndarray,
    tried: np.ndarray,
) -> int:
    """Return the position of the shortest queue of those drawn, -1 without endpoints."""
    return pick_of_drawn(state, rng, now, key, busy, tried)


JSQ_D = Balancer(
    name="jsq_d",
    level="l7",
    summary="shortest queue of d drawn, by the pods' true numbers (yardstick, no product)",
    source="theory: Mitzenmacher 2001, Vvedenskaya, Dobrushin and Karpelevich 1996",
    state=state,
    pick=pick,
    params=MappingProxyType({"choices": 2}),
    sees="pods",
    scope="worker",
    cost="O(1), two draws",
    differs=(
        ("p2c", "sees the pods' true numbers, not what this instance has outstanding"),
        ("jsq", "compares d pods drawn, not all"),
    ),
)
