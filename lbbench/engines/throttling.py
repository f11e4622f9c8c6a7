"""CPU limits as the kernel's CFS bandwidth control keeps them: the arithmetic of both engines.

A pod may use ``quota`` CPU seconds in each period; periods begin at multiples of ``period`` for
every pod. Each job in service uses one core, so ``running`` jobs use the budget up ``running``
times as fast as time goes. When it is used up all stand still until the next period.

References
----------
torvalds/linux Documentation/scheduler/sched-bwc.rst; slices per CPU and bursts are left out.
"""

from __future__ import annotations

import math


def period_at(period: float, now: float) -> int:
    """Return the number of the period in which ``now`` lies; a boundary begins the later one."""
    number = math.floor(now / period)
    if (number + 1) * period <= now:
        number += 1
    if number * period > now:
        number -= 1
    return number


def budget_left(
    left: float, number: int, since: float, now: float, running: int, quota: float, period: float
) -> float:
    """Return the CPU seconds left at ``now`` in its period.

    ``left`` were left at ``since``, in period ``number``, and ``running`` jobs have run since.
    """
    present = period_at(period, now)
    if present > number:
        return quota - running * (now - present * period)
    return left - running * (now - since)


def next_turn(
    left: float, number: int, now: float, running: int, quota: float, period: float
) -> float:
    """Return when the pod has to stop, or, if that is later, when its next period begins.

    Infinite when what runs never uses a whole budget up.
    """
    boundary = (number + 1) * period
    if running == 0:
        return math.inf
    ends = now + max(left, 0.0) / running
    if ends < boundary:
        return ends
    return boundary if running * period > quota else math.inf
