"""Queues served first come, first served: M/M/1, M/M/c, M/G/1, M/D/1 and D/M/1."""

from __future__ import annotations

from functools import partial

import numpy as np

from lbbench.verify.chance import Found, certain, counts_are, mean_is
from lbbench.verify.checks.setups import (
    SERVICE,
    cited,
    long_run,
    mean_check,
    no_faults,
    service_path,
    tail_check,
)
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.readings import Queue
from lbbench.verify.suite import Check

PODS = 20
ROOM = 100_000  # of a queue that is bounded in name only: the general event loop takes it
STEADY = "service, steady"
BOUNDED = "service, bounded queues"

LAWS = {
    "erlang": ("erlang2", 0.5, {"distribution": "erlang", "k": 2}),
    "lognormal": ("lognormal", 1, {"distribution": "lognormal", "cv": 1}),
    "hyper": ("H2 balanced means", 4, {"distribution": "hyperexponential", "cv": 2}),
}
"""Name of the check -> (the law by its name in the theory, its scv, the law in a scenario)."""

CONSTANT = {"distribution": "deterministic", "mean": "20ms"}


def checks() -> list[Check]:
    """Return the checks on queues."""
    return [*_split(), *_servers(), *_laws(), *_constant(), *_paced(), *_in_order()]


def _split() -> list[Check]:
    topic = "M/M/1: random split of Poisson arrivals"
    theory = oracle("M/M/1 sojourn", rho=0.8)
    of = Experiment(
        "mm1",
        Simulated(
            service_path(pods=PODS, load=0.8, run=long_run(400_000, 0.8, PODS)),
            Queue(SERVICE, (theory["p50"], theory["p99"])),
        ),
        replications=32,
        at_once=4,
        kernel=STEADY,
    )
    little = "Little (1961), Operations Research 9(3): L = lambda W"
    return [
        mean_check("mm1-mean", topic, "mean response at load 0.8", of, theory),
        tail_check("mm1-p50", topic, "share of answers slower than the median", of, theory, 0.5),
        tail_check("mm1-p99", topic, "share of answers slower than p99", of, theory, 0.01, 1),
        mean_check(
            "mm1-inside",
            topic,
            "requests at a pod, average over time",
            of,
            theory,
            "mean_in_system",
            read="inside",
        ),
        Check(
            "mm1-utilisation",
            topic,
            "share of the time that a pod works",
            "utilisation is the offered load: rho = lambda E[S]",
            of,
            lambda sample: mean_is(sample["busy"], 0.8),
        ),
        Check(
            "mm1-little",
            topic,
            "requests at a pod over arrivals times stay",
            little,
            of,
            # what reaches over the ends of the window has the same mean at both
            lambda sample: mean_is(
                sample["inside"] / (sample["rate"] * sample["mean"]), 1.0, slack=1e-5
            ),
        ),
        Check(
            "mm1-shares",
            topic,
            "requests per pod, chi-square of the random rules",
            "multinomial law; probabilities 1/n to 1e-7 (kube-proxy with %0.10f)",
            of,
            lambda sample: counts_are(sample["pods"].sum(axis=0)),
        ),
    ]


def _servers() -> list[Check]:
    topic = "M/M/c: one queue before the places of a pod"
    made = []
    for places, load in ((4, 0.8), (16, 0.9)):
        theory = oracle("M/M/c", c=places, rho=load)
        of = Experiment(
            f"mmc {places}",
            Simulated(
                service_path(
                    pods=4,
                    pod={"concurrency": places},
                    load=load,
                    run=long_run(400_000, load, 4 * places),
                ),
                Queue(SERVICE, (theory["p99"],)),
            ),
            replications=32,
            at_once=4,
            kernel=STEADY,
        )
        at = f"with {places} places at load {load}"
        made += [
            mean_check(f"mmc-mean-{places}", topic, f"mean response {at}", of, theory),
            tail_check(f"mmc-p99-{places}", topic, f"share slower than p99 {at}", of, theory, 0.01),
            Check(
                f"mmc-waits-{places}",
                topic,
                f"share that waits, {at} (Erlang C)",
                cited(theory),
                of,
                # waits below 512 ns count as none; they have the rate c (1 - rho) / E[S]
                partial(_waits, theory["erlang_c"], places * (1.0 - load) * 512e-9 / SERVICE),
            ),
        ]
    return made


def _waits(expected: float, slack: float, sample: Sample) -> Found:
    return mean_is(1.0 - sample["no_wait"], expected, slack=slack)


def _laws() -> list[Check]:
    topic = "M/G/1: Pollaczek and Khinchine"
    made = []
    for name, (law, scv, work) in LAWS.items():
        theory = oracle("M/G/1 FIFO", rho=0.7, service=law, scv=scv)
        of = Experiment(
            f"mg1 {name}",
            Simulated(
                service_path(
                    pods=PODS,
                    load=0.7,
                    work={**work, "mean": "20ms"},
                    run=long_run(400_000, 0.7, PODS),
                ),
                Queue(SERVICE),
            ),
            replications=24,
            at_once=4,
            kernel=STEADY,
        )
        claim = f"mean wait, {law} service of scv {scv} at load 0.7"
        made.append(mean_check(f"mg1-{name}", topic, claim, of, theory, "mean_wait", read="wait"))
    return made


def _constant() -> list[Check]:
    topic = "M/D/1: equal requests"
    mean = oracle("M/G/1 FIFO", rho=0.8, service="deterministic")
    theory = oracle("M/D/1", rho=0.8)
    of = Experiment(
        "md1",
        Simulated(
            service_path(pods=PODS, load=0.8, work=CONSTANT, run=long_run(400_000, 0.8, PODS)),
            # a response is the wait and one service time
            Queue(SERVICE, (1.0 + theory["wait_p90"], 1.0 + theory["wait_p99"])),
        ),
        replications=16,
        at_once=4,
        kernel=STEADY,
    )
    return [
        mean_check("md1-wait", topic, "mean wait at load 0.8", of, mean, "mean_wait", read="wait"),
        tail_check("md1-p90", topic, "share that waits longer than p90", of, theory, 0.1),
        tail_check("md1-p99", topic, "share that waits longer than p99", of, theory, 0.01, 1),
    ]


def _paced() -> list[Check]:
    topic = "D/M/1: arrivals in step"
    theory = oracle("D/M/1", rho=0.8)
    of = Experiment(
        "dm1",
        Simulated(
            service_path(
                load=0.8,
                traffic={"arrivals": {"process": "deterministic"}},
                run=long_run(200_000, 0.8, 1),
            ),
            Queue(SERVICE, (theory["p99"],)),
        ),
        replications=40,
        at_once=8,
        kernel=STEADY,
    )
    return [
        mean_check("dm1-mean", topic, "mean response at load 0.8", of, theory),
        tail_check("dm1-p99", topic, "share of answers slower than p99", of, theory, 0.01),
    ]


def _in_order() -> list[Check]:
    topic = "Order of service: first come, first served"
    theory = oracle("M/M/1 sojourn", rho=0.8)
    source = "contract of the scenario: discipline fifo"
    scenario = service_path(
        pods=PODS, pod={"queue": ROOM}, load=0.8, run=long_run(400_000, 0.8, PODS)
    )
    law = Experiment(
        "fifo",
        Simulated(scenario, Queue(SERVICE, (theory["p99"],))),
        replications=16,
        at_once=2,
        kernel=BOUNDED,
    )
    short = {**scenario, "run": long_run(40_000, 0.8, PODS)}
    rows = Experiment(
        "fifo rows", Simulated(short, starts_in_turn, record=True), replications=2, kernel=BOUNDED
    )
    return [
        tail_check(
            "fifo-p99", topic, "share slower than p99 of M/M/1, bounded queues", law, theory, 0.01
        ),
        Check(
            "fifo-order",
            topic,
            "requests that a pod begins before an earlier one",
            source,
            rows,
            no_faults,
        ),
        Check(
            "fifo-little",
            topic,
            "time integral of the requests inside over the sum of their stays",
            "Little (1961), Operations Research 9(3): equal over a whole run",
            rows,
            lambda sample: certain(
                float(np.abs(sample["area"] / sample["spent"] - 1.0).max()), 0.0, 2, within=1e-6
            ),
        ),
    ]


def starts_in_turn(run: Ran) -> Numbers:
    """Return which requests begin before an earlier one of their pod, and both sides of Little."""
    rows = run.outcome.records
    assert rows is not None
    order = np.lexsort((np.arange(len(rows["pod"])), rows["pod"]))
    same = np.diff(rows["pod"][order]) == 0
    overtaken = (np.diff(rows["start"][order]) < 0.0) & same
    y = run.outcome.tally
    return {
        "faults": overtaken.sum(),
        "compared": same.sum(),
        "area": y.flow_area[0],
        "spent": y.flow_spent[0] / 1e9,
    }
