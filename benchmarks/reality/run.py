"""One run of an experiment: bed, rules, proxy, pods, client; what was seen comes back."""

from __future__ import annotations

import csv
import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.reality import proxies
from benchmarks.reality.bed import make_bed
from benchmarks.reality.cases import HAPROXY, KERNEL, NGINX
from benchmarks.reality.trace import COLUMNS, Row, csv_bytes
from lbbench.errors import RunError
from lbbench.model.addresses import split_address
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology
from lbbench.packetwalk.ruleset import restore_text

NO_WORKER = "0"


@dataclass(frozen=True)
class Seen:
    """What one run has shown.

    Attributes
    ----------
    rows
        A row per request in the order of the trace; nginx's workers are numbered from 0.
    rules
        The node's rules with packet counters, as iptables-save prints them.
    """

    rows: tuple[Row, ...]
    rules: str


def check_bed(case: str, scenario: Scenario) -> None:
    """Refuse what the bed cannot be.

    Raises
    ------
    RunError
        With the key, its value and what the bed has.
    """
    top, cluster = topology(scenario), scenario.cluster
    name = scenario.name
    path = "service" if case == KERNEL else "ingress"
    if scenario.path != path:
        raise RunError(f"{name}: path = {scenario.path}: the case {case} is of path {path}")
    if len(top.nodes) != 1:
        raise RunError(
            f"{name}: cluster.nodes: has {len(top.nodes)}; a bed has one node, so give nodes: 1"
        )
    if case != KERNEL and len(top.replicas) != 1:
        raise RunError(
            f"{name}: cluster.ingress.replicas: are {len(top.replicas)}; a bed has one, so give "
            "replicas: 1"
        )
    if len({pod.concurrency for pod in top.pods}) != 1:
        raise RunError(
            f"{name}: cluster.pods: differ in concurrency; the pods of a bed have the same number "
            "of places"
        )
    if cluster.pod.discipline != "fifo" or cluster.pod.queue != "unlimited":
        raise RunError(
            f"{name}: cluster.pod: discipline {cluster.pod.discipline}, queue {cluster.pod.queue}; "
            "the pods of a bed are fifo with an unlimited queue"
        )
    if scenario.timeline:
        raise RunError(f"{name}: timeline: a bed stays as it is; leave the changes out")


def run_once(case: str, balancer: str, scenario: Scenario, trace: Sequence[Row]) -> Seen:
    """Send a trace through the real chain of a case.

    Raises
    ------
    RunError
        When the bed cannot be made, or a program in it fails.
    InputError
        When the scenario has no iptables rules to write.
    """
    check_bed(case, scenario)
    rules = restore_text(scenario)
    vip = scenario.cluster.vip
    replicas = [split_address(item.address)[0] for item in topology(scenario).replicas]
    sources = {row["src"] for row in trace}
    with tempfile.TemporaryDirectory(prefix="lbbench-bed-") as name:
        folder = Path(name)
        (folder / "trace.csv.gz").write_bytes(csv_bytes(COLUMNS, trace))
        with make_bed(scenario, sources, listening=replicas) as bed:
            bed.load_rules(rules)
            bed.start_pods(punctual=True)
            if case != KERNEL:
                proxies.start(case, bed.node, scenario, balancer, folder)
            words = ("client", str(folder / "trace.csv.gz"), vip, str(folder / "seen.csv"))
            process = bed.client.start_python(*words, punctual=True, stderr=-1)
            _, said = process.communicate()
            if process.returncode:
                raise RunError(f"the bed's client: failed: {said.strip()[-500:]}")
            kept = bed.rules()
        with (folder / "seen.csv").open(encoding="ascii", newline="") as stream:
            rows = list(csv.DictReader(stream))
    number_workers(rows)
    return Seen(tuple(rows), kept)


def number_workers(rows: Sequence[dict[str, str]]) -> None:
    """Replace the worker's process in rows by its number; a row that no worker answered has 0."""
    processes = sorted({row["worker"] for row in rows} - {NO_WORKER}, key=int)
    number = {process: str(k) for k, process in enumerate(processes)}
    for row in rows:
        row["worker"] = number.get(row["worker"], NO_WORKER)


def versions(case: str) -> dict[str, str]:
    """Return the versions of what a case is made of."""
    asked = {
        "iptables": ("iptables-restore", "--version"),
        **({"nginx": ("nginx", "-v")} if case == NGINX else {}),
        **({"haproxy": ("haproxy", "-v")} if case == HAPROXY else {}),
    }
    told = {name: proxies.version(words) for name, words in asked.items()}
    return {"kernel": platform.release(), **told}
