"""The running nginx and HAProxy pick as their balancers here do: recorded, and live where they are.

Six settings of equal and unequal weights, two with servers that refuse connections, so that tries
again and redispatches are met.
"""

from __future__ import annotations

import json
import secrets
from pathlib import Path

import numpy as np
import pytest
from native import HAPROXY, NGINX, SETTINGS, missing, record

from lbbench.balancers.base import Endpoint, registry

GOLDEN = json.loads((Path(__file__).parent / "golden" / "native_live.json").read_text())
HAPROXY_TRIES = 4  # retries 3
NAMES = [*NGINX, *HAPROXY]


def picks(run: dict, name: str) -> list[int]:
    """Return which server answers each request of a recorded run by our balancer, -1 for none."""
    balancer = registry()[name.partition(" ")[0]]
    endpoints = [Endpoint(*pair) for pair in zip(run["addresses"], run["weights"], strict=True)]
    wanted = {
        "redispatch": "last" if name.endswith("last") else True,
        "max_fails": int(name.endswith("banned")),
        "fail_timeout": "100s",
        "hash_balance_factor": 150,
    }
    options = balancer.options({k: v for k, v in wanted.items() if k in balancer.params})
    digest = balancer.digest(options) if balancer.digest else lambda _: -1
    state, rng, n = balancer.state(options, endpoints), np.zeros(4, np.uint64), len(endpoints)
    balancer.on_endpoints(state, rng, np.zeros(0, np.int64), np.arange(n), 0.0)
    tries = HAPROXY_TRIES if name in HAPROXY else n + 1
    found = []
    for key, _ in run["picks"][name]:
        tried: list[int] = []
        place = -1
        for _ in range(tries):
            busy, failed = np.zeros(n, np.int64), np.array(tried, np.int64)
            place = int(balancer.pick(state, rng, 100.0, digest(key.encode()), busy, failed))
            if place not in run["dead"]:
                break
            tried.append(place)
            place = -1
        found.append(place)
    return found


def assert_same(run: dict, name: str) -> None:
    """Compare every pick of a run."""
    assert picks(run, name) == [server for _, server in run["picks"][name]]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("run", GOLDEN["runs"], ids=[f"{w} {d}" for w, d in SETTINGS])
def test_every_recorded_pick_is_ours(run, name):
    """Turns, hashes of addresses and texts, rings, and what becomes of failed connects."""
    assert_same(run, name)


@pytest.mark.long
@pytest.mark.skipif(bool(missing()), reason=f"not installed: {missing()}")
def test_every_live_pick_is_ours():
    """New keys and random weights; the seed is in the message."""
    seed = secrets.randbits(32)
    draw = np.random.default_rng(seed)
    weights = draw.integers(1, 20, size=int(draw.integers(2, 9))).tolist()
    dead = [int(draw.integers(len(weights)))] if draw.random() < 0.5 else []
    run = record(weights, dead, seed)
    wrong = [name for name in NAMES if picks(run, name) != [k for _, k in run["picks"][name]]]
    assert not wrong, (seed, weights, dead, wrong)
