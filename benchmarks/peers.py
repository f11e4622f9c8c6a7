"""The bare job in other simulators, written as each one's documentation suggests.

Every model takes (balancer, pods, requests, seed) and returns the sojourn times in mean service
times, so that its answer can be held against the others'. None of the simulators is needed by
lbbench; ``pip install 'lbbench[peers]'`` brings them. Each runs in a process of its own (`main`):
what one of them does to numba or to random streams is not the others' business.
"""

from __future__ import annotations

import json
import math
import random
import sys
import time
from importlib.util import find_spec
from typing import Any

import numpy as np

from benchmarks.programs import Unavailable

UTILISATION = 0.8
DECAY = 200.0  # mean service times, as in c/j1.c


def need(module: str) -> None:
    """Raise `Unavailable` with what to do when a library is not installed."""
    if find_spec(module) is None:
        raise Unavailable(f"{module} is not installed; pip install 'lbbench[peers]' brings it")


class Picks:
    """The balancers in plain Python, on lists: round_robin, p2c and ewma."""

    def __init__(self, balancer: str, pods: int, seed: int) -> None:
        self.pods = pods
        self.draw = random.Random(seed)
        self.learns = balancer == "ewma"
        self.outstanding = [0] * pods
        self.score = [0.0] * pods
        self.updated = [0.0] * pods
        self.last = -1
        self.pick = getattr(self, balancer)

    def round_robin(self, _now: float) -> int:
        """Return the next pod of the cycle."""
        self.last = (self.last + 1) % self.pods
        return self.last

    def p2c(self, _now: float) -> int:
        """Return the less busy of two distinct pods."""
        a, b = self._two()
        return b if self.outstanding[b] < self.outstanding[a] else a

    def ewma(self, now: float) -> int:
        """Return the one of two distinct pods with the lower decayed response time."""
        a, b = self._two()
        return b if self._decayed(b, now) < self._decayed(a, now) else a

    def sent(self, pod: int) -> None:
        """Note that a request goes to ``pod``."""
        self.outstanding[pod] += 1

    def answered(self, pod: int, now: float, took: float) -> None:
        """Note that ``pod`` has answered."""
        self.outstanding[pod] -= 1
        if self.learns:
            past = math.exp(-(now - self.updated[pod]) / DECAY)
            self.score[pod] = self.score[pod] * past + took * (1.0 - past)
            self.updated[pod] = now

    def _two(self) -> tuple[int, int]:
        a = int(self.draw.random() * self.pods)
        b = int(self.draw.random() * (self.pods - 1))
        return a, b + (b >= a)

    def _decayed(self, pod: int, now: float) -> float:
        return self.score[pod] * math.exp(-(now - self.updated[pod]) / DECAY)


def simpy_j1(balancer: str, pods: int, requests: int, seed: int) -> np.ndarray:
    """Return the sojourn times of a SimPy model: a process per request, a resource per pod."""
    import simpy

    picks, draw = Picks(balancer, pods, seed), random.Random(seed + 1)
    env = simpy.Environment()
    places = [simpy.Resource(env, capacity=1) for _ in range(pods)]
    took: list[float] = []

    def request(pod: int) -> Any:
        arrival = env.now
        picks.sent(pod)
        with places[pod].request() as turn:
            yield turn
            yield env.timeout(draw.expovariate(1.0))
        took.append(env.now - arrival)
        picks.answered(pod, env.now, took[-1])

    def source() -> Any:
        for _ in range(requests):
            yield env.timeout(draw.expovariate(UTILISATION * pods))
            env.process(request(picks.pick(env.now)))

    env.process(source())
    env.run()
    return np.array(took)


def ciw_j1(balancer: str, pods: int, requests: int, seed: int) -> np.ndarray:
    """Return the sojourn times of a Ciw model: a dispatching node, then one node per pod."""
    import ciw

    ciw.seed(seed)
    picks = Picks(balancer, pods, seed)

    class Dispatch(ciw.routing.NodeRouting):
        def next_node(self, _customer: Any) -> Any:
            pod = picks.pick(self.simulation.current_time)
            picks.sent(pod)
            return self.simulation.nodes[pod + 2]

    class Pod(ciw.Node):
        def release(self, customer: Any, next_node: Any) -> None:
            super().release(customer, next_node)
            if self.id_number > 1:
                visit = customer.data_records[-1]
                picks.answered(self.id_number - 2, self.now, visit.exit_date - visit.arrival_date)

    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(UTILISATION * pods), *[None] * pods],
        service_distributions=[
            ciw.dists.Deterministic(0.0),
            *[ciw.dists.Exponential(1.0) for _ in range(pods)],
        ],
        number_of_servers=[math.inf, *[1] * pods],
        routing=ciw.routing.NetworkRouting(
            routers=[Dispatch(), *[ciw.routing.Leave() for _ in range(pods)]]
        ),
    )
    simulation = ciw.Simulation(network, node_class=Pod)
    simulation.simulate_until_max_customers(requests, method="Finish")
    visits = [visit for visit in simulation.get_all_records() if visit.node > 1]
    return np.array([visit.exit_date - visit.arrival_date for visit in visits])


def cimba_j1(balancer: str, pods: int, requests: int, seed: int) -> np.ndarray:
    """Return the sojourn times of a cimba model, whose processes are compiled."""
    from benchmarks import cimba_model

    return cimba_model.sojourn_times(balancer, pods, requests, seed)


SIMULATORS = {"simpy": simpy_j1, "ciw": ciw_j1, "cimba": cimba_j1}


def main(arguments: list[str]) -> None:
    """Run ``SIMULATOR BALANCER PODS REQUESTS ROUNDS`` and print seconds per run and what it found.

    The first run, of a few requests, compiles what has to be compiled and is not counted.
    """
    name, balancer = arguments[:2]
    pods, requests, rounds = map(int, arguments[2:])
    model = SIMULATORS[name]
    started = time.perf_counter()
    model(balancer, pods, 100, 1)
    first_s = time.perf_counter() - started
    seconds = []
    for seed in range(1, rounds + 1):
        started = time.perf_counter()
        took = model(balancer, pods, requests, seed)
        seconds.append(time.perf_counter() - started)
    told = {
        "first_s": first_s,
        "seconds": seconds,
        "mean": float(took.mean()),
        "p99": float(np.quantile(took, 0.99)),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    main(sys.argv[1:])
