"""Run real rules, real proxies and real connections on this machine.

    python -m benchmarks.reality --out DIR [--case kernel] [--case nginx] [--case haproxy] ...

As root, with the packages iptables, iproute2, nginx-light and haproxy. Each case sends a trace
through a real chain in network namespaces of its own and writes DIR/NAME, which
`lbbench verify --reality DIR` judges. The case kernel also counts short connections through the
rules of three scenarios. A case that this machine cannot run is left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.reality.cases import BALANCERS, KERNEL, SPLITS, TRACE, experiment
from benchmarks.reality.folder import (
    SCENARIO,
    check_free,
    summary_of,
    write_experiment,
    write_repeat,
)
from benchmarks.reality.requirements import lacking
from benchmarks.reality.rules import Split, split_of
from benchmarks.reality.run import check_bed, run_once, versions
from benchmarks.reality.trace import Row, drawn, read_trace
from lbbench.errors import InputError, LbbenchError
from lbbench.inputs.yaml import load
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.model.units import parse_time

CHANCE = 1e-4
"""Below this p a split of connections is said not to be what the rules say."""
FAILED, UNUSABLE, STOPPED = 1, 2, 130


def main(words: Sequence[str] | None = None) -> int:
    """Run the command; 1 when a split is beyond chance, 2 when nothing could be run."""
    asked = _parser().parse_args(words)
    try:
        return _run(asked)
    except LbbenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return UNUSABLE
    except OSError as error:
        print(f"error: {error.filename or asked.out}: {error.strerror}", file=sys.stderr)
        return UNUSABLE
    except KeyboardInterrupt:
        print("stopped; the namespaces are gone, what was written stays", file=sys.stderr)
        return STOPPED


def _run(asked: argparse.Namespace) -> int:
    _check(asked)
    done, passed = 0, True
    for case in asked.case or list(BALANCERS):
        reason = lacking(case)
        if reason:
            print(f"skipped {case}: {reason}", file=sys.stderr)
            continue
        if case == KERNEL and asked.connections:
            passed &= _count(asked)
        for balancer, scenario, trace in _given(case, asked):
            _record(case, balancer, scenario, trace, asked)
        done += 1
    if not done:
        return UNUSABLE
    print(f"judge them with: lbbench verify --reality {asked.out}")
    return 0 if passed else FAILED


def _check(asked: argparse.Namespace) -> None:
    """Refuse options that do not go together, before any work is done."""
    if (asked.balancer or asked.experiment) and len(asked.case or ()) != 1:
        option = "--balancer" if asked.balancer else "--experiment"
        raise InputError(f"{option}: is for one case; give --case {'|'.join(BALANCERS)} once")
    if asked.experiment and (asked.balancer or asked.trace):
        option = "--balancer" if asked.balancer else "--trace"
        raise InputError(f"{option}: the given --experiment has its own; leave one of them out")
    if asked.balancer and asked.balancer not in BALANCERS[asked.case[0]]:
        raise InputError(
            f"--balancer {asked.balancer}: the case {asked.case[0]} has none of that name; it has "
            f"{', '.join(BALANCERS[asked.case[0]])}"
        )
    for name, least in (("pods", 2), ("concurrency", 1), ("workers", 1), ("repeats", 1)):
        value = getattr(asked, name)
        if value < least:
            raise InputError(f"--{name} {value}: must be {least} or more")
    if asked.connections < 0:
        raise InputError(f"--connections {asked.connections}: must be 0 (none) or more")
    if not 0.0 < asked.utilisation < 1.0:
        raise InputError(f"--utilisation {asked.utilisation}: must be above 0 and below 1")


def _count(asked: argparse.Namespace) -> bool:
    """Count connections through the rules of three scenarios, print and keep the splits."""
    found: list[Split] = []
    for data in SPLITS:
        split = split_of(build(dict(data)), asked.connections)
        found.append(split)
        print(
            f"rules of {split.name}: {asked.connections} connections, {len(split.endpoints)} "
            f"endpoints, chi-square {split.chi2:.2f}, p {split.p:.3g}",
            flush=True,
        )
    asked.out.mkdir(parents=True, exist_ok=True)
    text = json.dumps([split.to_dict() for split in found], indent=1) + "\n"
    (asked.out / "connections.json").write_text(text, encoding="utf-8")
    return all(split.p >= CHANCE and not split.stray for split in found)


def _given(case: str, asked: argparse.Namespace) -> Iterator[tuple[str, Scenario, tuple[Row, ...]]]:
    """Yield (balancer, scenario, trace) of a case's experiments, or of the given one."""
    if asked.experiment is not None:
        scenario = load(asked.experiment / SCENARIO)
        balancer = scenario.stages.ingress.balancer if case != KERNEL else BALANCERS[KERNEL][0]
        if balancer not in BALANCERS[case]:
            raise InputError(
                f"{asked.experiment}: stages.ingress.balancer = {balancer}: is none of the case "
                f"{case}, which has {', '.join(BALANCERS[case])}"
            )
        vip = scenario.cluster.vip
        trace = read_trace(asked.experiment / TRACE, vip=vip)
        yield balancer, scenario.with_({"cluster.vip": vip, "traffic.trace": TRACE}), trace
        return
    for balancer in [asked.balancer] if asked.balancer else BALANCERS[case]:
        scenario = experiment(
            case,
            balancer,
            pods=asked.pods,
            concurrency=asked.concurrency,
            workers=asked.workers,
        )
        yield balancer, scenario, _requests(scenario, asked)


def _requests(scenario: Scenario, asked: argparse.Namespace) -> tuple[Row, ...]:
    """Return the given trace, or one that is drawn: the same for every balancer."""
    vip = scenario.cluster.vip
    if asked.trace is not None:
        return read_trace(asked.trace, vip=vip)
    places = sum(pod.speed * pod.concurrency for pod in topology(scenario).pods)
    return drawn(
        rate=asked.utilisation * places / asked.mean,
        duration_s=asked.duration,
        mean_s=asked.mean,
        seed=asked.seed,
        vip=vip,
    )


def _record(
    case: str,
    balancer: str,
    scenario: Scenario,
    trace: tuple[Row, ...],
    asked: argparse.Namespace,
) -> None:
    """Run one experiment, all its repeats, and write its folder."""
    check_bed(case, scenario)
    folder = asked.out / scenario.name
    check_free(folder)
    print(
        f"{scenario.name}: {len(trace)} requests in {int(trace[-1]['t_us']) / 1e6:.0f} s ...",
        flush=True,
    )
    for repeat in range(1, asked.repeats + 1):
        seen = run_once(case, balancer, scenario, trace)
        said = {"repeat": repeat, "balancer": balancer, "versions": versions(case)}
        summary = summary_of(case, scenario, trace, seen, **said)
        if repeat == 1:  # what has not been run is no experiment
            write_experiment(folder, scenario, trace)
        write_repeat(folder, repeat, seen, summary)
        print(_line(summary), flush=True)


def _line(summary: Mapping[str, Any]) -> str:
    """Return the figures of a run in a line."""
    latency, path = summary["latency_ms_200"], summary["overhead"]["path_ms"]
    text = f"{summary['name']} r{summary['rep']}: "
    text += f"{latency['n']} of {summary['requests']} answered"
    if not latency["n"]:
        return text
    text += f", mean {latency['mean']:.1f} ms, p99 {latency['p99']:.1f} ms; "
    text += f"path {path['p50']:.2f} ms, p99 {path['p99']:.2f} ms"
    return text if summary["ok"] else f"{text} (a busy machine: more than in a good run)"


def _time(text: str) -> float:
    """Return seconds above 0 of an option such as ``40ms``."""
    try:
        seconds = parse_time(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
    if seconds <= 0.0:
        raise argparse.ArgumentTypeError(f"{text}: must be above 0, for instance 40ms")
    return seconds


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.reality",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--out", type=Path, required=True, metavar="DIR", help="folder of the experiments")
    add(
        "--case",
        action="append",
        choices=list(BALANCERS),
        help="what balances: the kernel's rules, nginx or HAProxy; again for more, without it all",
    )
    add("--balancer", help="one of the case's balancers by lbbench's name; without it all of them")
    add(
        "--experiment",
        type=Path,
        metavar="DIR",
        help="run the scenario and the trace of a recorded run anew, such as "
        "tests/reality/E1_iptables_n3",
    )
    add(
        "--trace",
        type=Path,
        metavar="FILE",
        help="requests to send (CSV with id, t_us, svc_us; src, conn, uri); without it drawn",
    )
    add(
        "--connections", type=int, default=20_000, metavar="N", help="counted through each rule set"
    )
    add("--pods", type=int, default=10, help="number of pods (%(default)s)")
    add("--concurrency", type=int, default=1, help="places of a pod (%(default)s)")
    add("--workers", type=int, default=1, help="workers or threads of the proxy (%(default)s)")
    add("--utilisation", type=float, default=0.6, help="of the pods' places (%(default)s)")
    add("--mean", type=_time, default="40ms", help="service time, exponential (%(default)s)")
    add("--duration", type=_time, default="60s", help="in which requests arrive (%(default)s)")
    add("--seed", type=int, default=1, help="of the drawn trace (%(default)s)")
    add("--repeats", type=int, default=1, help="runs of the same trace (%(default)s)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
