"""Pods that refuse what they have no room for: Erlang B and M/M/1/K."""

from __future__ import annotations

from lbbench.verify.checks.queues import BOUNDED, CONSTANT
from lbbench.verify.checks.setups import (
    EXPONENTIAL,
    SERVICE,
    long_run,
    mean_check,
    service_path,
)
from lbbench.verify.experiment import Experiment, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.readings import Queue
from lbbench.verify.suite import Check

LOSS = "Erlang B: places without a queue"
ROOM = "M/M/1/K: a short queue"

LAWS = {
    "exponential": ("exponential work", EXPONENTIAL),
    "constant": ("equal requests", CONSTANT),
    "hyper": (
        "hyperexponential work of scv 4",
        {"distribution": "hyperexponential", "mean": "20ms", "cv": 2},
    ),
}


def checks() -> list[Check]:
    """Return the checks on losses."""
    return [*_places(), *_queues()]


def _places() -> list[Check]:
    theory = oracle("M/G/c/c loss", c=10, offered=8)
    made = []
    for name, (law, work) in LAWS.items():
        of = Experiment(
            f"loss {name}",
            Simulated(
                service_path(
                    pods=4,
                    pod={"concurrency": 10, "queue": 0},
                    load=0.8,
                    work=work,
                    run=long_run(200_000, 0.8, 40),
                ),
                Queue(SERVICE),
            ),
            replications=12,
            at_once=3,
            kernel=BOUNDED,
        )
        claim = f"share refused by 10 places under load 8, {law}"
        made.append(mean_check(f"loss-{name}", LOSS, claim, of, theory, "blocking", read="refused"))
    return made


def _queues() -> list[Check]:
    made = []
    for places, load in ((5, 0.8), (10, 1.2)):
        theory = oracle("M/M/1/K", rho=load, K=places)
        of = Experiment(
            f"room {places}",
            Simulated(
                service_path(
                    pods=10, pod={"queue": places - 1}, load=load, run=long_run(200_000, load, 10)
                ),
                Queue(SERVICE),
            ),
            replications=16,
            at_once=4,
            kernel=BOUNDED,
        )
        at = f"with room for {places} at load {load}"
        made += [
            mean_check(
                f"room-refused-{places}",
                ROOM,
                f"share refused {at}",
                of,
                theory,
                "blocking",
                read="refused",
            ),
            mean_check(
                f"room-mean-{places}",
                ROOM,
                f"mean response of the others {at}",
                of,
                theory,
                "mean_accepted",
                read="mean",
            ),
        ]
    return made
