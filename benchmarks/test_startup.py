"""What does a user wait for before anything happens? Every round is a fresh process.

*cold* begins with an empty folder of compiled kernels, *warm* with one that a run has filled.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import fresh

SHORT = {"run.requests": 1000}
ROUNDS = 5


def test_startup_import(benchmark):
    """Import the package where numpy is there already; ``import_s`` is the import alone."""
    benchmark.group = "startup"
    told: list[float] = []
    benchmark.pedantic(lambda: told.append(fresh.import_s()), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info |= {"what": "import lbbench", "seconds": sorted(told[1:])[ROUNDS // 2]}


def test_startup_help(benchmark):
    """Ask for help."""
    benchmark.group = "startup"
    benchmark.pedantic(fresh.lbbench, ("--help",), rounds=ROUNDS, warmup_rounds=1)
    benchmark.extra_info |= {
        "what": "lbbench --help",
        "seconds": round(benchmark.stats.stats.median, 3),
    }


@pytest.fixture(scope="module")
def kernels(tmp_path_factory) -> Path:
    """Return one folder of compiled kernels for the module, empty at first."""
    return tmp_path_factory.mktemp("kernels")


@pytest.mark.parametrize(
    ("what", "balancer", "rounds"),
    [
        ("cold, first balancer", "ewma", 1),
        ("cold, second balancer", "round_robin", 1),
        ("warm", "ewma", ROUNDS),
    ],
    ids=["cold", "further", "warm"],
)
def test_startup_result(benchmark, kernels: Path, what: str, balancer: str, rounds: int):
    """Wait for the first result of a short run; the order of these three matters."""
    benchmark.group = "startup"
    changes = {**SHORT, "stages.ingress.balancer": balancer}
    told: list[float] = []

    def first_result() -> None:
        result, _ = fresh.result("ingress", changes, cache=kernels)
        told.append(result["compile_s"])

    if what == "warm":
        first_result()  # where this one is chosen alone, it fills the folder
    benchmark.pedantic(first_result, rounds=rounds)
    benchmark.extra_info |= {
        "what": what,
        "seconds": round(benchmark.stats.stats.median, 3),
        "compile_s": round(told[-1], 3),
    }
