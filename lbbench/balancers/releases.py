"""What an operator's word meant in an older release of ingress-nginx.

``0.21`` is the generation of the end of 2018. Its round_robin and chash are today's (round_robin
began at the first node, which is its option ``start``); ewma and cookie affinity were others, and
what came later is refused. Yardsticks and users' own balancers belong to no release.

Original: kubernetes/ingress-nginx rootfs/etc/nginx/lua/balancer.lua at 4e986667, chashsubset since
60b98350, the two kinds of cookie affinity since 881e352d.
"""

from __future__ import annotations

from lbbench.errors import BalancerError

CURRENT, SEED = "current", "0.21"

THEN = {"ewma": "ewma_0.21", "sticky_balanced": "sticky_0.21"}
"""Balancers of 0.21 by today's words."""

LATER = {
    "chashsubset": ("0.22", "chash"),
    "sticky_persistent": ("0.26", "sticky_balanced, the only cookie affinity of that time"),
}
"""Balancers that 0.21 did not have: the release that brought each, and what to use instead."""


def for_release(name: str, release: str) -> str:
    """Return the name of the balancer that ``name`` meant in ``release``.

    Raises
    ------
    BalancerError
        When the release is unknown, or had no such balancer.
    """
    if release == CURRENT:
        return name
    if release != SEED:
        raise BalancerError(f"there is no release {release!r}; known are: {CURRENT}, {SEED}")
    if name in LATER:
        since, instead = LATER[name]
        raise BalancerError(
            f"balancer {name} did not exist in release {release}, it came with {since}; "
            f"use {instead}, or release: {CURRENT}"
        )
    return THEN.get(name, name)
