"""How many requests per second does a run simulate? By balancer, scenario and engine.

A round is everything from the scenario to the counts, traffic included. Compilation and loading of
compiled code are done before and stand apart in ``extra_info``, with what the run found.
"""

from __future__ import annotations

import pytest

from lbbench.inputs.yaml import load
from lbbench.studies.machine import machine
from lbbench.studies.run import Replications, replicate, sum_up

BALANCERS = ("round_robin", "random", "least_conn", "ewma", "chash")
REQUESTS = {"fast": 1_000_000, "reference": 10_000}
ROUNDS = {"fast": 5, "reference": 3}
EVEN_KEYS = ("stages.ingress.hash_by=$request_uri", "traffic.keys.popularity=uniform",
             "traffic.keys.count=5000")  # fmt: skip
"""A hash balancer that overloads a pod would measure an endless queue, not itself."""


@pytest.mark.parametrize("balancer", BALANCERS)
@pytest.mark.parametrize("scenario", ["ewma-herding", "aks-ingress"])
@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_engine(benchmark, engine: str, scenario: str, balancer: str):
    """Time whole runs; extra_info has requests per second and the latency that was found."""
    benchmark.group = f"{scenario}, {engine} engine"
    changes = [f"stages.ingress.balancer={balancer}", f"run.requests={REQUESTS[engine]}"]
    chosen = load(scenario, [*changes, *EVEN_KEYS])
    runs: list[Replications] = []
    benchmark.pedantic(
        lambda: runs.append(replicate(chosen, engine=engine)),
        rounds=ROUNDS[engine],
        warmup_rounds=1,
        iterations=1,
    )
    best = min(runs[1:], key=lambda run: run.wall_s)  # the first one was the warm-up
    result = sum_up(chosen, best, engine=engine)
    benchmark.extra_info |= {
        "requests_per_s": round(REQUESTS[engine] / best.wall_s),
        "compile_s": round(runs[0].compile_s, 3),
        "load_s": round(best.compile_s, 3),
        "mean_latency_s": result.latency_s["mean"],
        "max_over_mean": result.stages[-1]["balance"]["max_over_mean"],
        "machine": machine(),
    }
