"""least_conn takes the fewest attempts that its own worker has outstanding."""

from __future__ import annotations

import numpy as np
import pytest
from feeding import NO_TRIES, assert_compiled_agrees, history

from lbbench.balancers.base import Endpoint, registry
from lbbench.core.rng import stream, wrapping

ENDPOINTS = [Endpoint(f"10.0.0.{i}:80") for i in range(6)]
NAMES = ("least_conn", "jsq")


@pytest.mark.parametrize("name", NAMES)
def test_the_least_busy_is_picked(name: str):
    """Busy 3, 1, 2, 1, 9, 9 and then one more at 1: only 3 is left with the fewest."""
    balancer, rng = registry()[name], stream(1, 0, "ingress", "a/0")
    state = balancer.state({}, ENDPOINTS)
    busy = np.array([3, 1, 2, 1, 9, 9])
    balancer.on_endpoints(state, rng, NO_TRIES, np.arange(6), 0.0)
    for endpoint, count in enumerate(busy):
        balancer.on_busy(state, endpoint, count)
    with wrapping():
        assert balancer.pick(state, rng, 0.0, -1, busy, NO_TRIES) in {1, 3}
        balancer.on_busy(state, 1, 2)
        assert balancer.pick(state, rng, 0.0, -1, busy, NO_TRIES) == 3


@pytest.mark.parametrize("name", NAMES)
def test_compiled_and_plain_agree(name: str, monkeypatch, tmp_path):
    """Picks, draws and rankings of a random history are equal bit for bit."""
    calls = history(8, calls=2000, endpoints=6)
    picked = assert_compiled_agrees(registry()[name], {}, ENDPOINTS, calls, monkeypatch, tmp_path)
    assert set(picked) == {-9, -1, *range(6)}


def test_own_attempts_or_the_pods_numbers():
    """least_conn is told what its worker has outstanding, jsq what is at the pods."""
    own, pods = registry()["least_conn"], registry()["jsq"]
    assert (own.sees, own.scope) == ("own", "worker")
    assert (pods.sees, pods.scope) == ("pods", "shared")
