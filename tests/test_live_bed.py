"""The live bed with the real programs, where the machine has them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from bedding import case, rows, short

from benchmarks.reality.bed import make_bed
from benchmarks.reality.cases import BALANCERS, SPLITS
from benchmarks.reality.folder import summary_of, write_experiment, write_repeat
from benchmarks.reality.requirements import lacking
from benchmarks.reality.rules import split_of
from benchmarks.reality.run import run_once
from lbbench.errors import RunError
from lbbench.model.check import build
from lbbench.verify.reality_forced import residuals
from lbbench.verify.reality_picks import picks
from lbbench.verify.reality_reading import recordings

ROOT = Path(__file__).parent.parent
CONNECTIONS = 20_000
CHANCE = 1e-6
"""A chi-square test of true shares fails that often."""

SIX = {
    "name": "six",
    "path": "service",
    "cluster": {
        "nodes": [{"name": "a", "address": "fd00::1"}],
        "pods": [{"name": f"p{i}", "address": f"[fd00:1::{i + 2}]:8080"} for i in range(4)],
        "vip": "[2001:db8:9::1]:80",
    },
    "traffic": {"utilisation": 0.5},
}


def needs(case, *, six=False):
    """Skip a test where the machine cannot run a case, with the reason."""
    reason = lacking(case, six=six)
    if reason:
        pytest.skip(reason)


# --- the real programs ----------------------------------------------------------------------------


@pytest.mark.parametrize("data", SPLITS, ids=lambda data: data["name"])
def test_connections_through_real_rules_split_as_the_scenario_says(data):
    """20 000 connections through the exported rules pass chi-square at 1e-6."""
    needs("kernel")
    split = split_of(build(dict(data)), CONNECTIONS)
    assert split.stray == 0
    assert split.counts.sum() == CONNECTIONS
    assert split.p >= CHANCE, split.to_dict()


def test_rules_of_ipv6_split_connections_too():
    """4 000 connections over IPv6 through ip6tables-restore's rules pass chi-square at 1e-6."""
    needs("kernel", six=True)
    split = split_of(build(SIX), 4000)
    assert split.counts.sum() == 4000
    assert split.p >= CHANCE, split.to_dict()


@pytest.mark.parametrize(
    ("name", "balancer"),
    [(name, balancer) for name, balancers in BALANCERS.items() for balancer in balancers],
)
def test_a_short_trace_goes_through_and_verify_reads_it(tmp_path, name, balancer):
    """Every request is answered by a pod, and the exact laws of the balancer hold."""
    needs(name)
    scenario = case(name, balancer, pods=5)
    run = recorded(tmp_path, name, scenario, short())
    assert run.answered.all()
    assert (run.pod >= 0).all()
    counts = np.bincount(run.pod, minlength=5)
    if balancer == "round_robin":
        assert counts.max() - counts.min() <= 1
    if name == "kernel":
        several, even = picks(run)
        assert (several.statistic, several.measured) == ("connections with several pods", 0)
        assert even.measured >= CHANCE
    assert len(residuals(run)) == 4


@pytest.mark.parametrize("name", ["nginx", "haproxy"])
def test_a_real_round_robin_is_a_cycle(tmp_path, name):
    """200 requests, each written after the answer to the one before: no pick is off the cycle."""
    needs(name)
    trace = rows(*[(1000 * i, "kept", 100) for i in range(200)])
    run = recorded(tmp_path, name, case(name, "round_robin", pods=5), trace)
    assert run.answered.all()
    (cycle,) = picks(run)
    assert cycle.statistic == "picks off the cycle"
    assert cycle.measured == 0


def recorded(tmp_path, name, scenario, trace):
    """Run a trace through the real chain and return the recording that verify reads."""
    balancer = scenario.stages.ingress.balancer
    seen = run_once(name, balancer, scenario, trace)
    said = {"repeat": 1, "balancer": balancer, "versions": {}}
    write_experiment(tmp_path / "run", scenario, trace)
    write_repeat(tmp_path / "run", 1, seen, summary_of(name, scenario, trace, seen, **said))
    (run,) = recordings(tmp_path / "run")
    return run


HOLDS = """
import sys, time
from benchmarks.reality.bed import make_bed
from benchmarks.reality.cases import SPLITS
from lbbench.model.check import build
with make_bed(build(dict(SPLITS[0])), ["10.1.0.1"]) as bed:
    bed.start_pods()
    print(*(part.pid for part in (bed.client, bed.node, bed.pods)), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_nothing_is_left_of_a_bed_whose_process_was_stopped(number):
    """After Ctrl-C and after a kill the processes that hold the namespaces end."""
    needs("kernel")
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDS],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with process:
        holders = process.stdout.readline().split()
        assert len(holders) == 3
        process.send_signal(number)
    assert gone(holders)


def test_nothing_is_left_of_a_bed_after_an_error():
    """Rules that the kernel refuses end the bed, and so does an address that is none."""
    needs("kernel")
    scenario = build(dict(SPLITS[0]))
    bed = make_bed(scenario, ["10.1.0.1"])
    with pytest.raises(RunError, match=r"iptables-restore, at the node: .*line 2"), bed:
        bed.load_rules("*nat\n-A NOWHERE -j ACCEPT\nCOMMIT\n")
    assert gone([part.pid for part in (bed.client, bed.node, bed.pods)])
    with pytest.raises(RunError, match="ip -batch -, at the client: "):
        make_bed(scenario, ["10.1.0.999"])


def gone(pids):
    """Wait until no process of these numbers is left; False after ten seconds."""
    for _ in range(200):
        if not any(Path(f"/proc/{pid}").exists() for pid in pids):
            return True
        time.sleep(0.05)
    return False
