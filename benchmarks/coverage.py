"""Do the intervals of studies hold what they promise? Many studies of a queue with a known law.

Each study is M/M/1 at load 0.8 (one pod, first in first out): 10 replications of 100 000 requests,
warm-up 20 000. Its 95 % intervals, made as a sweep makes them, cover the exact mean and the exact
p99 or they do not; so many times in a hundred is the coverage.

    python -m benchmarks.coverage --studies 1000 --into results/studies
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Sequence
from concurrent.futures import as_completed
from pathlib import Path

import numpy as np

from lbbench import __version__
from lbbench.model.check import build
from lbbench.stats.evidence import (
    common_warmup,
    evidence_of,
    pack,
    unpack_numbers,
    with_histograms,
)
from lbbench.stats.intervals import all_intervals, estimate
from lbbench.studies.executors import Processes
from lbbench.studies.machine import machine, usable_cores
from lbbench.studies.run import replicate

LOAD = 0.8
SERVICE = 0.02  # seconds
REQUESTS = 100_000
WARMUP = 20_000
REPLICATIONS = 10

MEAN = SERVICE / (1.0 - LOAD)
EXACT = {"mean": MEAN, "p50": MEAN * math.log(2), "p90": MEAN * math.log(10),
         "p99": MEAN * math.log(100)}  # fmt: skip
"""The response time of M/M/1 is exponential with mean 1 / (mu - lambda)."""


def queue(seed: int):
    """Return the scenario: one pod behind nothing that takes time."""
    return build(
        {
            "name": "mm1",
            "path": "service",
            "cluster": {"nodes": 1, "pods": 1},
            "traffic": {"utilisation": LOAD, "service_time": {"mean": f"{SERVICE}s"}},
            "run": {
                "requests": REQUESTS,
                "warmup": f"{WARMUP * SERVICE / LOAD}s",
                "replications": REPLICATIONS,
                "seed": seed,
            },
        }
    )


def study(seed: int) -> dict[str, tuple[float, float, float]]:
    """Return (estimate, low, high) by figure of one study."""
    done = replicate(queue(seed))
    packed = [pack(evidence_of(o.tally, o.shape)) for o in done.outcomes]
    numbers = [unpack_numbers(part) for part, _ in packed]
    first = common_warmup([numbers])
    kept = [
        with_histograms(part, text, first) for part, (_, text) in zip(numbers, packed, strict=True)
    ]
    units, _, intervals = all_intervals(kept, first)
    return {
        name: (estimate(units, name) or math.nan, *(intervals[name] or (math.nan, math.nan)))
        for name in EXACT
    }


def coverage(seeds: Sequence[int], workers: int | None = None) -> dict[str, dict[str, float]]:
    """Return by figure the share of studies that cover, and how wide and how far off they are."""
    from benchmarks.coverage import study  # as workers know it, also when this file is the script

    figures: dict[str, list[tuple[float, float, float]]] = {name: [] for name in EXACT}
    with Processes(workers or usable_cores()) as executor:
        for future in as_completed([executor.submit(study, seed) for seed in seeds]):
            for name, found in future.result().items():
                figures[name].append(found)
    made = {}
    for name, exact in EXACT.items():
        value, low, high = np.array(figures[name]).T
        made[name] = {
            "exact": exact,
            "covered": float(((low <= exact) & (exact <= high)).mean()),
            "too_low": float((high < exact).mean()),
            "too_high": float((low > exact).mean()),
            "mean_estimate": float(value.mean()),
            "half_width": float((high - low).mean() / 2.0),
        }
    return made


def main() -> None:
    """Run the studies and write the coverage."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--into", type=Path, default=None)
    asked = parser.parse_args()
    started = time.perf_counter()
    found = coverage(range(1, asked.studies + 1))
    document = {
        "studies": asked.studies,
        "replications": REPLICATIONS,
        "requests": REQUESTS,
        "warmup_requests": WARMUP,
        "load": LOAD,
        "seeds": [1, asked.studies],
        "version": __version__,
        "machine": machine(),
        "wall_s": round(time.perf_counter() - started, 1),
        "figures": found,
    }
    text = json.dumps(document, indent=1) + "\n"
    print(text, end="")
    if asked.into is not None:
        asked.into.mkdir(parents=True, exist_ok=True)
        (asked.into / "coverage.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
