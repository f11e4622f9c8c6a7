"""What the engines cannot run yet, refused with a sentence instead of being ignored."""

from __future__ import annotations

from lbbench.errors import RunError
from lbbench.model.scenario import Scenario


def refuse_what_is_missing(scenario: Scenario) -> None:
    """Raise RunError when ``scenario`` asks for something that this version does not simulate."""
    ingress = scenario.stages.ingress
    asked = {
        "timeline": bool(scenario.timeline),
        "traffic.connections.gap": scenario.traffic.connections.gap is not None,
        "traffic.arrivals.process = closed": scenario.traffic.arrivals is not None
        and scenario.traffic.arrivals.process == "closed",
        "stages.ingress.canary": ingress.canary not in (None, "none"),
        'stages.ingress.release = "0.21"': ingress.release != "current",
        "cluster.pod.cold_start": scenario.cluster.pod.cold_start not in (None, "none"),
        "cluster.pod.cfs": scenario.cluster.pod.cfs not in (None, "none"),
        "stages.kube_proxy.topology": scenario.stages.kube_proxy.topology != "none",
    }
    missing = [name for name, is_asked in asked.items() if is_asked]
    if missing:
        raise RunError(
            f"{scenario.name}: {missing[0]} is accepted in scenarios but not simulated by this "
            f"version; remove it to run the rest"
        )
