"""A study of 2 000 points x 5 replications: how long it takes, and what three SIGKILLs change.

    python -m benchmarks.studies whole   --out DIR     one sweep, undisturbed
    python -m benchmarks.studies killed  --out DIR     killed three times at random moments
    python -m benchmarks.studies compare --out DIR     both exports, value for value
    python -m benchmarks.studies dask    --out DIR     Dask against processes, overhead per point

``--set run.requests=2000`` and the like make it small. Figures go to DIR/studies.json, by part.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl

from benchmarks.fresh import JOBS
from lbbench.studies.machine import machine, usable_cores

JOB = JOBS / "study.yaml"
KILLS = 3
CLOCK = ("wall_", "created_", "machine_")
"""Beginnings of the columns that tell when and where something ran, not what came out."""


def sweep_command(out: Path, changes: list[str], *more: str) -> list[str]:
    """Return the command line of a sweep."""
    given = [part for change in changes for part in ("--set", change)]
    command = [sys.executable, "-m", "lbbench", "sweep", str(JOB), "--out", str(out), *given]
    return [*command, "--quiet", *more]


def exported(study: Path) -> pl.DataFrame:
    """Export a study to Parquet by the command line and read it."""
    file = study.with_suffix(".parquet")
    command = [sys.executable, "-m", "lbbench", "export", str(study), "-o", str(file), "--quiet"]
    subprocess.run(command, check=True)
    return pl.read_parquet(file)


def whole(out: Path, changes: list[str]) -> dict[str, Any]:
    """Run the study once."""
    study = out / "whole.sqlite"
    study.unlink(missing_ok=True)
    started = time.perf_counter()
    subprocess.run(sweep_command(study, changes), check=True)
    wall_s = time.perf_counter() - started
    started = time.perf_counter()
    frame = exported(study)
    export_s = time.perf_counter() - started
    return {
        "wall_s": round(wall_s, 1),
        "export_s": round(export_s, 1),
        "export_rows": len(frame),
        "ledger_mib": round(study.stat().st_size / 2**20, 1),
        **_times(frame),
    }


def _times(frame: pl.DataFrame) -> dict[str, Any]:
    """Return how long the replications took by themselves."""
    runs = frame.filter(pl.col("metric") == "failed")
    return {
        "replications": len(runs),
        "without_result": int(runs["value"].sum()),
        "in_workers_s": round(float(runs["wall_s"].sum()), 1),
        "compile_s": round(float(runs["wall_compile_s"].sum()), 1),
    }


def killed(out: Path, changes: list[str], seed: int) -> dict[str, Any]:
    """Run the study, kill it at random moments, and let the same command go on each time."""
    study = out / "killed.sqlite"
    study.unlink(missing_ok=True)
    draw = random.Random(seed)
    spent, moments = 0.0, []
    before = json.loads((out / "studies.json").read_text(encoding="utf-8"))["whole"]["wall_s"]
    for _ in range(KILLS):
        moment = draw.uniform(0.05, 0.35) * before
        started = time.perf_counter()
        process = subprocess.Popen(sweep_command(study, changes))
        try:
            process.wait(timeout=moment)
            raise SystemExit(f"the sweep ended before it could be killed after {moment:.1f} s")
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        spent += time.perf_counter() - started
        moments.append(round(moment, 1))
    started = time.perf_counter()
    subprocess.run(sweep_command(study, changes), check=True)
    spent += time.perf_counter() - started
    return {"killed_after_s": moments, "wall_s": round(spent, 1), **_times(exported(study))}


def compare(out: Path) -> dict[str, Any]:
    """Return whether both exports hold the same values."""
    frames = [pl.read_parquet(out / f"{name}.parquet") for name in ("whole", "killed")]
    a, b = (
        frame.select([name for name in frame.columns if not name.startswith(CLOCK)])
        for frame in frames
    )
    return {"rows": len(a), "columns": len(a.columns), "equal": a.equals(b, null_equal=True)}


@contextmanager
def cluster(workers: int) -> Iterator[str]:
    """Yield the address of a local scheduler with ``workers`` processes of one thread."""
    tool = Path(sys.executable).with_name("dask")
    file = Path(tempfile.mkdtemp()) / "scheduler.json"
    scheduler = subprocess.Popen(
        [tool, "scheduler", "--port", "0", "--no-dashboard", "--scheduler-file", str(file)],
        stderr=subprocess.DEVNULL,
    )
    while not (file.exists() and file.read_text(encoding="utf-8")):
        time.sleep(0.05)
    address = json.loads(file.read_text(encoding="utf-8"))["address"]
    processes = [
        subprocess.Popen(
            [tool, "worker", address, "--nthreads", "1", "--no-dashboard"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        for _ in range(workers)
    ]
    try:
        yield address
    finally:
        for process in [*processes, scheduler]:
            process.terminate()
        for process in [*processes, scheduler]:
            process.wait()


def dask(out: Path, changes: list[str]) -> dict[str, Any]:
    """Run the same points on processes and on a local Dask cluster, after a warm-up of each."""
    workers = usable_cores()
    found: dict[str, Any] = {"workers": workers}
    with cluster(workers) as address:
        for name, where in (
            ("processes", ["--workers", str(workers)]),
            ("dask", ["--dask", address]),
        ):
            times = []
            for _ in range(2):  # the first one compiles and imports
                study = out / f"{name}.sqlite"
                study.unlink(missing_ok=True)
                started = time.perf_counter()
                subprocess.run(sweep_command(study, changes, *where), check=True)
                times.append(time.perf_counter() - started)
            frame = exported(study)
            figures = _times(frame)
            idle = times[-1] * workers - figures["in_workers_s"]
            found[name] = {
                "wall_s": round(times[-1], 2),
                **figures,
                "around_each_ms": round(1e3 * idle / figures["replications"], 1),
            }
            found[f"_{name}"] = frame.select(
                [column for column in frame.columns if not column.startswith(CLOCK)]
            )
    found["equal"] = found.pop("_processes").equals(found.pop("_dask"), null_equal=True)
    return found


def main() -> None:
    """Run one part and keep its figures beside those of the others."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("part", choices=["whole", "killed", "compare", "dask"])
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--set", dest="changes", action="append", default=[])
    parser.add_argument("--seed", type=int, default=1, help="of the random moments")
    asked = parser.parse_args()
    asked.out.mkdir(parents=True, exist_ok=True)
    figures = {
        "whole": lambda: whole(asked.out, asked.changes),
        "killed": lambda: killed(asked.out, asked.changes, asked.seed),
        "compare": lambda: compare(asked.out),
        "dask": lambda: dask(asked.out, asked.changes),
    }[asked.part]()
    file = asked.out / "studies.json"
    known = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    known |= {"machine": machine(), asked.part: {"changes": asked.changes, **figures}}
    file.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    print(json.dumps({asked.part: figures}, indent=1))
    if figures.get("equal") is False:
        raise SystemExit("the values differ")


if __name__ == "__main__":
    main()
