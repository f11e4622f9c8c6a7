"""States that are any Python objects: one for each instance, in the readable engine alone."""

from __future__ import annotations

import copy
from typing import Any

from lbbench.balancers.base import Balancer
from lbbench.balancers.kinds import why_not_arrays
from lbbench.errors import BalancerError


class Objects(list[Any]):
    """The states of all instances of a balancer, in place of stacked arrays."""

    def copied(self) -> Objects:
        """Return copies that share nothing with these."""
        return Objects(copy.deepcopy(state) for state in self)


def object_view(stacked: Objects, own: int, _common: int) -> Any:
    """Return one instance's state, as the views of `parts.instance_view` do."""
    return stacked[own]


def object_reset(stacked: Objects, new: Objects, own: int, _common: int) -> None:
    """Make one instance's state what it is in ``new``."""
    stacked[own] = copy.deepcopy(new[own])


def as_objects(balancer: Balancer, states: list[Any]) -> Objects | None:
    """Return the states as objects if they are no NamedTuples of arrays, None: they are.

    Raises
    ------
    BalancerError
        When instances are to share parts of such a state.
    """
    why = next((why for why in map(why_not_arrays, states) if why is not None), None)
    if why is None:
        return None
    if balancer.scope == "shared" or balancer.common:
        asked = f"common = {balancer.common}" if balancer.common else "scope = shared"
        raise BalancerError(
            f"balancer {balancer.name}: its state {why}, and {asked} needs one; use scope = worker "
            "or replica without common"
        )
    return Objects(states)
