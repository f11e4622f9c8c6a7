"""The scenario's numbers and switches as the engines read them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from lbbench.balancers.base import Balancer
from lbbench.engines.work import NOTHING, SEEN
from lbbench.model.scenario import Scenario
from lbbench.model.units import parse_time
from lbbench.traffic.generate import Traffic


def numbers_of(
    scenario: Scenario,
    traffic: Traffic,
    node: Balancer,
    pod: Balancer,
    options: Mapping[str, Any],
    template: str,
) -> dict[str, Any]:
    """Return the fields of `Facts` that are one number."""
    ingress = scenario.stages.ingress
    azure = scenario.stages.azure_lb
    network = scenario.cluster.network
    connections = scenario.traffic.connections
    on_ingress = scenario.path == "ingress"
    canary = None if isinstance(ingress.canary, str) else ingress.canary
    cfs = None if isinstance(scenario.cluster.pod.cfs, str) else scenario.cluster.pod.cfs
    return {
        "ingress": int(on_ingress),
        "local": int(scenario.stages.kube_proxy.external_traffic_policy == "Local"),
        "streams": connections.streams if connections.protocol == "http2" else 1,
        "tries": ingress.next_upstream.tries,
        "retry_on_error": int("error" in ingress.next_upstream.on),
        "retry_on_timeout": int("timeout" in ingress.next_upstream.on),
        "cookies": int(pod.cookies),
        "sees_pods": int(pod.sees == "pods"),
        "sees_work": SEEN.get(pod.sees, NOTHING),
        "ms_clock": int(pod.clock == "ms"),
        "any_answer": int(pod.any_answer),
        "first_counts": int(pod.accounts == "first"),
        "by_port": int(node.by_port),
        "shared": int(scenario.cluster.pod.discipline == "ps"),
        "keepalive": ingress.keepalive.upstream if on_ingress else 0,
        "keepalive_requests": ingress.keepalive.upstream_requests,
        "keepalive_timeout": float(ingress.keepalive.upstream_timeout),
        "connect_timeout": float(ingress.timeouts.connect),
        "read_timeout": float(ingress.timeouts.read),
        "client_timeout": float(scenario.traffic.connect_timeout),
        "client_requests": ingress.keepalive.client_requests if on_ingress else 2**60,
        "client_idle": float(ingress.keepalive.client_timeout) if on_ingress else math.inf,
        "flow_idle": float(azure.idle_timeout),
        "flow_reset": int(azure.tcp_reset),
        "lock_hold": _seconds(options.get("lock_hold", 0.0)),
        "canary_weight": canary.weight if canary else 0,
        "canary_total": canary.weight_total if canary else 100,
        "worker_cpu": float(scenario.cluster.ingress.cpu_per_request),
        "client_rtt": float(network.client_rtt),
        "path_delay": float(network.path_delay),
        "path_jitter": float(network.path_jitter),
        "drain": float(scenario.run.drain),
        "duration": float(traffic.duration or 0.0),
        "n_requests": int(traffic.n_requests or 0),
        "users": traffic.users.count if traffic.users is not None else 0,
        "chained": int(connections.gap is not None and traffic.users is None),
        "by_key": int(traffic.population.n_sessions == 0 and _hashes_keys(scenario, pod, template)),
        "quota": float(cfs.quota) if cfs else 0.0,
        "period": float(cfs.period) if cfs else 1.0,
    }


def _hashes_keys(scenario: Scenario, pod: Balancer, template: str) -> bool:
    """Tell whether the L7 balancer's pick follows from the request's key."""
    goes_by_it = pod.follows_key or pod.digest is not None
    return scenario.path == "ingress" and goes_by_it and "$request_uri" in template


def _seconds(value: object) -> float:
    return float(value) if isinstance(value, (int, float)) else parse_time(value)
