"""Commands in fresh processes: what a user waits for, with kernels cached or not."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).parent.parent
JOBS = ROOT / "benchmarks" / "jobs"
LBBENCH = (sys.executable, "-m", "lbbench")
CACHE_VARIABLE = "LBBENCH_CACHE_DIR"
IMPORT = (
    "import time, numpy; t = time.perf_counter(); import lbbench; print(time.perf_counter() - t)"
)


class Ended(NamedTuple):
    """A command that has ended well."""

    wall_s: float
    stdout: str
    stderr: str


def run(
    command: Sequence[str],
    *,
    cache: Path | None = None,
    variables: Mapping[str, str] | None = None,
) -> Ended:
    """Run a command and wait for it.

    ``cache`` is its folder of compiled kernels, ``variables`` go into its environment.

    Raises
    ------
    RuntimeError
        When it fails; the sentence holds the end of what it said.
    """
    started = time.perf_counter()
    done = subprocess.run(
        list(command),
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**_environment(cache), **(variables or {})},
    )
    wall_s = time.perf_counter() - started
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return Ended(wall_s, done.stdout, done.stderr)


def lbbench(*arguments: str, cache: Path | None = None) -> Ended:
    """Run the command ``lbbench``."""
    return run([*LBBENCH, *arguments], cache=cache)


def import_s() -> float:
    """Return the seconds that ``import lbbench`` takes where numpy has been imported already."""
    return float(run([sys.executable, "-c", IMPORT]).stdout)


def result(
    job: str,
    changes: Mapping[str, Any] | None = None,
    *,
    engine: str = "fast",
    cache: Path | None = None,
) -> tuple[dict[str, Any], float]:
    """Return the result of ``jobs/JOB.yaml`` (or a shipped scenario), and the wall time of all."""
    ended = lbbench(*run_arguments(job, changes, engine), cache=cache)
    return json.loads(ended.stdout), ended.wall_s


def two_results(
    job: str, changes: Mapping[str, Any] | None = None
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the results of two processes that run the job at the same time, seeds 1 and 2."""
    running = [
        subprocess.Popen(
            [*LBBENCH, *run_arguments(job, {**(changes or {}), "run.seed": seed}, "fast")],
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env=_environment(None),
        )
        for seed in (1, 2)
    ]
    told = [process.communicate()[0] for process in running]
    for process in running:
        if process.returncode != 0:
            raise RuntimeError(f"{job}: one of two processes failed; run it alone to see why")
    return json.loads(told[0]), json.loads(told[1])


def run_arguments(
    job: str, changes: Mapping[str, Any] | None = None, engine: str = "fast"
) -> list[str]:
    """Return the arguments of ``lbbench`` that run a job and print its result."""
    file = JOBS / f"{job}.yaml"
    named = str(file) if file.is_file() else job
    sets = [
        word for path, value in (changes or {}).items() for word in ("--set", f"{path}={value}")
    ]
    return ["run", named, "--json", "-", "--engine", engine, *sets]


def _environment(cache: Path | None) -> dict[str, str]:
    given = {} if cache is None else {CACHE_VARIABLE: str(cache)}
    return {**os.environ, **given}
