"""The order in which a balancer meets its endpoints when that is not the order of the list.

lbbench lists endpoints by address as text; the original may walk a hash table, or take the list in
the order in which it was posted.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from lbbench.balancers.base import Endpoint
from lbbench.errors import BalancerError


def table_order(name: str, given: object, endpoints: Sequence[Endpoint]) -> list[int]:
    """Return the endpoint ids in the order that the option ``order`` of balancer ``name`` gives.

    ``list`` is the list's own, ``shuffled`` an arbitrary one that depends on nothing but the
    addresses, ``{shuffled: SEED}`` another one, a list of all ids is that order.

    Raises
    ------
    BalancerError
        When it is none of these.
    """
    ids = list(range(len(endpoints)))
    if given == "list":
        return ids
    if given == "shuffled":
        given = {"shuffled": 0}
    if isinstance(given, Mapping) and set(given) == {"shuffled"}:
        salted = [f"{given['shuffled']}\x00{item.address}".encode() for item in endpoints]
        return sorted(ids, key=lambda i: hashlib.sha256(salted[i]).digest())
    if isinstance(given, (list, tuple)):
        expected = ids or list(range(len(given)))  # options are checked before there are endpoints
        if sorted(given, key=str) == sorted(expected, key=str):
            return [int(item) for item in given if item in ids]
    raise BalancerError(
        f"{name}: order = {given}: must be list, shuffled, {{shuffled: SEED}} or the numbers "
        f"0 to {len(ids) - 1}, each once"
    )
