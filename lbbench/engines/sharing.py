"""Service at a changing speed: the arithmetic that both engines use.

Processor sharing goes by virtual time.

While q jobs share a pod of c cores and the given speed, each gets speed * min(1, c / q). Virtual
time V grows at that rate; a job that comes in at V leaves at V + work.
"""

from __future__ import annotations


def share(speed: float, places: int, jobs: int) -> float:
    """Return the rate at which one of ``jobs`` jobs is served."""
    return speed * min(1.0, places / jobs)


def virtual_now(virtual: float, dt: float, speed: float, places: int, jobs: int) -> float:
    """Return virtual time ``dt`` seconds after it was ``virtual`` with ``jobs`` jobs present."""
    if jobs == 0 or dt <= 0.0:
        return virtual
    return virtual + dt * share(speed, places, jobs)


def leaving_time(
    now: float, virtual: float, leaves_at: float, speed: float, places: int, jobs: int
) -> float:
    """Return when the job that leaves at virtual time ``leaves_at`` is done, if nothing changes."""
    return now + max(leaves_at - virtual, 0.0) / share(speed, places, jobs)


def work_left(todo: float, since: float, now: float, speed: float) -> float:
    """Return what is left at ``now`` of ``todo`` seconds of work, served at ``speed`` since."""
    return max(todo - (now - since) * speed, 0.0)
