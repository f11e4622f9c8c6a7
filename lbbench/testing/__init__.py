"""Is a balancer sound? The public conformance test for somebody's own, and for the built-in ones.

In a test of your own::

    from lbbench.testing import check_balancer

    def test_mine():
        check_balancer("my_lb.py:mine").raise_if_failed()
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from lbbench.balancers.base import Balancer, Endpoint, find
from lbbench.testing.course import Course
from lbbench.testing.script import endpoints_of
from lbbench.testing.verdict import Check, Conformance

__all__ = ["Check", "Conformance", "check_balancer"]

NUMBERED = "haproxy_"
"""Beginning of the names of balancers whose original numbers its servers."""


def check_balancer(
    balancer: Balancer | str,
    *,
    options: Mapping[str, Any] | None = None,
    endpoints: int | Sequence[Endpoint] = 12,
    picks: int = 60,
    seed: int = 1,
    speed: bool = True,
    compiled: bool = True,
    ids_matter: bool = False,
) -> Conformance:
    """Return what came of every check of ``balancer``; nothing is printed, nothing raised by it.

    An instance lives through a script of lists that grow, shrink, repeat, empty and come back,
    with ``picks`` picks from each, retries, answers and failures among them.

    Parameters
    ----------
    balancer
        A balancer, or a name as scenarios have it: ``ewma``, ``FILE.py:NAME`` (seen from the
        current folder), or that of an installed package.
    options
        Values of the balancer's options; the others have their defaults.
    endpoints
        Endpoints, or how many: made up, with weights of 1, 2 and 3.
    picks
        Picks from each list, at least 1.
    seed
        Seed of the script and of the balancer's draws.
    speed
        Also measure nanoseconds per pick, which needs another compilation.
    compiled
        Also compile it: most of the time that a check takes. Without it "compiled = plain Python",
        "array bounds" and the speed are not done.
    ids_matter
        The numbers of the endpoints decide picks on purpose. HAProxy's balancers, which hash the
        server's number, need not say so.

    Raises
    ------
    BalancerError
        When there is no such balancer, or it has no such option.
    """
    chosen = find(balancer, Path.cwd()) if isinstance(balancer, str) else balancer
    course = Course(
        chosen,
        chosen.options(options or {}),
        endpoints_of(endpoints),
        max(picks, 1),
        seed,
        ids_matter=ids_matter or chosen.name.startswith(NUMBERED),
    )
    return Conformance(
        chosen.name, tuple(course.checks(speed=speed and compiled, compiled=compiled))
    )
