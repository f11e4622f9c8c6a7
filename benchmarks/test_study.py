"""How many points of a study are answered per second? A point is one run of 20 000 requests."""

from __future__ import annotations

import pytest

from benchmarks.fresh import JOBS
from lbbench.inputs.yaml import load
from lbbench.studies.compare import compare
from lbbench.studies.run import run

REQUESTS = 20_000
BALANCERS = ("round_robin", "random", "least_conn", "ewma")
UTILISATIONS = (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
ROUNDS = 3


@pytest.fixture
def scenario():
    """Return the ingress job, short."""
    return load(str(JOBS / "ingress.yaml"), [f"run.requests={REQUESTS}"])


def _noted(benchmark, study: str, points: int) -> None:
    benchmark.extra_info |= {
        "study": study,
        "points": points,
        "points_per_s": round(points / benchmark.stats.stats.median, 2),
    }


def test_study_of_balancers(benchmark, scenario):
    """Compare four balancers under the same traffic."""
    benchmark.group = "study"
    benchmark.pedantic(lambda: compare(scenario, BALANCERS), rounds=ROUNDS, warmup_rounds=1)
    _noted(benchmark, "balancers", len(BALANCERS))


def test_study_of_load(benchmark, scenario):
    """Go through eight utilisations with one balancer."""
    benchmark.group = "study"

    def sweep() -> None:
        for utilisation in UTILISATIONS:
            run(scenario.with_({"traffic.utilisation": utilisation}))

    benchmark.pedantic(sweep, rounds=ROUNDS, warmup_rounds=1)
    _noted(benchmark, "utilisation", len(UTILISATIONS))
