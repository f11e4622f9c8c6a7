"""Processor sharing: the mean response does not depend on the law of the work."""

from __future__ import annotations

from functools import partial

import numpy as np

from lbbench.engines.plan import make_plan
from lbbench.verify.chance import Found, mean_is
from lbbench.verify.checks.setups import (
    EXPONENTIAL,
    SERVICE,
    long_run,
    mean_check,
    service_path,
)
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.readings import Queue, first_kept
from lbbench.verify.suite import Check

TOPIC = "M/G/1-PS: processor sharing"
KERNEL = "service, shared cores"
PODS = 20
LOAD = 0.7

SMALL, LARGE = 0.01, 0.11  # seconds: with shares 0.9 and 0.1 the mean is 20 ms
TWO_SIZES = {"distribution": "bimodal", "values": ["10ms", "110ms"], "shares": [0.9, 0.1]}

LAWS = {
    "exponential": ("exponential work", EXPONENTIAL),
    "constant": ("equal requests", {"distribution": "deterministic", "mean": "20ms"}),
    "lognormal": (
        "lognormal work of scv 4",
        {"distribution": "lognormal", "mean": "20ms", "cv": 2},
    ),
}


def checks() -> list[Check]:
    """Return the checks on processor sharing."""
    theory = oracle("M/G/1-PS", rho=LOAD)
    made = []
    for name, (law, work) in LAWS.items():
        of = Experiment(
            f"ps {name}",
            Simulated(
                service_path(
                    pods=PODS,
                    pod={"discipline": "ps"},
                    load=LOAD,
                    work=work,
                    run=long_run(250_000, LOAD, PODS),
                ),
                Queue(SERVICE),
            ),
            replications=16,
            at_once=2,
            kernel=KERNEL,
        )
        claim = f"mean response, {law} at load {LOAD}"
        made.append(mean_check(f"ps-mean-{name}", TOPIC, claim, of, theory))
    return [*made, *_by_size(), *_cores()]


def _by_size() -> list[Check]:
    theory = oracle("M/G/1-PS", rho=LOAD)
    of = Experiment(
        "ps sizes",
        Simulated(
            service_path(
                pods=PODS,
                pod={"discipline": "ps"},
                load=LOAD,
                work=TWO_SIZES,
                run=long_run(100_000, LOAD, PODS),
            ),
            slowdowns,
            record=True,
        ),
        replications=24,
        at_once=3,
        kernel=KERNEL,
    )
    return [
        mean_check(
            f"ps-slowdown-{name}",
            TOPIC,
            f"mean response of {name} requests over their work",
            of,
            theory,
            "slowdown",
            read=name,
        )
        for name in ("small", "large")
    ]


def slowdowns(run: Ran) -> Numbers:
    """Return the mean response over the work, of small and of large requests by themselves."""
    rows = run.outcome.records
    assert rows is not None
    # a pod alone would serve in `work`; the engine does not record it, the traffic repeats it
    begin = run.outcome.tally.segment_start[first_kept(run)]
    work = _works(run)
    kept = rows["arrival"] >= begin
    spent = (rows["end"] - rows["arrival"])[kept] / work[kept]
    small = work[kept] < 0.5 * (SMALL + LARGE)
    return {"small": spent[small].mean(), "large": spent[~small].mean()}


def _works(run: Ran) -> np.ndarray:
    plan = make_plan(run.scenario, replication=run.number)
    return np.concatenate([block.work for block in plan.traffic.blocks()])


def _cores() -> list[Check]:
    """Exponential work on c shared cores: as many inside as with c places, so the same mean."""
    theory = oracle("M/M/c", c=4, rho=0.8)
    of = Experiment(
        "ps cores",
        Simulated(
            service_path(
                pods=5,
                pod={"discipline": "ps", "concurrency": 4},
                load=0.8,
                run=long_run(250_000, 0.8, 20),
            ),
            Queue(SERVICE),
        ),
        replications=24,
        at_once=2,
        kernel=KERNEL,
    )
    claim = "mean response on 4 cores at load 0.8, as M/M/4"
    return [
        mean_check("ps-cores", TOPIC, claim, of, theory),
        Check(
            "ps-cores-busy",
            TOPIC,
            "share of the cores that work, 4 cores at load 0.8",
            "utilisation is the offered load: rho = lambda E[S] / c",
            of,
            partial(_busy, 0.8),
        ),
    ]


def _busy(load: float, sample: Sample) -> Found:
    return mean_is(sample["busy"], load)
