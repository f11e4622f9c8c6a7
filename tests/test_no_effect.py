"""Settings that change nothing are told."""

from __future__ import annotations

import pytest

from lbbench.engines.plan import make_plan
from lbbench.model.check import build
from lbbench.studies.no_effect import without_effect

UNLIKE = {"pods": [{"name": "a", "weight": 2}, {"name": "b"}]}


def told(path="ingress", cluster=None, **stages):
    """Return what is told of a scenario."""
    data = {"path": path, "traffic": {"utilisation": 0.5}, "run": {"requests": 10}}
    return without_effect(make_plan(build({**data, "cluster": cluster or {}, "stages": stages})))


def test_a_scheduler_is_for_ipvs():
    """Of another mode it is told; where nobody set one, nothing is."""
    assert told(kube_proxy={"mode": "ipvs", "scheduler": "wlc"}) == told() == []
    (said,) = told(kube_proxy={"scheduler": "wlc"})
    assert "scheduler = wlc has no effect: the mode is iptables" in said


@pytest.mark.parametrize(
    ("balancer", "count"),
    [("ewma", 1), ("p2c", 1), ("nginx_round_robin", 0), ("haproxy_hash", 0),
     ("envoy_least_request", 0), ("nginx_hash_consistent", 0)],
)  # fmt: skip
def test_weights_are_for_those_that_go_by_them(balancer, count):
    """Whether one does shows in its state."""
    found = told(cluster=UNLIKE, ingress={"balancer": balancer})
    assert len(found) == count
    assert all(f"{balancer} does not go by weights" in said for said in found)


def test_weights_on_the_service_path_are_ipvs_s():
    """kube-proxy's iptables rules have none."""
    (said,) = told("service", UNLIKE)
    assert "iptables does not go by weights" in said
    assert told("service", UNLIKE, kube_proxy={"mode": "ipvs", "scheduler": "wrr"}) == []


def test_what_waits_for_a_switch_is_told():
    """Figures of outlier detection and of slow start, while these are off."""
    options = {"consecutive_5xx": 3, "interval": "1s", "aggression": 2.0}
    stage = {"balancer": "envoy_round_robin", "options": options}
    found = told(ingress=stage)
    assert found == [
        "stages.ingress.options: consecutive_5xx, interval have no effect while outlier is false",
        "stages.ingress.options: aggression has no effect while slow_start_window is 0s",
    ]
    on = {**options, "outlier": True, "slow_start_window": "10s"}
    assert told(ingress={**stage, "options": on}) == []
