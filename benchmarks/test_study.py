"""How many points of a study are answered per second? A point is one run of 20 000 requests."""

from __future__ import annotations

import itertools
from concurrent.futures import wait

import pytest

from benchmarks.fresh import JOBS
from lbbench.inputs.yaml import load
from lbbench.model.study import Row
from lbbench.store.ledger import Ledger
from lbbench.studies.compare import compare
from lbbench.studies.executors import Processes
from lbbench.studies.run import run
from lbbench.studies.sweep import sweep

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

    def go_through() -> None:
        for utilisation in UTILISATIONS:
            run(scenario.with_({"traffic.utilisation": utilisation}))

    benchmark.pedantic(go_through, rounds=ROUNDS, warmup_rounds=1)
    _noted(benchmark, "utilisation", len(UTILISATIONS))


def test_study_of_points(benchmark, scenario, tmp_path):
    """Sweep balancers by utilisations on all cores: start of the workers and ledger included."""
    benchmark.group = "study"
    axes = {"traffic.utilisation": UTILISATIONS, "stages.ingress.balancer": BALANCERS}
    study = scenario.with_({"sweep": {"axes": axes}})
    numbers = itertools.count()

    def anew() -> None:
        sweep(study, out=tmp_path / f"{next(numbers)}.sqlite").close()

    benchmark.pedantic(anew, rounds=ROUNDS, warmup_rounds=1)
    _noted(benchmark, "points", len(UTILISATIONS) * len(BALANCERS))


@pytest.mark.parametrize("kib", [20, 60, 200])
def test_kept_replication(benchmark, tmp_path, kib):
    """Commit one replication with so many KiB of histograms to the ledger."""
    benchmark.group = "ledger and tasks"
    row = Row(
        content="content", seed=1, replication=0, version="0", status="done", error=None,
        wall_s=0.1, compile_s=0.0, created="", machine="{}", result="{}", segments=b"",
        histograms="h" * (1024 * kib),
    )  # fmt: skip
    numbers = itertools.count()
    with Ledger.open(tmp_path / "a.sqlite", write=True) as ledger:
        benchmark(lambda: ledger.write([row._replace(replication=next(numbers))]))


def test_handed_over_task(benchmark):
    """Give a task without work to one of two processes and get its answer back."""
    benchmark.group = "ledger and tasks"
    with Processes(2) as processes:
        wait([processes.submit(abs, -1) for _ in range(20)])
        benchmark(lambda: wait([processes.submit(abs, -1) for _ in range(100)]))
