"""Layer 4: the rules of kube-proxy, the hash of the load balancer, its probes."""

from __future__ import annotations

import numpy as np

from lbbench.balancers.iptables import chain_thresholds
from lbbench.verify.chance import Found, is_uniform, spread_is
from lbbench.verify.checks.setups import no_faults, service_path
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated, run_once
from lbbench.verify.oracles import vectors
from lbbench.verify.suite import Check

RULES = "kube-proxy: iptables"
PROBES = "Azure Load Balancer: probes"
AZURE = "Azure documentation, Azure Load Balancer health probes, 2026-01"

INTERVAL, THRESHOLD, DOWN_AT = 5.0, 2, 1.0  # seconds
SYN_RETRY = 1.0  # seconds, the first


def checks() -> list[Check]:
    """Return the checks on layer 4."""
    return [*_rules(), *_probes()]


def _rules() -> list[Check]:
    of = Experiment("thresholds", compare_thresholds, replications=1)
    odd = Experiment(
        "coarse rules",
        Simulated(
            service_path(
                pods=200,
                load=0.1,
                stages={"kube_proxy": {"probability_format": "%0.5f"}},
                run={"requests": 1_000_000},
            ),
            first_picks,
        ),
        replications=6,
        at_once=2,
        kernel="service, steady",
    )
    return [
        Check(
            "iptables-thresholds",
            RULES,
            "thresholds of the random rules that differ from the kernel's",
            "iptables 1.8.9 on Linux 6.18: round(p 2^31) of the printed p, 2 to 200 endpoints",
            of,
            no_faults,
        ),
        Check(
            "iptables-shares",
            RULES,
            "requests per pod of 200, chi-square of the rules with 5 decimals",
            "product of the thresholds that iptables 1.8.9 on Linux 6.18 holds",
            odd,
            _rule_shares,
        ),
    ]


def compare_thresholds(_seed: int, _number: int) -> Numbers:
    """Return how many thresholds of chains of up to 200 rules differ from real ones."""
    faults = compared = 0
    for written, real in vectors()["iptables"].items():
        known = dict(real)
        for n in range(2, max(known) + 1):
            wanted = [known[n - i] for i in range(n - 1)]
            made = chain_thresholds(n, written)[: n - 1]
            faults += int((np.array(made) != np.array(wanted)).sum())
            compared += n - 1
    return {"faults": faults, "compared": compared}


def first_picks(run: Ran) -> Numbers:
    """Return the requests of each pod, pods in order of their addresses as text."""
    from lbbench.model.topology import topology

    order = np.argsort([pod.address for pod in topology(run.scenario).pods])
    return {"pods": run.outcome.tally.pod_first.sum(axis=0)[order]}


def _rule_shares(sample: Sample) -> Found:
    """Hold the counts against what the chain of real thresholds gives: p_i times what is left."""
    counts = sample["pods"].sum(axis=0)
    known = dict(vectors()["iptables"]["%0.5f"])
    shares, rest = [], 1.0
    for m in range(len(counts), 0, -1):
        p = known[m] / 2**31 if m > 1 else 1.0
        shares.append(rest * p)
        rest *= 1.0 - p
    expected = counts.sum() * np.array(shares)
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return spread_is(chi2, len(counts) - 1, int(counts.sum()))


def _probes() -> list[Check]:
    of = Experiment(
        "probes",
        detection_times,
        replications=120,
        at_once=30,
        kernel="service, changes",
    )
    late = THRESHOLD * INTERVAL
    return [
        Check(
            "probes-delay",
            PROBES,
            f"seconds from the end of a node until it gets no more connections, "
            f"{THRESHOLD} probes every {INTERVAL:g} s",
            f"{AZURE}: silence counts when the next probe is due, phase uniform",
            of,
            # 200 connections a second go there: the last one comes 5 ms before the verdict
            lambda sample: is_uniform(sample["delay"], late, late + INTERVAL),
        )
    ]


def detection_times(seed: int, number: int) -> Numbers:
    """Return how long after a node's end the last connection is sent to it.

    Its SYN has no answer, and is sent again after a second or later.
    """
    scenario = service_path(
        nodes=2,
        pods=2,
        load=0.2,
        work={"distribution": "deterministic", "mean": "1ms"},
        stages={
            "azure_lb": {"probe": {"interval": f"{INTERVAL:g}s", "threshold": THRESHOLD}},
            "kube_proxy": {"external_traffic_policy": "Local"},
        },
        run={"duration": "18s"},
    )
    scenario["timeline"] = [{"at": f"{DOWN_AT:g}s", "node": "node-1", "state": "down"}]
    rows = run_once(scenario, seed, number, record=True).outcome.records
    assert rows is not None
    waited = rows["end"] - rows["arrival"] > 0.5 * SYN_RETRY
    return {"delay": rows["arrival"][waited].max() - DOWN_AT}
