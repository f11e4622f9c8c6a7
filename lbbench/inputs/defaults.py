"""What no import told and decides the results all the same: one sentence with the values that hold.

The values are those of the checked scenario, so they are the model's own defaults, and what a
preset sets counts as told.
"""

from __future__ import annotations

import re
from typing import Any

from lbbench.inputs.imported import leaf
from lbbench.model.distributions import Distribution
from lbbench.model.presets import with_preset
from lbbench.model.scenario import Scenario
from lbbench.model.units import write_time

ROUND_TRIPS = {
    "client_rtt": "round trip of clients",
    "same_node_rtt": "round trip within a node",
    "cross_node_rtt": "round trip between nodes",
}
"""Words for the round trips of `cluster.network`."""


def defaults_note(scenario: Scenario) -> str | None:
    """Return a sentence about the decisive keys that ``scenario`` was not told.

    Utilisation is not among them: it has no default, and every import says where it assumes one.
    """
    told = with_preset(scenario.written)
    found = [text for key, text in _decisive(scenario) if leaf(told, key) is None]
    found += [*_service_time(told, scenario), *_round_trips(told, scenario)]
    if not found:
        return None
    return (
        f"not told, defaults hold: {', '.join(found)}; set in the file what you know, or import it "
        "with --into"
    )


def _decisive(scenario: Scenario) -> list[tuple[str, str]]:
    """Return (key, its value in words) of what counts on the scenario's path."""
    cluster, stages, traffic = scenario.cluster, scenario.stages, scenario.traffic
    found = [
        ("path", f"path {scenario.path}"),
        ("cluster.nodes", f"{len(cluster.node_names())} nodes"),
        ("cluster.pods", f"{len(cluster.pod_names())} pods"),
        ("cluster.pod.concurrency", f"concurrency {cluster.pod.concurrency} per pod"),
        ("stages.kube_proxy.mode", f"kube-proxy mode {stages.kube_proxy.mode}"),
        (
            "stages.kube_proxy.external_traffic_policy",
            f"externalTrafficPolicy {stages.kube_proxy.external_traffic_policy}",
        ),
    ]
    if scenario.path == "ingress":
        replicas = str(cluster.ingress.replicas).replace("_", " ")
        found += [
            ("cluster.ingress.replicas", f"ingress replicas {replicas}"),
            ("cluster.ingress.workers", f"{cluster.ingress.workers} workers per replica"),
            ("stages.ingress.balancer", f"balancer {stages.ingress.balancer}"),
        ]
    if traffic.trace is None:
        found.append(("traffic.arrivals.process", f"arrivals {traffic.arrivals.process}"))
    return found


def _service_time(told: dict[str, Any], scenario: Scenario) -> list[str]:
    """Return the service time in words unless it was told, or a trace gives it."""
    if scenario.traffic.trace is not None:
        return []
    given, holds = leaf(told, "traffic.service_time"), scenario.traffic.service_time
    if isinstance(given, dict) and (given.get("mean") is not None or holds.mean is None):
        return []
    return [f"service time {_words(holds)}"]


def _words(time: Distribution) -> str:
    return f"{time.distribution} {_time(time.mean or 0.0)}"


def _round_trips(told: dict[str, Any], scenario: Scenario) -> list[str]:
    """Return the round trips in words, as one where all of them hold the same default."""
    network = scenario.cluster.network
    found = {
        words: _time(getattr(network, key))
        for key, words in ROUND_TRIPS.items()
        if leaf(told, f"cluster.network.{key}") is None
    }
    if len(found) == len(ROUND_TRIPS) and len({*found.values()}) == 1:
        return [f"round trips {next(iter(found.values()))}"]
    return [f"{words} {value}" for words, value in found.items()]


def _time(seconds: float) -> str:
    return re.sub(r"(?<=\d)(?=[a-z])", " ", write_time(seconds))
