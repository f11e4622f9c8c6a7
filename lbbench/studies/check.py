"""What a scenario asks of the cluster, before it is run: load per pod, stability, cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from lbbench.core.histogram import COARSE, FINE
from lbbench.engines.plan import Plan, make_plan
from lbbench.model.scenario import Scenario
from lbbench.model.tally import SEGMENTS
from lbbench.model.topology import capacity

SCHEMA = "lbbench.check/1"
REQUESTS_PER_S = 1.5e6  # of the fast engine on an ordinary core, for the estimate of time
BUSY = 0.95


@dataclass(frozen=True)
class Forecast:
    """What can be said without running.

    Attributes
    ----------
    resolved
        The scenario with every key.
    rate, utilisation, requests
        Offered requests per second, share of the capacity, number of requests.
    load_by_pod
        Offered load of each pod by name, from the expected shares of the rules; 1 is its capacity.
    memory_mib, seconds
        Rough need of the run.
    warnings
        Predicted instability and the like, in sentences.
    """

    resolved: dict[str, Any]
    rate: float
    utilisation: float
    requests: int
    load_by_pod: dict[str, float]
    memory_mib: float
    seconds: float
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as plain data (schema lbbench.check/1)."""
        return {
            "schema": SCHEMA,
            "rate_per_s": self.rate,
            "utilisation": self.utilisation,
            "requests": self.requests,
            "load_by_pod": self.load_by_pod,
            "memory_mib": self.memory_mib,
            "seconds": self.seconds,
            "warnings": list(self.warnings),
            "scenario": self.resolved,
        }


def forecast(scenario: Scenario) -> Forecast:
    """Return what ``scenario`` asks of the cluster.

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    plan = make_plan(scenario)
    people = plan.traffic.population
    pods = plan.topology.pods
    last = "ingress" if scenario.path == "ingress" else "kube_proxy"
    shares = plan.shape.expected[last]
    limits = np.array([pod.speed * pod.concurrency for pod in pods]) / people.mean_work
    loads = people.rate * shares / limits
    requests = plan.traffic.n_requests or round(people.rate * (plan.traffic.duration or 0.0))
    total = people.rate / capacity(plan.topology, people.mean_work)
    return Forecast(
        resolved=scenario.resolved(),
        rate=people.rate,
        utilisation=total,
        requests=requests,
        load_by_pod={pod.name: float(load) for pod, load in zip(pods, loads, strict=True)},
        memory_mib=_memory(plan),
        seconds=scenario.run.replications * (0.3 + requests / REQUESTS_PER_S),
        warnings=tuple(_warnings(scenario, plan, loads, total)),
    )


def _memory(plan: Plan) -> float:
    pods, workers = len(plan.shape.pods), len(plan.shape.workers)
    counts = SEGMENTS * (FINE + COARSE) + plan.windows * (COARSE + pods) + pods * COARSE
    per_segment = SEGMENTS * (8 * pods + 2 * workers)
    states = sum(a.nbytes for part in plan.states for a in (
        [part] if isinstance(part, np.ndarray) else part))  # fmt: skip
    people = plan.traffic.population
    return 90.0 + (8 * (counts + per_segment + people.n_lanes * 4) + 2 * states) / 2**20


def _warnings(scenario: Scenario, plan: Plan, loads: np.ndarray, total: float) -> list[str]:
    made = list(plan.traffic.notes)
    if total >= 1.0:
        made.append(
            f"the cluster is over capacity: the load is {total:.2f} of what all pods can serve, "
            f"queues grow without end; add pods or lower the rate"
        )
    hottest = int(np.argmax(loads))
    name, load = plan.shape.pods[hottest], float(loads[hottest])
    if load >= 1.0 > total:
        made.append(
            f"{name} is over capacity: the rules send it {load:.2f} of what it can serve, although "
            f"the cluster as a whole is at {total:.2f}"
        )
    elif BUSY <= load < 1.0:
        made.append(f"{name} is at {load:.2f} of its capacity: long runs are needed to settle")
    workers = len(plan.shape.workers)
    cpu = scenario.cluster.ingress.cpu_per_request
    if workers and cpu * plan.traffic.population.rate / workers >= 1.0:
        made.append("the ingress workers are over capacity: lower cpu_per_request or add workers")
    return made
