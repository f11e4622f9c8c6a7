"""What the conformance test lets happen to a balancer: lists, keys, failures, answers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lbbench.balancers.base import Balancer, Endpoint
from lbbench.testing.walk import Script

MOST_TRIED = 3
WEIGHTS = (1, 1, 2, 1, 3)


def endpoints_of(given: int | Sequence[Endpoint]) -> tuple[Endpoint, ...]:
    """Return endpoints in order of their addresses: those given, or as many made up.

    Those made up have weights of 1, 2 and 3.
    """
    if not isinstance(given, int):
        return tuple(sorted(given, key=lambda item: item.address))
    names = sorted(f"10.244.{i // 250}.{i % 250 + 2}:8080" for i in range(given))
    return tuple(Endpoint(name, WEIGHTS[i % len(WEIGHTS)]) for i, name in enumerate(names))


def steps_of(n: int) -> list[list[int]]:
    """Return lists of ids out of ``n``: up, down, none, one, the same again, and back."""
    everyone = list(range(n))
    return [
        everyone[: n // 2],  # the first list
        everyone,  # more
        everyone,  # the same again
        everyone[::2],  # fewer, positions that are not the ids
        everyone[-1:],  # one, of the highest id
        [],  # none
        [],
        everyone[n // 2 :],  # others than ever before
        everyone[:1],
        everyone[1:],
        everyone,
    ]


def script_of(
    balancer: Balancer, n: int, picks: int, seed: int, *, restarted: bool = False, ahead: int = 0
) -> Script:
    """Return a script for ``n`` endpoints, ``picks`` per list.

    Parameters
    ----------
    balancer
        Its level and clock say what it may be given.
    restarted
        The instance begins while requests of its predecessor are out.
    ahead
        Endpoints of lower ids that are never listed.
    """
    source = np.random.default_rng(seed)
    steps = steps_of(n)
    lists = np.zeros((len(steps), n + ahead), np.int64)
    for row, step in enumerate(steps):
        lists[row, : len(step)] = np.array(step, np.int64) + ahead
    gaps = source.exponential(0.003, (len(steps), picks))
    gaps[source.random(gaps.shape) < 0.1] = 0.0  # at the same time
    gaps[1:, 0] = 5.0
    times = np.cumsum(gaps.ravel()).reshape(gaps.shape)
    rtt = source.exponential(0.02, picks)
    rtt[::17] = 0.0
    keys = source.integers(0, 2**32, picks)
    keys[: min(2, picks)] = [0, 2**32 - 1][: min(2, picks)]
    if balancer.cookies:  # only then there may be none
        keys[3::4] = -1
    busy = np.zeros(n + ahead, np.int64)
    if restarted:
        busy[ahead:] = source.integers(0, 3, n)
    if balancer.clock == "ms":
        times, rtt = np.floor(1000.0 * times) / 1000.0, np.floor(1000.0 * rtt) / 1000.0
    n_tried = source.integers(0, MOST_TRIED + 1, picks) * (source.random(picks) < 0.3)
    return Script(
        lists=lists,
        counts=np.array([len(step) for step in steps], np.int64),
        times=times,
        keys=keys,
        tried=source.integers(0, 2**20, (picks, MOST_TRIED)),
        n_tried=n_tried.astype(np.int64) * (balancer.level == "l7"),
        rtt=rtt,
        ok=source.random(picks) > 0.1,
        busy=busy,
    )
