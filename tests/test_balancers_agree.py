"""Every balancer gives the same run in both engines, the loop of the fast one as plain Python.

That compiled code does what plain Python does is for `check_balancer` to say; the long test here
compiles the loop itself.
"""

from __future__ import annotations

from unittest import mock

import pytest
from drawn import scenarios
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_engines import assert_equal, outcomes

from lbbench.balancers.base import registry
from lbbench.core import jit

L7 = sorted(name for name, item in registry().items() if item.level == "l7")
EJECTS = {
    "outlier": True,
    "consecutive_5xx": 2,
    "interval": "20ms",
    "base_ejection_time": "30ms",
    "max_ejection_percent": 70,
}
OPTIONS = {
    "envoy_least_request": {**EJECTS, "slow_start_window": "50ms"},
    "envoy_maglev": {**EJECTS, "table_size": 251},
    "envoy_random": EJECTS,
    "envoy_ring_hash": {"minimum_ring_size": 64, "hash_balance_factor": 100},
    "haproxy_leastconn": {"slowstart": "1s"},
    "haproxy_random": {"slowstart": "1s"},
    "haproxy_roundrobin": {"slowstart": "1s"},
}
"""Options other than the defaults: what is off by default, and small tables for plain Python."""
SCHEDULERS = ("rr", "wrr", "lc", "wlc", "sed", "nq", "sh", "dh", "mh")
MODES = [
    *({"mode": mode} for mode in ("iptables", "iptables_nth", "nftables", "maglev")),
    *({"mode": "ipvs", "scheduler": scheduler} for scheduler in SCHEDULERS),
]
QUIET = {"deadline": None, "suppress_health_check": list(HealthCheck)}


def drawn_scenarios(*, timeline: bool):
    """Draw (on a grid, a scenario, weights of its pods)."""
    weights = st.lists(st.integers(1, 5), min_size=6, max_size=6)
    return st.booleans().flatmap(
        lambda grid: st.tuples(
            st.just(grid), scenarios(grid=grid, timeline=timeline, requests=60), weights
        )
    )


def with_weights(data: dict, weights: list[int]) -> dict:
    """Give the pods weights."""
    for pod, weight in zip(data["cluster"]["pods"], weights, strict=False):
        pod["weight"] = weight
    return data


def with_balancer(data: dict, name: str) -> dict:
    """Let the ingress use a balancer, with its defaults or `OPTIONS`."""
    data["path"] = "ingress"
    stage = data["stages"]["ingress"]
    stage |= {"balancer": name, "release": "current"}
    stage["options"] = OPTIONS.get(name, {})
    if registry()[name].digest and stage["hash_by"].count("$") > 1:
        stage["hash_by"] = "$request_uri"
    return data


def agree(data: dict, *, grid: bool, block: int = 7) -> None:
    """Run both engines without a compiler, and compare."""
    with mock.patch.dict("os.environ", NUMBA_DISABLE_JIT="1"):
        assert jit.is_disabled()
        assert_equal(*outcomes(data, grid=grid, block=block))


@pytest.mark.parametrize("name", L7)
@settings(max_examples=3, **QUIET)
@given(drawn=drawn_scenarios(timeline=True))
def test_every_balancer_is_the_same_in_both_engines(name, drawn):
    """With weights, ties, retries and all that happens to a cluster."""
    grid, data, weights = drawn
    agree(with_balancer(with_weights(data, weights), name), grid=grid)


@pytest.mark.parametrize("stage", MODES, ids=[" ".join(stage.values()) for stage in MODES])
@settings(max_examples=3, **QUIET)
@given(drawn=drawn_scenarios(timeline=True))
def test_every_mode_of_kube_proxy_is_the_same_in_both_engines(stage, drawn):
    """With and without affinity, both paths."""
    grid, data, weights = drawn
    data["stages"]["kube_proxy"] |= stage
    agree(with_weights(data, weights), grid=grid)


@pytest.mark.long
@pytest.mark.parametrize("name", L7)
@settings(max_examples=8, **QUIET)
@given(drawn=drawn_scenarios(timeline=False))
def test_every_balancer_compiled_is_the_same(name, drawn):
    """The compiled loop, for every balancer."""
    grid, data, weights = drawn
    data = with_balancer(with_weights(data, weights), name)
    assert_equal(*outcomes(data, grid=grid, block=777))
