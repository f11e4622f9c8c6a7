"""The cases that come with the bed: scenarios whose addresses the bed can have."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.model.check import build
from lbbench.model.scenario import Scenario

VIP = "20.0.0.1:80"
TRACE = "trace.csv.gz"

KERNEL, NGINX, HAPROXY = "kernel", "nginx", "haproxy"
BALANCERS = {
    KERNEL: ("iptables",),
    NGINX: ("round_robin", "nginx_least_conn", "nginx_random_two"),
    HAPROXY: ("round_robin", "haproxy_leastconn", "haproxy_random"),
}
"""What each case can balance with, by lbbench's names; the first is what it does unless asked."""

EVEN = {
    "name": "even",
    "path": "service",
    "cluster": {"nodes": 1, "pods": 7, "vip": VIP},
    "traffic": {"utilisation": 0.5},
}
LOCAL = {
    "name": "local",
    "path": "service",
    "cluster": {"nodes": 3, "pods": 9, "placement": [4, 3, 2], "vip": VIP},
    "stages": {"kube_proxy": {"external_traffic_policy": "Local", "probability_format": "%0.5f"}},
    "traffic": {"utilisation": 0.5},
}
UNEVEN = {
    "name": "uneven",
    "path": "service",
    "cluster": {"nodes": 2, "pods": 5, "vip": VIP},
    "stages": {"kube_proxy": {"probabilities": [0.5, 0.25, 0.4, 0.8, 1.0]}},
    "traffic": {"utilisation": 0.5},
}
SPLITS: tuple[Mapping[str, Any], ...] = (EVEN, LOCAL, UNEVEN)
"""Rules of three kinds: all pods alike, those of one node in the old format, shares as given."""


def experiment(
    case: str, balancer: str, *, pods: int, concurrency: int, workers: int = 1
) -> Scenario:
    """Return the scenario of a case: one node, a trace, as the recorded runs have it.

    The path's delay is that of the recorded runs; it is no property of this machine.

    Raises
    ------
    ScenarioError
        When a number is not allowed.
    """
    service = case == KERNEL
    data: dict[str, Any] = {
        "name": f"{case}_{balancer.removeprefix(f'{case}_')}_n{pods}",
        "path": "service" if service else "ingress",
        "cluster": {
            "nodes": 1,
            "pods": [
                {"name": f"pod-{i}", "address": f"10.244.{(i + 1) // 250}.{(i + 1) % 250 + 1}:8080"}
                for i in range(pods)
            ],
            "pod": {"concurrency": concurrency},
            "vip": VIP,
            "network": {"path_delay": "0.15ms"}
            if service
            else {"path_delay": "0.3ms", "path_jitter": "0.1ms"},
        },
        "stages": {
            "kube_proxy": {
                "mode": "iptables",
                "external_traffic_policy": "Cluster" if service else "Local",
            }
        },
        "traffic": {"trace": TRACE},
        "run": {"warmup": "0s"},
    }
    if not service:
        data["cluster"]["ingress"] = {
            "replicas": [{"name": "ingress-0", "node": "node-0", "address": "10.244.255.1:80"}],
            "workers": workers,
        }
        data["stages"]["ingress"] = {
            "balancer": balancer,
            "sync": {"rate_limit": "unlimited", "worker_interval": "1s"},
        }
    return build(data)
