"""How fast are other simulators at the bare job? The same picks, 16 pods, utilisation 0.8.

``mean`` and ``p99`` stand beside the time in mean service times: they are the same job only if
these agree (short runs of the slow ones are noisy).
"""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import programs
from benchmarks.bare import BALANCERS, SERVICE_S, Bare
from benchmarks.peers import SIMULATORS

PODS = 16
REQUESTS = {"simpy": 20_000, "ciw": 4_000, "cimba": 200_000, "C": 1_000_000, "lbbench": 1_000_000}
ROUNDS = {"simpy": 3, "ciw": 3, "cimba": 5, "C": 5, "lbbench": 5}

pytestmark = pytest.mark.filterwarnings("ignore")  # others' libraries may use what is deprecated


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("program", [*SIMULATORS, "C", "lbbench"])
def test_peers(benchmark, available, program: str, balancer: str):
    """Time one simulator; extra_info has requests per second and what it found."""
    benchmark.group = f"peers: {balancer}"
    n = REQUESTS[program]
    found: list[tuple[float, float]] = []
    seconds: list[float] = []

    def simulator() -> None:
        took = SIMULATORS[program](balancer, PODS, n, 1)
        found.append((float(took.mean()), float(np.quantile(took, 0.99))))

    def c() -> None:
        run = programs.j1(balancer, PODS, n)
        seconds.append(run["total_s"])
        found.append((run["mean"], run["p99"]))

    def own() -> None:
        run = bare.run(n)
        found.append((run.mean_s / SERVICE_S, run.p99_s / SERVICE_S))

    if program == "C":
        available(programs.build, "j1")
        once = c
    elif program == "lbbench":
        bare = Bare(balancer, PODS)
        once = own
    else:
        available(SIMULATORS[program], balancer, PODS, 100, 1)
        once = simulator
    benchmark.pedantic(once, rounds=ROUNDS[program], warmup_rounds=0)
    took = float(np.median(seconds)) if seconds else benchmark.stats.stats.median
    benchmark.extra_info |= {
        "program": program,
        "balancer": balancer,
        "pods": PODS,
        "requests_per_s": round(n / took),
        "mean": round(found[-1][0], 4),
        "p99": round(found[-1][1], 4),
    }
