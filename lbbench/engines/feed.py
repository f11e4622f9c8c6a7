"""What both compiled kernels are fed: blocks of requests, and states that a run may change."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from lbbench.engines.plan import Plan, copied
from lbbench.engines.world import States
from lbbench.model.trace import Trace

Progress = Callable[[str, int, int | None], None]
"""Called as progress(what, done, total): what is "compiling NAME (once)", "simulating", or what a
run that begins anew says."""


def blocks_and_end(plan: Plan) -> Iterator[tuple[Trace, int]]:
    """Yield (block, 0) for every block of requests, and at the end (an empty block, 1)."""
    for block in plan.traffic.blocks():
        yield block, 0
    yield empty_block(), 1


def empty_block() -> Trace:
    """Return a block without requests, of the types that the kernels are compiled for."""
    floats, ints = np.zeros(0), np.zeros(0, np.int64)
    last = np.zeros(0, np.uint8)
    return Trace(floats, floats, ints, ints, ints, ints, last, ints, floats, floats)


def copied_states(states: States) -> States:
    """Return a deep copy of the balancers' states and streams."""
    made = [part.copy() if isinstance(part, np.ndarray) else copied(part) for part in states]
    return States(*made)


def compiling(plan: Plan) -> str:
    """Return what is said while kernels for the plan's balancers are compiled."""
    names = sorted({plan.azure.name, plan.node.name, plan.pod.name} - {"azure_lb", "iptables"})
    return f"compiling {', '.join(names) or 'the service path'} (once)"
