"""How fast are other simulators at the bare job? The same picks, 16 pods, utilisation 0.8.

``mean`` and ``p99`` stand beside the time in mean service times: they are the same job only if
these agree (short runs of the slow ones are noisy).
"""

from __future__ import annotations

import json
import statistics
import sys
from typing import Any

import pytest

from benchmarks import fresh, programs
from benchmarks.bare import BALANCERS, SERVICE_S, Bare
from benchmarks.peers import SIMULATORS, need

PODS = 16
REQUESTS = {"simpy": 20_000, "ciw": 4_000, "cimba": 200_000, "C": 1_000_000, "lbbench": 1_000_000}
ROUNDS = 5


def of_simulator(program: str, balancer: str) -> dict[str, Any]:
    """Return what a fresh process with that simulator found: seconds per run, mean, p99."""
    asked = [balancer, PODS, REQUESTS[program], ROUNDS]
    command = [sys.executable, "-m", "benchmarks.peers", program, *map(str, asked)]
    return json.loads(fresh.run(command).stdout)


def of_c(_program: str, balancer: str) -> dict[str, Any]:
    """Return the same of the C program, a process per run."""
    runs = [programs.j1(balancer, PODS, REQUESTS["C"], seed) for seed in range(1, ROUNDS + 1)]
    return {**runs[-1], "first_s": 0.0, "seconds": [run["total_s"] for run in runs]}


def of_lbbench(_program: str, balancer: str) -> dict[str, Any]:
    """Return the same of the bare loop."""
    bare = Bare(balancer, PODS)
    n = REQUESTS["lbbench"]
    runs = [bare.run(n, seed=seed) for seed in range(ROUNDS + 1)][1:]  # the first one warms up
    last = runs[-1]
    return {
        "first_s": bare.compile_s,
        "seconds": [run.wall_s for run in runs],
        "mean": last.mean_s / SERVICE_S,
        "p99": last.p99_s / SERVICE_S,
    }


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("program", [*SIMULATORS, "C", "lbbench"])
def test_peers(benchmark, available, program: str, balancer: str):
    """Let each program time its own runs; extra_info has requests per second of the median."""
    benchmark.group = f"peers: {balancer}"
    if program == "C":
        available(programs.build, "j1")
    elif program in SIMULATORS:
        available(need, program)
    measure = {"C": of_c, "lbbench": of_lbbench}.get(program, of_simulator)
    told = benchmark.pedantic(measure, (program, balancer), rounds=1)
    benchmark.extra_info |= {
        "program": program,
        "balancer": balancer,
        "pods": PODS,
        "requests": REQUESTS[program],
        "rounds": ROUNDS,
        "requests_per_s": round(REQUESTS[program] / statistics.median(told["seconds"])),
        "first_s": round(told["first_s"], 3),
        "mean": round(told["mean"], 4),
        "p99": round(told["p99"], 4),
    }
