"""Instructions and cache misses per request: what bounds a path, whatever else the machine does.

    python -m benchmarks.instructions [PATH ...] [--short N] [--long N] [--json FILE]

A PATH is ``c:BALANCER:PODS`` (the C program), ``bare:BALANCER:PODS`` (the bare loop) or
``run:JOB:PODS`` (a whole run of a job in ``jobs/``). Each is run at two lengths, and the difference
is divided by the difference of the lengths, so that start-up and loading drop out. Start-up is not
the same twice, by ten million instructions of Python's: the shorter run is done twice, and what the
two differ in stands behind the figure as its uncertainty. The counters of
the processor are asked through ``perf stat`` where they are there; elsewhere valgrind's cachegrind
simulates one with caches of 48 KiB and 2 MiB, on code without AVX-512. Its figures are the same on
every machine; it takes minutes for a path that begins with Python.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks import fresh, programs
from benchmarks.programs import Unavailable
from benchmarks.sizes import for_pods
from lbbench.studies.machine import machine

SCHEMA = "lbbench.instructions/1"
SHORT = 50_000
LONG = 1_050_000
PATHS = ("c:ewma:16", "c:ewma:4096", "bare:ewma:16", "bare:ewma:4096", "run:ingress:16",
         "run:ingress:4096", "run:service:16", "run:closed:16")  # fmt: skip

PLAIN = {"NUMBA_CPU_NAME": "haswell", "NUMBA_CPU_FEATURES": "+avx2", "PYTHONHASHSEED": "0"}
"""Makes numba's code run on the simulated processor; cached under a key of its own."""

CACHEGRIND = ("valgrind", "--tool=cachegrind", "--cachegrind-out-file=/dev/null", "--cache-sim=yes",
              "--I1=32768,8,64", "--D1=49152,12,64", "--LL=2097152,16,64")  # fmt: skip
PERF = ("perf", "stat", "-x,", "-e", "instructions:u,cache-misses:u")

SUMMARY = {
    "instructions": re.compile(r"I\s+refs:\s+([\d,]+)"),
    "misses_48k": re.compile(r"D1\s+misses:\s+([\d,]+)"),
    "misses_2m": re.compile(r"LLd\s+misses:\s+([\d,]+)"),
}


class Tool(NamedTuple):
    """What counts: the words before a command, and whether the code must be plain."""

    name: str
    words: tuple[str, ...]
    is_simulated: bool


def tool() -> Tool:
    """Return ``perf stat`` where it counts instructions, else valgrind.

    Raises
    ------
    Unavailable
        When neither is there.
    """
    if shutil.which("perf"):
        told = subprocess.run([*PERF, "true"], capture_output=True, text=True, check=False)
        if told.returncode == 0 and re.search(r"^\d+,,instructions", told.stderr, re.MULTILINE):
            return Tool("perf stat", PERF, is_simulated=False)
    if shutil.which("valgrind"):
        return Tool("valgrind --tool=cachegrind", CACHEGRIND, is_simulated=True)
    raise Unavailable(
        "neither perf (with counters of instructions) nor valgrind is there, so instructions "
        "cannot be counted; install valgrind"
    )


def counted(text: str, *, is_simulated: bool) -> dict[str, int]:
    """Return the counters that a tool wrote at the end of a command.

    Raises
    ------
    RuntimeError
        When they are not in its output.
    """
    if is_simulated:
        found = {name: pattern.search(text) for name, pattern in SUMMARY.items()}
        counts = {name: int(hit.group(1).replace(",", "")) for name, hit in found.items() if hit}
    else:
        rows = re.findall(r"^(\d+),,(instructions|cache-misses)", text, re.MULTILINE)
        counts = {name.replace("cache-misses", "misses"): int(value) for value, name in rows}
    if "instructions" not in counts:
        raise RuntimeError(f"no count of instructions in: {text.strip()[-300:]}")
    return counts


def command(path: str, requests: int, *, is_simulated: bool) -> list[str]:
    """Return the command that sends ``requests`` along a path.

    Raises
    ------
    ValueError
        When the path is none of the three forms.
    """
    kind, what, pods = _split(path)
    if kind == "c":
        flags = programs.PLAIN_FLAGS if is_simulated else programs.FLAGS
        program = programs.build("j1", flags)
        return [str(program), programs.NAMES[what], str(pods), str(requests), "1"]
    if kind == "bare":
        code = f"from benchmarks.bare import Bare; Bare({what!r}, {pods}).run({requests})"
        return [sys.executable, "-c", code]
    changes = {**for_pods(what, pods), "run.requests": requests}
    return [*fresh.LBBENCH, *fresh.run_arguments(what, changes)]


def _split(path: str) -> tuple[str, str, int]:
    known = {
        "c": list(programs.NAMES),
        "bare": list(programs.NAMES),
        "run": sorted(file.stem for file in fresh.JOBS.glob("*.yaml")),
    }
    kind, _, rest = path.partition(":")
    what, _, pods = rest.partition(":")
    if kind not in known or what not in known[kind] or not pods.isdecimal() or int(pods) < 1:
        raise ValueError(
            f"{path}: must be c:BALANCER:PODS, bare:BALANCER:PODS or run:JOB:PODS with BALANCER "
            f"one of {', '.join(programs.NAMES)}, JOB one of {', '.join(known['run'])}"
        )
    return kind, what, int(pods)


class Cost(NamedTuple):
    """What one request costs by one counter."""

    each: float
    uncertain: float  # by what start-up differs from run to run

    def __str__(self) -> str:
        return f"{self.each:.2f} ± {self.uncertain:.2f}"


def per_request(path: str, short: int, long: int, using: Tool) -> dict[str, Cost]:
    """Return what one request costs along a path, by counter."""
    variables = PLAIN if using.is_simulated else {}
    fresh.run(command(path, short, is_simulated=using.is_simulated), variables=variables)  # warm

    def count(requests: int) -> dict[str, int]:
        words = command(path, requests, is_simulated=using.is_simulated)
        ended = fresh.run([*using.words, *words], variables=variables)
        return counted(ended.stderr, is_simulated=using.is_simulated)

    once, again, at_long = count(short), count(short), count(long)
    more = long - short
    return {
        name: Cost(
            (at_long[name] - (once[name] + again[name]) / 2) / more,
            abs(once[name] - again[name]) / more,
        )
        for name in once
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Count along the paths, print, write."""
    parser = argparse.ArgumentParser(prog="benchmarks.instructions", description="per request")
    parser.add_argument("paths", nargs="*", metavar="PATH", help=f"such as {', '.join(PATHS)}")
    parser.add_argument("--short", type=int, default=SHORT, help="requests of the shorter run")
    parser.add_argument("--long", type=int, default=LONG, help="requests of the longer run")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args(arguments)
    if not 0 < asked.short < asked.long:
        parser.error("--short must be 1 or more and less than --long")
    paths = asked.paths or list(PATHS)
    try:
        for path in paths:
            _split(path)
        using = tool()
    except ValueError as error:
        parser.error(str(error))
    except Unavailable as reason:
        print(f"left out: {reason}")
        return 0
    print(f"per request, by {using.name}, {asked.long} less {asked.short} requests")
    found: dict[str, dict[str, Cost]] = {}
    for path in paths:
        try:
            found[path] = per_request(path, asked.short, asked.long, using)
        except Unavailable as reason:
            print(f"{path:20} left out: {reason}")
            continue
        said = "  ".join(f"{cost!s:>18} {name}" for name, cost in found[path].items())
        print(f"{path:20} {said}", flush=True)
    if asked.json is not None:
        told = {
            "schema": SCHEMA,
            "tool": using.name,
            "machine": machine(),
            "per_request": {
                path: {name: cost._asdict() for name, cost in costs.items()}
                for path, costs in found.items()
            },
        }
        asked.json.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
