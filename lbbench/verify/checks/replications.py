"""What replications and balancers have in common, and what they must not have."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np

from lbbench.model.check import build
from lbbench.studies.run import run
from lbbench.verify.chance import Found, share_is, variance_is
from lbbench.verify.checks.setups import (
    SERVICE,
    cited,
    ingress_path,
    long_run,
    no_faults,
    service_path,
)
from lbbench.verify.experiment import Experiment, Numbers, Sample, Simulated, run_once
from lbbench.verify.oracles import oracle
from lbbench.verify.readings import Queue
from lbbench.verify.suite import Check

TOPIC = "Replications: independent, and alike where they should be"
PODS = 4
LONG = 40_000  # requests
OF_ONE_RESULT = 5
STEADY = "service, steady"


def checks() -> list[Check]:
    """Return the checks on replications."""
    return [*_variance(), *_pairs(), *_alike(), *_coverage()]


def _variance() -> list[Check]:
    theory = oracle("M/M/1 asymptotic variance", rho=0.5)
    of = Experiment(
        "one queue",
        Simulated(service_path(run=long_run(LONG, 0.5, 1, dropped=4)), Queue(SERVICE)),
        replications=100,
        at_once=25,
        kernel=STEADY,
    )
    return [
        Check(
            "replications-variance",
            TOPIC,
            "kept requests times the variance of their mean wait in M/M/1 at load 0.5",
            cited(theory),
            of,
            lambda sample: variance_is(
                sample["wait"] * np.sqrt(sample["kept"].mean()), theory["sigma2"]
            ),
        )
    ]


def _pairs() -> list[Check]:
    of = Experiment("pairs", agreements, replications=6, at_once=2, kernel=STEADY)
    claims = {
        "arrivals": (0.5, "pairs of gaps on the same side of the median, two replications"),
        "work": (0.5, "pairs of service times on the same side of the median"),
        "picks": (1.0 / PODS, f"pairs of requests at the same of {PODS} pods"),
    }
    return [
        Check(
            f"replications-{name}",
            TOPIC,
            claim,
            "independent draws agree by chance",
            of,
            partial(_agree, name, chance),
        )
        for name, (chance, claim) in claims.items()
    ]


def agreements(seed: int, number: int) -> Numbers:
    """Return how often the requests of two replications agree in gap, work and pod."""
    scenario = service_path(pods=PODS, run={"requests": 40_000})
    one, other = (_rows(scenario, seed, 2 * number + k) for k in (0, 1))
    gap = SERVICE / PODS / 0.5 * np.log(2.0)
    gaps = [np.diff(rows["arrival"], prepend=0.0) > gap for rows in (one, other)]
    works = [rows["end"] - rows["start"] > SERVICE * np.log(2.0) for rows in (one, other)]
    return {
        "arrivals": (gaps[0] == gaps[1]).sum(),
        "work": (works[0] == works[1]).sum(),
        "picks": (one["pod"] == other["pod"]).sum(),
        "compared": len(one["pod"]),
    }


def _agree(name: str, chance: float, sample: Sample) -> Found:
    return share_is(int(sample[name].sum()), int(sample["compared"].sum()), chance)


def _alike() -> list[Check]:
    again = Experiment("again", same_twice, replications=1, kernel=STEADY)
    common = Experiment("common", common_numbers, replications=1, kernel="ingress, round_robin")
    return [
        Check(
            "replications-again",
            TOPIC,
            "requests that differ when the same seed and replication run again",
            "a seed decides everything",
            again,
            no_faults,
        ),
        Check(
            "replications-common",
            TOPIC,
            "requests whose arrival, client or work another balancer changes",
            "common random numbers: every balancer meets the same requests",
            common,
            no_faults,
        ),
    ]


def same_twice(seed: int, number: int) -> Numbers:
    """Return how many requests are not the same in two runs of one replication."""
    scenario = service_path(pods=PODS, load=0.9, run={"requests": 20_000})
    one, other = (_rows(scenario, seed, number) for _ in range(2))
    return _differing(one, other, tuple(one))


def common_numbers(seed: int, number: int) -> Numbers:
    """Return how many requests come otherwise when another balancer picks the pods."""
    one, other = (
        _rows(ingress_path(balancer, pods=PODS, run={"requests": 20_000}), seed, number)
        for balancer in ("round_robin", "p2c")
    )
    for rows in (one, other):
        rows["work"] = np.round(rows["end"] - rows["start"], 9)
    return _differing(one, other, ("arrival", "client", "port", "node", "work"))


def _differing(one: Mapping[str, Any], other: Mapping[str, Any], names: tuple[str, ...]) -> Numbers:
    different = np.zeros(len(one["arrival"]), bool)
    for name in names:
        different |= one[name] != other[name]
    return {"faults": different.sum(), "compared": len(different)}


def _coverage() -> list[Check]:
    of = Experiment("coverage", interval_holds, replications=30, at_once=5, kernel=STEADY)
    return [
        Check(
            "replications-coverage",
            TOPIC,
            f"95 % intervals from {OF_ONE_RESULT} replications that hold the true mean",
            "Student's t law",
            of,
            lambda sample: share_is(int(sample["holds"].sum()), len(sample["holds"]), 0.95),
        )
    ]


def interval_holds(seed: int, number: int) -> Numbers:
    """Return whether the interval of a result of several replications holds the true mean."""
    scenario = service_path(
        pods=20, run={**long_run(40_000, 0.5, 20), "replications": OF_ONE_RESULT}
    )
    result = run(build(scenario, place="verify", changes=[("run.seed", seed + number)]))
    low, high = result.latency_s["ci95"]["mean"]
    return {"holds": low <= oracle("M/M/1 sojourn", rho=0.5)["mean"] * SERVICE <= high}


def _rows(scenario: Mapping[str, Any], seed: int, number: int) -> dict[str, np.ndarray]:
    rows = run_once(scenario, seed, number, record=True).outcome.records
    assert rows is not None
    return dict(rows)
