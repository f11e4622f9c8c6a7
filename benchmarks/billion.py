"""A billion requests through the ingress path in one command, against ten runs of a tenth.

    python -m benchmarks.billion [--requests N] [--parts K] [--json FILE]

What must hold: the memory of the process stays under 400 MiB; every request that was completed is
in the histogram; mean and 99th percentile agree with K independent runs within the interval that
their spread gives. A second, shorter run in this process shows that the histograms of its 64
segments add up to the whole, count by count.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from benchmarks import fresh
from lbbench.core.histogram import quantile_ns
from lbbench.inputs.yaml import load
from lbbench.studies.machine import machine
from lbbench.studies.run import replicate, sum_up

JOB = "ingress"
LIMIT_MIB = 400.0
CONFIDENCE = 0.99
SEGMENTS_FROM = 20_000_000  # requests of the run whose segments are added up
WITH_PEAK = (
    "import resource, runpy, sys; sys.argv[0] = 'lbbench'\n"
    "try: runpy.run_module('lbbench', run_name='__main__')\n"
    "finally: print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)"
)


def run(requests: int, seed: int) -> dict[str, Any]:
    """Return what one command found, with its wall time and the peak of its memory."""
    changes = {"run.requests": requests, "run.seed": seed, "run.warmup": "0s"}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", WITH_PEAK, *fresh.run_arguments(JOB, changes)],
        capture_output=True,
        text=True,
        check=True,
        cwd=fresh.ROOT,
    )
    wall_s = time.perf_counter() - started
    found = json.loads(done.stdout)
    return {
        "requests": requests,
        "seed": seed,
        "wall_s": round(wall_s, 2),
        "peak_mib": round(float(done.stderr.split()[-1]), 1),
        "requests_per_s": found["requests_per_s"],
        "completed": found["requests"]["completed"],
        "counted": found["latency_s"]["n"],
        "mean_s": found["latency_s"]["mean"],
        "p99_s": found["latency_s"]["p99"],
    }


def agreement(whole: dict[str, Any], parts: list[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return how far the whole is from the mean of the parts, and how far it may be.

    A part's value has variance v; their mean v / K, and so has the whole, which is K times as long.
    """
    values = [part[name] for part in parts]
    n = len(values)
    allowed = float(stats.t.ppf(0.5 + CONFIDENCE / 2, n - 1)) * statistics.stdev(values)
    allowed *= math.sqrt(2.0 / n)
    differs = whole[name] - statistics.fmean(values)
    return {"differs": differs, "allowed": allowed, "holds": abs(differs) <= allowed}


def segments_add_up(requests: int) -> dict[str, Any]:
    """Return whether the histograms of a run's segments, added, are what its result says."""
    scenario = load(str(fresh.JOBS / f"{JOB}.yaml"), [f"run.requests={requests}", "run.warmup=0s"])
    done = replicate(scenario)
    by_segment = done.outcomes[0].tally.latency_counts
    whole = by_segment.sum(axis=0)
    found = sum_up(scenario, done).latency_s
    return {
        "requests": requests,
        "counted": int(whole.sum()),
        "segments": int(np.count_nonzero(by_segment.sum(axis=1))),
        "holds": int(whole.sum()) == requests == found["n"]
        and quantile_ns(whole, 0.99) / 1e9 == found["p99"],
    }


def main(arguments: list[str] | None = None) -> int:
    """Run, print what was found, and return 1 when something does not hold."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--requests", type=int, default=1_000_000_000)
    parser.add_argument("--parts", type=int, default=10)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args(arguments)
    whole = run(asked.requests, 1)
    parts = [run(asked.requests // asked.parts, 101 + k) for k in range(asked.parts)]
    found = {
        "machine": machine(),
        "whole": whole,
        "parts": parts,
        "mean": agreement(whole, parts, "mean_s"),
        "p99": agreement(whole, parts, "p99_s"),
        "segments": segments_add_up(min(asked.requests, SEGMENTS_FROM)),
    }
    print(json.dumps(found, indent=2))
    if asked.json is not None:
        asked.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    holds = (
        whole["peak_mib"] < LIMIT_MIB
        and whole["counted"] == whole["completed"] == asked.requests
        and all(found[name]["holds"] for name in ("mean", "p99", "segments"))
    )
    print("all of it holds" if holds else "not all of it holds", file=sys.stderr)
    return 0 if holds else 1


if __name__ == "__main__":
    sys.exit(main())
