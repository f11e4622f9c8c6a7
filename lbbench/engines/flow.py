"""How much is in each stage over time, and how long all stays: the two sides of Little's law.

Kept with records only. For every stage the integral of what is inside must equal the sum of the
stays, in every run whatever happens in it: what enters must leave exactly once, or still be there.
"""

from __future__ import annotations

import numpy as np

from lbbench.engines.tables import FLOAT, INT
from lbbench.engines.timing import nanoseconds

STAGES_IN_FLOW = ("system", "worker", "upstream", "pods")
SYSTEM = 0  # from arrival to the end at the client
WORKER = 1  # from reaching a worker until it is taken
UPSTREAM = 2  # from the pick of an attempt to its end at the worker
PODS = 3  # from reaching a pod to leaving it, ghosts too

FLOW = np.dtype(
    [
        ("inside", INT),
        ("since", FLOAT),  # seconds: the last change
        ("area", FLOAT),  # integral of what was inside until then
        ("spent", INT),  # nanoseconds that what has left had been inside
    ]
)


def flow_in(flow: np.ndarray, stage: int, now: float) -> None:
    """Count one more in ``stage``; ``flow`` is FLOW[4]."""
    row = flow[stage]
    row.area += row.inside * (now - row.since)
    row.since = now
    row.inside += 1


def flow_out(flow: np.ndarray, stage: int, entered: float, now: float) -> None:
    """Count one less in ``stage``, which had come at ``entered``."""
    row = flow[stage]
    row.area += row.inside * (now - row.since)
    row.since = now
    row.inside -= 1
    row.spent += nanoseconds(now - entered)


def flow_stays(flow: np.ndarray, stage: int, entered: float) -> None:
    """Count the stay, so far, of something that is still in ``stage`` when the run ends."""
    row = flow[stage]
    row.inside -= 1
    row.spent += nanoseconds(max(row.since - entered, 0.0))
