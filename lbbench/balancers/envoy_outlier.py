"""Envoy's outlier detection by consecutive errors: hosts are ejected, and come back.

Original: envoyproxy/envoy source/common/upstream/outlier_detection_impl.cc at 00c7146d. Off unless
``outlier: true``, as in Envoy, where the section has to be configured. ``consecutive_5xx`` (5)
failures of a host in a row eject it, unless more than ``max_ejection_percent`` (10) of the hosts
would be out then: **with fewer than ten hosts nothing is ejected by default**, except one host
under ``always_eject_one_host``; older releases always ejected one. Either way the count begins
anew. At every tick of ``interval`` (10 s) a host comes back that has been out for
``base_ejection_time`` (30 s) times its backoff, ``max_ejection_time`` (300 s) at most. The backoff
is one more with each ejection and one less at each tick that finds the host in.

Deviations: ticks are at multiples of the interval, and are taken when the next pick or answer
comes. A failure is an answer of 500 or more, a refused connection or a timeout; one that is tried
again is learnt at that pick, and not where the failed host has left the list in between. Gateway
failures, success rates, failure percentages and the jitter (0 by default) are not modelled.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from lbbench.balancers.figures import number, seconds, whole, yes_no
from lbbench.errors import BalancerError

OUTLIER, CONSECUTIVE, INTERVAL, BASE, LONGEST, PERCENT, ALWAYS_ONE = range(7)
ERRORS, EJECTED, BACKOFF = range(3)
TICKS, VERSION = range(2)

PARAMS: Mapping[str, Any] = MappingProxyType(
    {
        "outlier": False,
        "consecutive_5xx": 5,
        "interval": "10s",
        "base_ejection_time": "30s",
        "max_ejection_time": "300s",
        "max_ejection_percent": 10,
        "always_eject_one_host": False,
    }
)
"""Envoy's defaults."""

SWITCHES: Mapping[str, str] = MappingProxyType(
    {name: "outlier" for name in PARAMS if name != "outlier"}
)


def detector_fields(name: str, params: Mapping[str, Any], n: int) -> dict[str, np.ndarray]:
    """Return the detector's fields of a state, for ``n`` endpoints.

    ``outlier`` float64[7]: 1 when it is on, failures in a row, interval, base and longest ejection
    (seconds), percent, 1 for always_eject_one_host; ``health`` int64[3, n] by id: failures in a
    row, 1 while it is out, backoff; ``ejected_at`` float64[n] seconds; ``detector`` int64[2]: ticks
    taken, version of who is in and out.

    Raises
    ------
    BalancerError
        When an option is out of range.
    """
    base = seconds(name, params, "base_ejection_time", above=True)
    longest = seconds(name, params, "max_ejection_time", above=True)
    if longest < base:
        raise BalancerError(
            f"{name}: max_ejection_time = {params['max_ejection_time']}: must not be shorter than "
            f"base_ejection_time = {params['base_ejection_time']}"
        )
    rule = [
        yes_no(name, params, "outlier"),
        whole(name, params, "consecutive_5xx", 1),
        seconds(name, params, "interval", above=True),
        base,
        longest,
        number(name, params, "max_ejection_percent", 0.0, 100.0),
        yes_no(name, params, "always_eject_one_host"),
    ]
    return {
        "outlier": np.array(rule, np.float64),
        "health": np.zeros((3, n), np.int64),
        "ejected_at": np.zeros(n),
        "detector": np.zeros(2, np.int64),
    }


def begin_detector(state: Any, now: float) -> None:
    """Let the ticks before ``now`` be over, for a process that begins."""
    if state.detector[TICKS] == 0:
        state.detector[TICKS] = int(now / state.outlier[INTERVAL])


def forget(state: Any, endpoint: int) -> None:
    """Let a host that comes or goes be healthy."""
    if state.health[EJECTED, endpoint] == 1:
        state.detector[VERSION] += 1
    for row in range(3):
        state.health[row, endpoint] = 0


def sweep(state: Any, now: float) -> None:
    """Take the ticks up to ``now``. O(1) between ticks, O(E) for one that finds anybody out."""
    last = int(now / state.outlier[INTERVAL])
    tick = state.detector[TICKS]
    waiting = 1
    while tick < last and waiting > 0:
        tick += 1
        waiting = _tick(state, tick * state.outlier[INTERVAL])
    state.detector[TICKS] = max(last, state.detector[TICKS])


def _tick(state: Any, now: float) -> int:
    """Let hosts come back and backoffs fall; return how many hosts have any left."""
    health, rule = state.health, state.outlier
    waiting = 0
    for endpoint in range(len(state.ejected_at)):
        if health[BACKOFF, endpoint] == 0:
            continue
        waiting += 1
        if health[EJECTED, endpoint] == 0:
            health[BACKOFF, endpoint] -= 1
        elif (
            min(rule[BASE] * health[BACKOFF, endpoint], rule[LONGEST])
            <= now - state.ejected_at[endpoint]
        ):
            health[EJECTED, endpoint] = 0
            health[ERRORS, endpoint] = 0
            state.detector[VERSION] += 1
    return waiting


def tell(state: Any, n: int, endpoint: int, now: float, ok: bool) -> None:  # noqa: FBT001
    """Count an answer or a failure of an endpoint id, of which ``n`` are listed; eject it, maybe.

    O(1), O(n) when the failures in a row are enough.
    """
    health, rule = state.health, state.outlier
    if ok:
        health[ERRORS, endpoint] = 0
        return
    health[ERRORS, endpoint] += 1
    if health[ERRORS, endpoint] != rule[CONSECUTIVE] or health[EJECTED, endpoint] == 1:
        return
    health[ERRORS, endpoint] = 0
    out = 0
    is_listed = False
    for place in range(n):
        out += health[EJECTED, state.ids[place]]
        is_listed = is_listed or state.ids[place] == endpoint
    if not is_listed:
        return
    if 100.0 * (out + 1) / n <= rule[PERCENT] or (out == 0 and rule[ALWAYS_ONE] == 1.0):
        health[EJECTED, endpoint] = 1
        state.ejected_at[endpoint] = now
        if health[BACKOFF, endpoint] * rule[BASE] < rule[LONGEST] + rule[BASE]:
            health[BACKOFF, endpoint] += 1
        state.detector[VERSION] += 1
