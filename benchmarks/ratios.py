"""What is promised about speed, measured: every figure and its counterpart in turns, in one run.

    python -m benchmarks.ratios [GROUP ...] [--rounds N] [--requests N] [--json FILE]

Absolute figures vary between machines, ratios to a C program in the same run hardly do; both are
printed. Groups: ``bare`` (balancers alone against C), ``path`` (whole runs in fresh processes
against C's bare ewma loop), ``processes`` (two against one), ``lookup`` (hash lookups against C),
``startup``. Times of compilation are left out, except where they are what is measured.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import fresh, programs
from benchmarks.bare import BALANCERS, Bare
from benchmarks.interleaved import ROUNDS, interleaved
from benchmarks.lines import Line, write
from benchmarks.lookups import LOOKUPS, Lookup
from benchmarks.sizes import for_pods
from lbbench.errors import LbbenchError

BARE_SIZES = (16, 256, 4096)
BARE_REQUESTS = 1_000_000
PATH_REQUESTS = 2_000_000
UNPROMISED_REQUESTS = 300_000
"""At most so many where nothing is promised, so that a slow path does not hold up the others."""

REFERENCE_REQUESTS = 10_000
C_ROUNDS = 3
"""Passes of the C pickers per figure: its median, as one pass takes a few milliseconds."""
SHORT = {"run.requests": 1000}

PATH_BOUNDS = {
    ("ingress", 16): 0.5,
    ("ingress", 4096): 0.45,
    ("service", 16): 1.5,
    ("closed", 16): 0.25,
}
"""Least requests/s of a whole run by job and pods, in those of C's bare ewma loop."""


def bare(rounds: int, _requests: int) -> Iterator[Line]:
    """Yield the balancers alone, with C's methods, by number of pods."""
    for balancer in BALANCERS:
        for pods in BARE_SIZES:
            own = Bare(balancer, pods)
            own.run(BARE_REQUESTS)  # touches the memory, as the C program does before its clock
            found = interleaved(
                {
                    "ours": lambda own=own: BARE_REQUESTS / own.run(BARE_REQUESTS).wall_s,
                    "C": _c(balancer, pods),
                },
                rounds,
            )
            yield Line(
                group="bare",
                name=f"{balancer}, {pods} pods",
                unit="requests/s",
                ours=found["ours"],
                theirs=found["C"],
                against=f"C, {balancer}, {pods} pods",
                bound=0.9,
            )


def path(rounds: int, requests: int) -> Iterator[Line]:
    """Yield whole runs of the jobs, beside C's bare ewma loop with the same number of pods."""
    for pods in (16, 4096):
        jobs = {job: for_pods(job, pods) for job in ("ingress", "service", "closed")}
        for job, changes in jobs.items():
            fresh.result(job, {**changes, **SHORT})  # compiles, where that is still to do
        measures: dict[str, Callable[[], float]] = {
            job: _speed(job, {**changes, "run.requests": _length(job, pods, requests)})
            for job, changes in jobs.items()
        }
        measures["C"] = _c("ewma", pods)
        if pods == 16:
            few = {"run.requests": REFERENCE_REQUESTS}
            measures["reference"] = _speed("ingress", few, engine="reference")
        found = interleaved(measures, rounds)
        for job in jobs:
            yield Line(
                group="path",
                name=f"{job}, {pods} pods",
                unit="requests/s",
                ours=found[job],
                theirs=found["C"],
                against=f"C, ewma alone, {pods} pods",
                bound=PATH_BOUNDS.get((job, pods)),
            )
        if pods == 16:
            yield Line(
                group="path",
                name="ingress, 16 pods, to reference",
                unit="requests/s",
                ours=found["ingress"],
                theirs=found["reference"],
                against="the reference engine",
                bound=100.0,
            )


def processes(rounds: int, requests: int) -> Iterator[Line]:
    """Yield the requests per second of two processes at once, beside those of one."""
    changes = {"run.requests": requests}
    fresh.result("ingress", SHORT)

    def two() -> float:
        both = fresh.two_results("ingress", changes)
        return sum(one["requests"]["offered"] for one in both) / max(one["wall_s"] for one in both)

    found = interleaved({"one": _speed("ingress", changes), "two": two}, rounds)
    yield Line(
        group="processes",
        name="two processes",
        unit="requests/s",
        ours=found["two"],
        theirs=found["one"],
        against="one process",
        bound=1.7,
    )


def lookup(rounds: int, _requests: int) -> Iterator[Line]:
    """Yield nanoseconds per hash lookup, beside C's."""
    lookups = {(picker, nodes): Lookup(picker, nodes) for picker, nodes in LOOKUPS}
    ours: dict[tuple[str, int], list[float]] = {which: [] for which in lookups}
    theirs: dict[tuple[str, int], list[float]] = {which: [] for which in lookups}
    for own in lookups.values():
        own.measure()
    for _ in range(rounds):
        in_c = {(row["picker"], row["nodes"]): row["ns"] for row in programs.picks(C_ROUNDS)}
        for which, own in lookups.items():
            ours[which].append(statistics.median(own.measure() for _ in range(C_ROUNDS)))
            theirs[which].append(in_c[which])
    for picker, nodes in lookups:
        yield Line(
            group="lookup",
            name=picker if picker == "toeplitz" else f"{picker}, {nodes} nodes",
            unit="ns",
            ours=ours[picker, nodes],
            theirs=theirs[picker, nodes],
            against="C",
            bound=1.5,
            side="at most",
        )


def startup(rounds: int, _requests: int) -> Iterator[Line]:
    """Yield the seconds until there is an import, a help text, a first result (cold ones once)."""

    def line(name: str, bound: float, seconds: Sequence[float]) -> Line:
        return Line(group="startup", name=name, unit="s", ours=seconds, bound=bound, side="at most")

    with tempfile.TemporaryDirectory(prefix="lbbench-kernels-") as folder:
        cache = Path(folder)

        def first_result(balancer: str) -> float:
            return fresh.result(
                "ingress", {**SHORT, "stages.ingress.balancer": balancer}, cache=cache
            )[1]

        yield line("cold, first balancer", 15.0, [first_result("ewma")])
        yield line("cold, further balancer", 8.0, [first_result("round_robin")])
        found = interleaved(
            {
                "import": fresh.import_s,
                "help": lambda: fresh.lbbench("--help").wall_s,
                "warm": lambda: first_result("ewma"),
            },
            rounds,
        )
    yield line("import lbbench, numpy there", 0.15, found["import"])
    yield line("lbbench --help", 0.4, found["help"])
    yield line("warm first result", 1.0, found["warm"])


def _length(job: str, pods: int, requests: int) -> int:
    """Return the requests of a run."""
    if (job, pods) in PATH_BOUNDS:
        return requests
    return min(requests, UNPROMISED_REQUESTS)


def _speed(job: str, changes: dict[str, Any], engine: str = "fast") -> Callable[[], float]:
    """Return a measure: requests per second of one run in a fresh process, compilation aside."""
    return lambda: float(fresh.result(job, changes, engine=engine)[0]["requests_per_s"])


def _c(balancer: str, pods: int) -> Callable[[], float]:
    """Return a measure: requests per second of the bare job in C."""
    return lambda: float(programs.j1(balancer, pods, BARE_REQUESTS)["requests_per_s"])


GROUPS = {
    "bare": bare,
    "path": path,
    "processes": processes,
    "lookup": lookup,
    "startup": startup,
}
NEED_C = ("bare", "path", "lookup")


def measured(groups: Sequence[str], rounds: int, requests: int) -> list[Line]:
    """Return the lines of ``groups``, printing each when it is there."""
    print(f"{'group':10} {'what':34} {'ours':>10} {'theirs':>10} {'ratio':>7}")
    lines: list[Line] = []
    for group in groups:
        if group in NEED_C:
            try:
                programs.build("j1")
            except programs.Unavailable as reason:
                print(f"{group:10} left out: {reason}")
                continue
        for line in GROUPS[group](rounds, requests):
            print(line, flush=True)
            lines.append(line)
    return lines


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, write; 1 when a promise is not kept."""
    parser = argparse.ArgumentParser(prog="benchmarks.ratios", description="speed against C")
    parser.add_argument("groups", nargs="*", metavar="GROUP", help=f"any of {', '.join(GROUPS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="figures per median (5)")
    parser.add_argument("--requests", type=int, default=PATH_REQUESTS, help="of a whole run")
    parser.add_argument("--json", type=Path, help="write the figures there")
    asked = parser.parse_args(arguments)
    unknown = [group for group in asked.groups if group not in GROUPS]
    if unknown:
        parser.error(f"there is no group {unknown[0]!r}; known are {', '.join(GROUPS)}")
    if asked.rounds < 1 or asked.requests < 1:
        parser.error("--rounds and --requests must be 1 or more")
    try:
        lines = measured(asked.groups or list(GROUPS), asked.rounds, asked.requests)
    except (LbbenchError, RuntimeError) as error:
        print(error, file=sys.stderr)
        return 2
    if asked.json is not None:
        write(lines, asked.json)
        print(f"written: {asked.json}")
    return int(any(line.holds is False for line in lines))


if __name__ == "__main__":
    sys.exit(main())
