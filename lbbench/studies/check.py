"""What a scenario asks of the cluster, before it is run: load per pod, changes, stability, cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from lbbench.core.histogram import COARSE, FINE
from lbbench.core.rng import wrapping
from lbbench.model.scenario import Scenario
from lbbench.model.tally import SEGMENTS
from lbbench.model.topology import Topology, capacity
from lbbench.studies.capacity import strengths

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
        Offered load at the start by the pod's name (1 is its capacity), and its requests per
        second; pods that come later are left out.
    basis
        Where the shares of the pods come from.
    changes
        What happens to the cluster, in order: ``at_s``, ``what``, and when the API's list changes
        (``list_changed_at_s``) and the first and the last view follow (``first_view_at_s``,
        ``last_view_at_s``), seconds of the run's first replication; None: never.
    is_bound
        The rate is an upper bound: how often the users of a closed loop ask depends on the answers.
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
    changes: tuple[dict[str, Any], ...]
    is_bound: bool
    memory_mib: float
    seconds: float
    warnings: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the forecast as plain data (schema lbbench.check/1)."""
        return {
            "schema": SCHEMA,
            "rate_per_s": self.rate,
            "rate_is_bound": self.is_bound,
            "utilisation": self.utilisation,
            "requests": self.requests,
            "pods": [
                {"name": name, "rate_per_s": self.rate_by_pod[name], "load": load}
                for name, load in self.load_by_pod.items()
            ],
            "basis": self.basis,
            "changes": list(self.changes),
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
    numbers = [*plan.life.first_pods, *plan.life.canary_pods]
    pods = [plan.topology.pods[i] for i in numbers]
    shares, basis = pod_shares(plan)
    strong = np.array([pod.speed * pod.concurrency for pod in pods]) * plan.topology.pace
    limits = strong / people.mean_work
    rates = people.rate * shares[numbers]
    loads = rates / limits
    requests = plan.traffic.n_requests or round(people.rate * (plan.traffic.duration or 0.0))
    total = people.rate / capacity(_only(plan.topology, numbers), people.mean_work)
    load_by_pod = {pod.name: float(load) for pod, load in zip(pods, loads, strict=True)}
    return Forecast(
        resolved=scenario.resolved(),
        rate=people.rate,
        utilisation=total,
        requests=requests,
        load_by_pod=load_by_pod,
        rate_by_pod={pod.name: float(rate) for pod, rate in zip(pods, rates, strict=True)},
        basis=basis,
        changes=_changes(plan),
        is_bound=_is_closed(plan),
        memory_mib=_memory(plan),
        seconds=scenario.run.replications * (START_S + requests / REQUESTS_PER_S),
        warnings=(*notes_of(plan), *_warnings(plan, load_by_pod, total)),
    )


def _only(top: Topology, numbers: list[int]) -> Topology:
    """Return the cluster with the pods of these numbers alone."""
    return replace(top, pods=tuple(top.pods[i] for i in numbers))


def _is_closed(plan: Plan) -> bool:
    return plan.traffic.users is not None


def _changes(plan: Plan) -> tuple[dict[str, Any], ...]:
    return tuple(
        {
            "at_s": change.at,
            "what": change.text,
            "list_changed_at_s": change.list_changed_at,
            "first_view_at_s": change.first_view_at,
            "last_view_at_s": change.last_view_at,
        }
        for change in plan.life.changes
    )


def pod_shares(plan: Plan) -> tuple[np.ndarray, str]:
    """Return the shares of the pods at the start and where they come from.

    The rules alone tell most balancers' shares. A hash balancer sends a popular key's whole traffic
    to one pod, so there the first requests are looked up one by one. A canary's pods get its weight
    in equal parts.
    """
    from lbbench.engines.hashkey import BY_NODE

    if plan.scenario.path == "service":
        return plan.shape.expected["kube_proxy"], "the rules"
    is_hash = plan.pod.follows_key
    if not is_hash or _is_closed(plan) or BY_NODE in plan.facts.part_kind:
        shares, basis = plan.shape.expected["ingress"].copy(), "the rules"
    else:
        counts = _looked_up(plan)
        shares = counts / max(counts.sum(), 1)
        basis = f"the keys of the first {int(counts.sum()):,} requests"
    canary = list(plan.life.canary_pods)
    if canary:
        weight = min(plan.facts.canary_weight / plan.facts.canary_total, 1.0)
        shares *= 1.0 - weight
        shares[canary] = weight / len(canary)
    return shares, basis


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
    known: dict[tuple[int, int], int] = {}  # places of keys for which nothing was drawn
    with wrapping():
        for asked in zip(block.client.tolist(), block.key.tolist(), strict=True):
            place = known.get(asked)
            if place is None:
                before = rng.tobytes()
                hashed = hash_key(plan.facts, asked[0], 0, 0, asked[1])
                place = plan.pod.pick(state, rng, 0.0, hashed, busy, tried)
                if rng.tobytes() == before:
                    known[asked] = place
            counts[plan.pod_order[listed[place]]] += 1
    return counts


def _memory(plan: Plan) -> float:
    """Return MiB: the arrays of counts, balancers and changes, and what every run needs.

    Of the balancers' states and the script of changes there are two: the plan's and the run's.
    """
    pods, workers = len(plan.shape.pods), len(plan.shape.workers)
    counts = SEGMENTS * (FINE + COARSE) + plan.windows * (COARSE + pods) + pods * COARSE
    per_segment = SEGMENTS * (8 * pods + 2 * workers)
    states = sum(array.nbytes for part in plan.states for array in _arrays(part))
    script = plan.facts.step.nbytes + plan.facts.listed.nbytes
    people = plan.traffic.population
    cells = counts + per_segment + people.n_lanes * 4
    return BASE_MIB + (8 * cells + 2 * (states + script)) / 2**20


def _arrays(part: Any) -> tuple[np.ndarray, ...]:
    return (part,) if isinstance(part, np.ndarray) else tuple(part)


def _warnings(plan: Plan, loads: Mapping[str, float], total: float) -> list[str]:
    if _is_closed(plan):
        return _saturated(total) + _busy_workers(plan)
    made = []
    if total >= 1.0:
        made.append(
            f"the cluster is over capacity: the load is {total:.2f} of what all pods can serve, "
            "queues grow as long as the run lasts; add pods or lower the rate"
        )
    name = max(loads, key=lambda pod: loads[pod])
    load = loads[name]
    if load >= 1.0 > total:
        lasts = "until the cluster changes" if plan.life.changes else "as long as the run lasts"
        made.append(
            f"{name} is over capacity: it gets {load:.2f} of what it can serve, although the "
            f"cluster as a whole is at {total:.2f}; its queue grows {lasts}"
        )
    elif BUSY <= load < 1.0:
        made.append(f"{name} is at {load:.2f} of its capacity: it takes a long run to settle")
    return made + (_weak_times(plan) if total < 1.0 else []) + _busy_workers(plan)


def _saturated(total: float) -> list[str]:
    """Return a warning when the users of a closed loop can keep all pods busy.

    Their queues do not grow: a user who waits asks for nothing else.
    """
    if total < BUSY:
        return []
    said = (
        f"the users of the closed loop can keep the pods busy: {total:.2f} of what all pods can "
        "serve is an upper bound of the rate, and more users make waits longer, not the rate higher"
    )
    return [said]


def _weak_times(plan: Plan) -> list[str]:
    """Return a warning for the time at which the cluster can serve least, if that is too little.

    With antagonists none: what they take varies all the time, and is counted on average.
    """
    if plan.topology.pace < 1.0:
        return []
    people, traffic = plan.traffic.population, plan.traffic
    stop = traffic.duration or (traffic.n_requests or 0) / people.rate
    pieces = strengths(plan.life, stop)
    weakest = min(pieces, key=lambda piece: piece.work, default=None)
    if weakest is None or weakest.begin == 0.0 or weakest.work > people.rate * people.mean_work:
        return []
    time, pods = weakest.begin, weakest.pods
    cause = [change.text for change in plan.life.changes if change.at <= time][-1]
    few = f"{pods} pod{'s' if pods != 1 else ''} that serve{'s' if pods == 1 else ''}"
    load = f"at {people.rate * people.mean_work / weakest.work:.2f} of" if pods else "beyond"
    end = "to the end" if weakest.end >= stop else f"until {weakest.end:.5g} s"
    said = (
        f"a later state is over capacity: from {time:.5g} s {end} (after: {cause}) the load is "
        f"{load} what the {few} can take; queues grow in that time"
    )
    return [said]


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
