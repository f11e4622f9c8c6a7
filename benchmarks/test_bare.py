"""How fast are the balancers alone? Beside C at the same job with the same methods.

`ratios.py` measures both in turns; here each stands for itself.
"""

from __future__ import annotations

import pytest

from benchmarks import programs
from benchmarks.bare import BALANCERS, SERVICE_S, Bare

REQUESTS = 1_000_000
SIZES = (16, 256, 4096)
ROUNDS = 5


@pytest.mark.parametrize("pods", SIZES)
@pytest.mark.parametrize("balancer", BALANCERS)
def test_bare(benchmark, balancer: str, pods: int):
    """Time the compiled loop with the balancer's own functions."""
    benchmark.group = f"bare: {pods} pods"
    bare = Bare(balancer, pods)
    found = benchmark.pedantic(bare.run, (REQUESTS,), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info |= {
        "balancer": balancer,
        "pods": pods,
        "program": "lbbench",
        "requests_per_s": round(REQUESTS / benchmark.stats.stats.median),
        "compile_s": round(bare.compile_s, 3),
        "mean": round(found.mean_s / SERVICE_S, 4),
        "p99": round(found.p99_s / SERVICE_S, 4),
    }


@pytest.mark.parametrize("pods", SIZES)
@pytest.mark.parametrize("balancer", BALANCERS)
def test_bare_in_c(benchmark, available, balancer: str, pods: int):
    """Time the C program; its own clock counts, not the start of the process."""
    benchmark.group = f"bare: {pods} pods"
    available(programs.build, "j1")
    found: list[dict] = []
    benchmark.pedantic(
        lambda: found.append(programs.j1(balancer, pods, REQUESTS)), rounds=ROUNDS, warmup_rounds=1
    )
    speeds = sorted(run["requests_per_s"] for run in found[1:])  # the first one was the warm-up
    benchmark.extra_info |= {
        "balancer": balancer,
        "pods": pods,
        "program": "C",
        "requests_per_s": round(speeds[len(speeds) // 2]),
        "mean": found[-1]["mean"],
        "p99": found[-1]["p99"],
    }
