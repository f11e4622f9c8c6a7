"""What a scenario asks of the cluster, before it is run: load per pod, stability, cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from lbbench.core.histogram import COARSE, FINE
from lbbench.core.rng import wrapping
from lbbench.model.scenario import Scenario
from lbbench.model.tally import SEGMENTS
from lbbench.model.topology import capacity

if TYPE_CHECKING:
    from lbbench.engines.plan import Plan

SCHEMA = "lbbench.check/1"
REQUESTS_PER_S = 1.5e6  # of the fast engine on an ordinary core, for the estimate of time
START_S = 0.5  # plan, statistics, loading of compiled code
BASE_MIB = 190.0  # the interpreter with numpy, numba and the compiled code
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
    load_by_pod, rate_by_pod
        Offered load by the pod's name (1 is its capacity), and its requests per second.
    basis
        Where the shares of the pods come from.
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
    rate_by_pod: dict[str, float]
    basis: str
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
            "pods": [
                {"name": name, "rate_per_s": self.rate_by_pod[name], "load": load}
                for name, load in self.load_by_pod.items()
            ],
            "basis": self.basis,
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
    from lbbench.engines.plan import make_plan
    from lbbench.studies.run import notes_of

    plan = make_plan(scenario)
    people = plan.traffic.population
    pods = plan.topology.pods
    shares, basis = _shares(plan)
    limits = np.array([pod.speed * pod.concurrency for pod in pods]) / people.mean_work
    rates = people.rate * shares
    loads = rates / limits
    requests = plan.traffic.n_requests or round(people.rate * (plan.traffic.duration or 0.0))
    total = people.rate / capacity(plan.topology, people.mean_work)
    return Forecast(
        resolved=scenario.resolved(),
        rate=people.rate,
        utilisation=total,
        requests=requests,
        load_by_pod={pod.name: float(load) for pod, load in zip(pods, loads, strict=True)},
        rate_by_pod={pod.name: float(rate) for pod, rate in zip(pods, rates, strict=True)},
        basis=basis,
        memory_mib=_memory(plan),
        seconds=scenario.run.replications * (START_S + requests / REQUESTS_PER_S),
        warnings=(*notes_of(plan), *_warnings(plan, loads, total)),
    )


def _shares(plan: Plan) -> tuple[np.ndarray, str]:
    """Return the shares of the pods and where they come from.

    The rules alone tell most balancers' shares. A hash balancer sends a popular key's whole traffic
    to one pod, so there the first requests are looked up one by one.
    """
    from lbbench.engines.hashkey import BY_NODE

    if plan.scenario.path == "service":
        return plan.shape.expected["kube_proxy"], "the rules"
    is_hash = plan.pod.scope == "shared" and not plan.pod.cookies
    if not is_hash or BY_NODE in plan.facts.part_kind:
        return plan.shape.expected["ingress"], "the rules"
    counts = _looked_up(plan)
    return counts / max(counts.sum(), 1), f"the keys of the first {int(counts.sum()):,} requests"


def _looked_up(plan: Plan) -> np.ndarray:
    """Return how many requests of the first block each pod gets, in the scenario's order."""
    from lbbench.engines.hashkey import hash_key
    from lbbench.engines.parts import instance_view

    state = instance_view(type(plan.states.pod), plan.common)(plan.states.pod, 0, 0)
    listed = plan.lists.pod[0, : plan.lists.pod_seen[0].n]
    rng = plan.states.pod_rng[0].copy()
    busy, tried = np.zeros(len(listed), np.int64), np.zeros(0, np.int64)
    counts = np.zeros(len(plan.pod_order), np.int64)
    block = next(iter(plan.traffic.blocks()))
    with wrapping():
        for client, key in zip(block.client, block.key, strict=True):
            hashed = hash_key(plan.facts, client, 0, 0, key)
            place = plan.pod.pick(state, rng, 0.0, hashed, busy, tried)
            counts[plan.pod_order[listed[place]]] += 1
    return counts


def _memory(plan: Plan) -> float:
    """Return MiB: the arrays of the counts and balancers, and what every run needs."""
    pods, workers = len(plan.shape.pods), len(plan.shape.workers)
    counts = SEGMENTS * (FINE + COARSE) + plan.windows * (COARSE + pods) + pods * COARSE
    per_segment = SEGMENTS * (8 * pods + 2 * workers)
    states = sum(array.nbytes for part in plan.states for array in _arrays(part))
    people = plan.traffic.population
    return BASE_MIB + (8 * (counts + per_segment + people.n_lanes * 4) + 2 * states) / 2**20


def _arrays(part: Any) -> tuple[np.ndarray, ...]:
    return (part,) if isinstance(part, np.ndarray) else tuple(part)


def _warnings(plan: Plan, loads: np.ndarray, total: float) -> list[str]:
    made = []
    if total >= 1.0:
        made.append(
            f"the cluster is over capacity: the load is {total:.2f} of what all pods can serve, "
            "queues grow as long as the run lasts; add pods or lower the rate"
        )
    hottest = int(np.argmax(loads))
    name, load = plan.shape.pods[hottest], float(loads[hottest])
    if load >= 1.0 > total:
        made.append(
            f"{name} is over capacity: it gets {load:.2f} of what it can serve, although the "
            f"cluster as a whole is at {total:.2f}; its queue grows as long as the run lasts"
        )
    elif BUSY <= load < 1.0:
        made.append(f"{name} is at {load:.2f} of its capacity: it takes a long run to settle")
    return made + _busy_workers(plan)


def _busy_workers(plan: Plan) -> list[str]:
    """Return a warning when nginx workers get more than they can pass on."""
    cpu = float(plan.scenario.cluster.ingress.cpu_per_request)
    if not plan.shape.workers or cpu == 0.0:
        return []
    loads = plan.traffic.population.rate * cpu * plan.shape.expected["reuse_port"]
    hottest = int(np.argmax(loads))
    if loads[hottest] < BUSY:
        return []
    name = plan.shape.workers[hottest]
    said = (
        f"nginx worker {name} is at {loads[hottest]:.2f} of its capacity: lower "
        "cluster.ingress.cpu_per_request, or add workers or replicas"
    )
    return [said]
