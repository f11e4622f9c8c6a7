"""What happens to the cluster during a run, step by step: known before it, read by both engines.

Nothing of it depends on requests: pods come, fail and go by the timeline; probes, rules and workers
follow by their own clocks. So the plan works it out once (`lbbench/engines/timeline/`), and both
engines merge the steps with their events. Two kinds: the cluster itself changes (CHANGE), or
somebody's view of it does (VIEW: the load balancer's healthy nodes, one node's rules, one worker's
endpoints).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from lbbench.engines.events import ATTEMPT_BITS, CHANGE, VIEW, event_order, event_owner

SPEED = 0  # pod a works at speed `value` from now on; 0: it stands still
DOOR = 1  # pod a treats what comes as b says (OPEN, ...); ERROR: each takes `value` seconds
EMPTY = 2  # what is in pod a is gone; b: its clients hear of it (RESET) or not (LOST)
DROP_IDLE = 3  # idle upstream connections to pod a are closed and every worker knows
MEMBER = 4  # pod a belongs to the cluster (b 1) or has left it (0): what a session may still want
NODE = 5  # node a is up (b 1) or down (0)
ROUTES = 6  # packets between nodes arrive (b 1) or are lost (0)
CUT = 7  # the load balancer forgets all established flows
LB_VIEW = 8  # the load balancer holds the nodes `listed` eligible
NODE_VIEW = 9  # node a's rules list the targets `listed`; b 1: an empty list drops, 0: it rejects
WORKER_VIEW = 10  # view a's list becomes the pods `listed`, number b of the API's lists

N_CHANGES = LB_VIEW  # operations below are CHANGE, the others VIEW

OPEN = 0  # serves
REFUSE = 1  # answers a new connection, or a request on an old one, with a reset
SILENT = 2  # nothing comes in and nothing goes out
ERROR = 3  # answers 5xx after the time that the step gives
ERROR_RETRIED = 4  # the same with a status that `next_upstream` retries

RESET = 0
LOST = 1

STEP = np.dtype(
    [
        ("time", np.float64),
        ("order", np.int64),
        ("op", np.int64),
        ("a", np.int64),
        ("b", np.int64),
        ("value", np.float64),
        ("first", np.int64),  # of its part of `listed`
        ("count", np.int64),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Step:
    """One step; numbers of pods, nodes and targets are those of the topology."""

    time: float  # seconds
    op: int
    a: int = -1
    b: int = 0
    value: float = 0.0
    listed: tuple[int, ...] = ()


class Script(NamedTuple):
    """Steps in order of (time, order)."""

    step: np.ndarray  # STEP[K]
    listed: np.ndarray  # int64[] the lists of all steps, one after the other


def step_number(order: int) -> int:
    """Return the number of a step from its order."""
    return event_owner(int(order)) >> ATTEMPT_BITS


def script_of(steps: Iterable[Step]) -> Script:
    """Return the steps as arrays: by time, changes before views, else in the order given."""
    ordered = sorted(steps, key=lambda step: (step.time, step.op >= N_CHANGES))
    rows = np.zeros(len(ordered), STEP).view(np.recarray)
    lists: list[Sequence[int]] = []
    first = 0
    for i, step in enumerate(ordered):
        kind = CHANGE if step.op < N_CHANGES else VIEW
        order = event_order(kind, i, 0)
        rows[i] = (
            step.time, order, step.op, step.a, step.b, step.value, first, len(step.listed),
        )  # fmt: skip
        lists.append(step.listed)
        first += len(step.listed)
    flat: list[Any] = [number for listed in lists for number in listed]
    return Script(rows, np.array(flat, np.int64))
