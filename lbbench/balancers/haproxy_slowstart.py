"""HAProxy's ``slowstart``: a server that comes up later begins with little weight.

Original: haproxy/haproxy src/server.c (srv_update_status, server_recalc_eweight, server_warmup) at
v2.6.12, checked against the running program. A server that is listed when the process starts has
its full weight. One that comes (back) later has, d whole seconds of the clock after the second in
which it came, the effective weight

    weight (16 d + s) / s, the division in whole numbers, while d < s; then 16 weight

where s is ``slowstart`` in seconds, rounded up. A task of the server computes it when it comes and
then once a second, for the original keeps seconds where its 20th part is to be milliseconds: only
above 20 000 s is the step longer. A server that goes keeps the task's time; if it is back before,
the task runs at that time.

Here the task's runs are caught up with at the next pick or change of the list, in order of their
times; of runs at the same millisecond that of the lower endpoint id comes first. The compiled
functions cost one comparison while no server warms up.

Deviations: the task is never late; ``slowstart`` limits no ``maxconn``. Units: milliseconds of the
process's clock, seconds where said.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from lbbench.balancers.figures import seconds
from lbbench.balancers.haproxy_servers import NOBODY, WEIGHT_SCALE

SECONDS, STEP, WAKE, STARTED = range(4)
MS = 1000  # milliseconds of a second
STEPS = 20
NEVER = 2**62


class Warming(Protocol):
    """What is known of the servers' weights, as fields of a balancer's state; E endpoints exist."""

    @property
    def slow(self) -> np.ndarray:
        """Return int64[4]: slowstart (s); step, next run of a task (ms); 1: the process started."""

    @property
    def uweight(self) -> np.ndarray:
        """Return the weights of the configuration, int64[E] by id."""

    @property
    def eweight(self) -> np.ndarray:
        """Return the effective weights, 16 times those when warm, int64[E] by id."""

    @property
    def since(self) -> np.ndarray:
        """Return the second in which each came up last, int64[E] by id."""

    @property
    def due(self) -> np.ndarray:
        """Return when each one's task runs (ms), NEVER when it does not, int64[E] by id."""


def warming_fields(
    name: str, params: Mapping[str, Any], weights: Sequence[int]
) -> dict[str, np.ndarray]:
    """Return the fields of a process that has not started.

    Raises
    ------
    BalancerError
        When ``slowstart`` is no time.
    """
    whole = math.ceil(seconds(name, params, "slowstart"))
    n = len(weights)
    return {
        "slow": np.array([whole, max(MS, whole // STEPS), NEVER, 0], np.int64),
        "uweight": np.array(weights, np.int64),
        "eweight": WEIGHT_SCALE * np.array(weights, np.int64),
        "since": np.zeros(n, np.int64),
        "due": np.full(n, NEVER, np.int64),
    }


def starts(s: Warming) -> bool:
    """Tell, once, that the process takes its first list."""
    if s.slow[STARTED] == 1:
        return False
    s.slow[STARTED] = 1
    return True


def come_up(s: Warming, server: int, now: float) -> None:
    """Let a server begin to warm up at ``now`` (s), if there is a slowstart."""
    if s.slow[SECONDS] == 0:
        return
    ms = int(MS * now)
    s.since[server] = ms // MS
    s.eweight[server] = s.uweight[server]
    s.due[server] = min(s.due[server], ms + s.slow[STEP])
    s.slow[WAKE] = min(s.slow[WAKE], s.due[server])


def is_due(s: Warming, now: float) -> bool:
    """Tell whether a task is to run up to ``now`` (s)."""
    return bool(MS * now >= s.slow[WAKE])


def next_run(s: Warming, now: float) -> int:
    """Return the server whose task runs next, `NOBODY` when none is to run up to ``now`` (s)."""
    s.slow[WAKE] = NEVER
    first = NOBODY
    for server in range(len(s.due)):
        if s.due[server] < s.slow[WAKE]:
            s.slow[WAKE] = s.due[server]
            first = server
    return first if is_due(s, now) else NOBODY


def run_task(s: Warming, server: int, is_up: bool) -> bool:  # noqa: FBT001  (compiled by position)
    """Run a server's task; tell whether the balancer hears of it.

    It does when the weight is another one, and at the end, whatever the weight.
    """
    age = s.due[server] // MS - s.since[server]
    if not is_up:
        s.due[server] = NEVER
        return False
    if age >= s.slow[SECONDS]:
        s.due[server] = NEVER
        s.eweight[server] = WEIGHT_SCALE * s.uweight[server]
        return True
    s.due[server] += s.slow[STEP]
    before = s.eweight[server]
    share = (WEIGHT_SCALE * age + s.slow[SECONDS]) // s.slow[SECONDS]
    s.eweight[server] = share * s.uweight[server]
    return bool(s.eweight[server] != before)
