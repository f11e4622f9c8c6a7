"""How many requests per second does a run simulate? By balancer, path, pods and engine.

A round is everything from the scenario to the counts, traffic included. Compilation and loading of
compiled code are done before and stand apart in ``extra_info``, with what the run found.
"""

from __future__ import annotations

from typing import Any

import pytest

from benchmarks.fresh import JOBS
from benchmarks.sizes import for_pods
from lbbench.balancers.base import registry
from lbbench.inputs.yaml import load
from lbbench.studies.run import Replications, replicate, sum_up

REQUESTS = {"fast": 400_000, "reference": 5_000}
ROUNDS = {"fast": 5, "reference": 2}
INGRESS = [name for name in ("round_robin", "ewma", "p2c", "least_conn", "jsq", "chash")
           if name in registry()]  # fmt: skip
EVEN_KEYS = {
    "stages.ingress.hash_by": "$request_uri",
    "traffic.keys.popularity": "uniform",
    "traffic.keys.count": 100_000,
}
"""A hash balancer that overloads a pod would measure an endless queue, not itself."""

RUNS = [
    *[("ingress", balancer, pods, "fast") for balancer in INGRESS for pods in (16, 4096)],
    *[("service", "", pods, "fast") for pods in (16, 4096)],
    *[("closed", "ewma", pods, "fast") for pods in (16, 4096)],
    ("ingress", "ewma", 16, "reference"),
    ("service", "", 16, "reference"),
    ("closed", "ewma", 16, "reference"),
]


@pytest.mark.parametrize(
    ("job", "balancer", "pods", "engine"),
    RUNS,
    ids=["-".join(str(part) for part in run if part) for run in RUNS],
)
def test_engine(benchmark, job: str, balancer: str, pods: int, engine: Any):
    """Time whole runs; extra_info has requests per second and the latency that was found."""
    benchmark.group = f"engine: {job}"
    changes: dict[str, Any] = {"run.requests": REQUESTS[engine], **for_pods(job, pods)}
    if balancer:
        changes["stages.ingress.balancer"] = balancer
    if balancer == "chash":
        changes |= {**EVEN_KEYS, "traffic.utilisation": 0.5}
    chosen = load(str(JOBS / f"{job}.yaml"), [f"{path}={value}" for path, value in changes.items()])
    runs: list[Replications] = []
    benchmark.pedantic(
        lambda: runs.append(replicate(chosen, engine=engine)),
        rounds=ROUNDS[engine],
        warmup_rounds=1,
    )
    timed = sorted(runs[1:], key=lambda run: run.wall_s)  # the first one was the warm-up
    middle = timed[len(timed) // 2]
    result = sum_up(chosen, middle)
    benchmark.extra_info |= {
        "job": job,
        "balancer": balancer or "iptables",
        "pods": pods,
        "engine": engine,
        "requests_per_s": round(REQUESTS[engine] / middle.wall_s),
        "compile_s": round(runs[0].compile_s, 3),
        "mean_latency_s": result.latency_s["mean"],
        "max_over_mean": result.stages[-1]["balance"]["max_over_mean"],
    }
