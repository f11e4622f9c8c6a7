"""What can be said of a value without a run: who is offered more than it can serve."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.studies.check import pod_shares

if TYPE_CHECKING:
    from lbbench.engines.plan import Plan

EQUAL = ("round_robin", "random")
"""Ingress balancers that send every pod the same share whatever happens."""

CHANCE = 4.0
"""Standard deviations that a share of counted requests may be off."""

ROUNDING = 1e-9


def overload(scenario: Scenario) -> str | None:
    """Return who is offered at least its capacity, as a sentence; None when nobody is for certain.

    Queues then grow for ever, whatever a run of some length shows. Said of all pods together, of a
    single pod where its share follows from the rules or the keys (a balancer that looks at its
    pods may spare a slow one), and of the nginx workers. Nothing is said of a cluster that changes,
    nor of users who wait for their answers.

    Raises
    ------
    LbbenchError
        When the scenario cannot be run.
    """
    from lbbench.engines.plan import make_plan

    plan = make_plan(scenario)
    if plan.traffic.users is not None or plan.life.changes or plan.topology.pace < 1.0:
        return None
    people = plan.traffic.population
    numbers = [*plan.life.first_pods, *plan.life.canary_pods]
    pods = [plan.topology.pods[i] for i in numbers]
    limits = np.array([pod.speed * pod.concurrency for pod in pods]) / people.mean_work
    full = 1.0 + ROUNDING if is_clockwork(scenario) else 1.0 - ROUNDING
    total = people.rate / math.fsum(limits)
    if total >= full:
        return f"all pods together are offered {total:.2f} times what they can serve"
    if _is_certain(plan):
        shares = pod_shares(plan)[0][numbers]
        loads = people.rate * shares / limits
        given = loads.copy()
        if plan.pod.follows_key and scenario.path == "ingress":
            counted = shares * next(iter(plan.traffic.blocks())).arrival.size
            loads *= 1.0 - CHANCE / np.sqrt(np.maximum(counted, 1.0))
        at = int(np.argmax(loads))
        if loads[at] >= full:
            offered = float(given[at])
            return (
                f"{pods[at].name} is offered {offered:.2f} times what it can serve, all pods "
                f"together {total:.2f} times"
            )
    return _worker(plan, full)


def is_clockwork(scenario: Scenario) -> bool:
    """Tell whether requests come, take turns and are served like clockwork: full is not too full.

    That is so when a single nginx worker deals them out in turn.
    """
    traffic, top = scenario.traffic, topology(scenario)
    return (
        traffic.arrivals.process == "deterministic"
        and traffic.service_time.distribution == "deterministic"
        and scenario.stages.ingress.balancer == "round_robin"
        and len(top.replicas) * top.workers_per_replica == 1
    )


def _is_certain(plan: Plan) -> bool:
    """Tell whether the shares of the pods follow from rules and keys alone."""
    if plan.scenario.path == "service":
        return not plan.node.reads_busy and plan.scenario.traffic.connections.gap is None
    return plan.pod.name in EQUAL or plan.pod.follows_key


def _worker(plan: Plan, full: float) -> str | None:
    cpu = float(plan.scenario.cluster.ingress.cpu_per_request)
    if not plan.shape.workers or cpu == 0.0:
        return None
    loads = plan.traffic.population.rate * cpu * plan.shape.expected["reuse_port"]
    at = int(np.argmax(loads))
    if loads[at] < full:
        return None
    name = plan.shape.workers[at]
    return f"nginx worker {name} is offered {loads[at]:.2f} times what it can pass on"
