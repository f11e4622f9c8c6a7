"""The C programs to compare with: compiled with the system's gcc, run, read.

They are compiled at benchmark time into a temporary folder, for the processor at hand, without
fused multiply-add, which would give other numbers than ours.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

SOURCES = Path(__file__).parent / "c"
FLAGS = ("-O3", "-march=native", "-ffp-contract=off")
PLAIN_FLAGS = ("-O3", "-march=haswell", "-ffp-contract=off")
"""For runs on a simulated processor, which knows no newer instructions."""

NAMES = {"round_robin": "rr", "random": "random", "p2c": "p2c", "ewma": "ewma"}
"""The balancers of ``j1.c`` by lbbench's names."""


class Unavailable(Exception):  # noqa: N818 - it is no error: what is compared with is not there
    """Something to compare with is missing; the text says what and what to do."""


@cache
def _folder() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="lbbench-c-")


@cache
def build(name: str, flags: tuple[str, ...] = FLAGS) -> Path:
    """Return the compiled program of ``c/NAME.c``.

    Raises
    ------
    Unavailable
        When gcc is not installed.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise Unavailable("gcc is not installed, so there is no C program to compare with")
    made = Path(_folder().name) / f"{name}{'' if flags == FLAGS else '-plain'}"
    subprocess.run(
        [gcc, *flags, str(SOURCES / f"{name}.c"), "-lm", "-o", str(made)],
        check=True,
        capture_output=True,
        text=True,
    )
    return made


def compiler() -> str:
    """Return the name and version of gcc, for the metadata of results."""
    gcc = shutil.which("gcc")
    if gcc is None:
        return "none"
    told = subprocess.run([gcc, "--version"], check=True, capture_output=True, text=True).stdout
    version = re.search(r"\d+\.\d+\.\d+", told)
    return f"gcc {version.group() if version else 'of unknown version'} {' '.join(FLAGS)}"


def j1(balancer: str, pods: int, requests: int, seed: int = 1, utilisation: float = 0.8) -> Any:
    """Return what the bare job in C found and how long it took; times in mean service times.

    The fields: ``balancer``, ``pods``, ``requests``, ``simulated_s`` (the loop), ``total_s`` (with
    the quantiles), ``requests_per_s`` (of the total), ``mean``, ``p50``, ``p99``.
    """
    asked = [NAMES[balancer], pods, requests, seed, utilisation]
    return json.loads(_output("j1", *asked))


def picks(rounds: int = 5) -> list[dict[str, Any]]:
    """Return nanoseconds per pick in C, as ``picker``, ``nodes``, ``ns``, ``least_ns``."""
    return [json.loads(line) for line in _output("pick", rounds).splitlines()]


def _output(name: str, *arguments: Any) -> str:
    command = [str(build(name)), *map(str, arguments)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
