"""Which pod a request goes to: in turns, the better of two, the shortest queue."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from lbbench.verify.chance import Found, spread_is
from lbbench.verify.checks.setups import (
    SERVICE,
    ingress_path,
    long_run,
    mean_check,
    no_faults,
    tail_check,
)
from lbbench.verify.experiment import Experiment, Numbers, Ran, Sample, Simulated
from lbbench.verify.oracles import Oracle, oracle
from lbbench.verify.readings import Queue
from lbbench.verify.suite import Check

TURNS = "E_n/M/1: round robin of Poisson arrivals"
PAIRS = "Power of two choices: p2c"
SHORTEST = "Join the shortest queue: jsq"
CENTRAL = "One queue before all pods: lwl and central_queue"
SOURCE = "lua-resty-balancer lib/resty/roundrobin.lua: a cycle per worker, begun at a random pod"

NODES, WORKERS, IN_CYCLE = 3, 4, 7
MANY = 256


def checks() -> list[Check]:
    """Return the checks on choices."""
    made = [*_in_turns(), *_cycles()]
    for pods, load in ((3, 0.9), (4, 0.8)):
        theory = oracle("power of 2 distinct choices", N=pods, rho=load)
        made += _numbers("p2c", PAIRS, theory, pods, load)
    made += _many()
    for pods, load in ((2, 0.8), (4, 0.8)):
        theory = oracle("JSQ, N pods", N=pods, rho=load)
        made += _numbers("jsq", SHORTEST, theory, pods, load)
    return made + _bounds()


def _bounds() -> list[Check]:
    """Return that who knows the work left makes one queue of all: M/M/c with the places of all."""
    made = []
    for balancer, pods, places, load in (("lwl", 4, 1, 0.8), ("central_queue", 4, 4, 0.9)):
        theory = oracle("M/M/c", c=pods * places, rho=load)
        of = Experiment(
            f"{balancer} {pods} {load}",
            Simulated(
                ingress_path(
                    balancer,
                    pods=pods,
                    load=load,
                    cluster={"pod": {"concurrency": places}},
                    run=long_run(200_000, load, pods * places),
                ),
                Queue(SERVICE, (theory["p99"],)),
            ),
            replications=24,
            at_once=2,
            kernel=f"ingress, {balancer}",
        )
        at = f"of {pods} pods with {places} places at load {load}"
        made += [
            mean_check(f"{balancer}-mean", CENTRAL, f"{balancer}: mean response {at}", of, theory),
            tail_check(
                f"{balancer}-p99",
                CENTRAL,
                f"{balancer}: share slower than p99 {at}",
                of,
                theory,
                0.01,
            ),
        ]
    return made


def _experiment(
    balancer: str, pods: int, load: float, tails: Sequence[float], requests: int, times: int
) -> Experiment:
    return Experiment(
        f"{balancer} {pods} {load}",
        Simulated(
            ingress_path(balancer, pods=pods, load=load, run=long_run(requests, load, pods)),
            Queue(SERVICE, tails),
        ),
        replications=times,
        at_once=2,
        kernel=f"ingress, {balancer}",
    )


def _numbers(balancer: str, topic: str, theory: Oracle, pods: int, load: float) -> list[Check]:
    times, requests = (32, 300_000) if balancer == "p2c" else (24, 200_000)
    of = _experiment(balancer, pods, load, (theory["p99"],), requests, times)
    at = f"of {pods} pods at load {load}"
    return [
        mean_check(f"{balancer}-mean-{pods}", topic, f"mean response {at}", of, theory),
        tail_check(
            f"{balancer}-p99-{pods}", topic, f"share slower than p99 {at}", of, theory, 0.01
        ),
    ]


def _many() -> list[Check]:
    """Many pods: above the limit of infinitely many by 4 / n of what 4 pods are, or less.

    The exact excess of 3 and 4 pods falls faster than 1 / n.
    """
    limit = oracle("power of d choices", rho=0.8, d=2)
    few = oracle("power of 2 distinct choices", N=4, rho=0.8)
    slack = 4.0 * (few["mean"] - limit["mean"]) / MANY
    of = Experiment(
        "p2c many",
        Simulated(
            ingress_path("p2c", pods=MANY, load=0.8, run=long_run(600_000, 0.8, MANY, dropped=16)),
            Queue(SERVICE),
        ),
        replications=12,
        kernel="ingress, p2c",
    )
    claim = f"mean response of {MANY} pods at load 0.8, within {slack:.1g} of the limit"
    return [mean_check("p2c-many", PAIRS, claim, of, limit, slack=slack)]


def _in_turns() -> list[Check]:
    made = []
    for pods, load in ((4, 0.8), (16, 0.9)):
        theory = oracle("round robin of Poisson", N=pods, rho=load)
        of = _experiment("round_robin", pods, load, (theory["p99"],), 60_000 * pods, 20)
        at = f"of {pods} pods at load {load}"
        made += [
            mean_check(f"rr-mean-{pods}", TURNS, f"mean response {at}", of, theory),
            tail_check(f"rr-p99-{pods}", TURNS, f"share slower than p99 {at}", of, theory, 0.01),
        ]
    return made


def _cycles() -> list[Check]:
    of = Experiment(
        "cycles",
        Simulated(
            ingress_path(
                "round_robin",
                nodes=NODES,
                pods=IN_CYCLE,
                workers=WORKERS,
                cluster={"ingress": {"replicas": "per_node", "workers": WORKERS}},
                traffic={"clients": {"count": 200}},
                local=True,  # a client's address stays as it is, so no two connections look alike
                run={"requests": 3000},
            ),
            turns,
            record=True,
            by_seed=True,
        ),
        replications=60,
        at_once=15,
        kernel="ingress, round_robin",
    )
    return [
        Check(
            "rr-cycle",
            TURNS,
            "picks of a worker that break its own cycle over the pods",
            SOURCE,
            of,
            no_faults,
        ),
        Check(
            "rr-start",
            TURNS,
            "first picks of the workers, chi-square over the pods",
            SOURCE,
            of,
            _starts,
        ),
        Check(
            "rr-workers",
            "SO_REUSEPORT: workers by hash of the connection",
            "connections per worker, chi-square within their replicas",
            "Linux reuseport_select_sock: hash of the 4-tuple, uniform over the workers",
            of,
            _workers,
        ),
    ]


def turns(run: Ran) -> Numbers:
    """Return how many picks do not take the turn after the worker's last, and the first ones."""
    rows = run.outcome.records
    assert rows is not None
    workers = rows["worker"]
    order = np.lexsort((np.arange(len(workers)), workers))
    same = np.diff(workers[order]) == 0
    places = _place_in_cycle(run)[rows["pod"][order]]
    step = np.diff(places) % IN_CYCLE
    first = np.concatenate([[True], ~same])
    return {
        "faults": ((step != 1) & same).sum(),
        "compared": same.sum(),
        "starts": np.bincount(places[first], minlength=IN_CYCLE),
        "workers": run.outcome.tally.worker_connections.sum(axis=0).reshape(NODES, WORKERS),
    }


def _place_in_cycle(run: Ran) -> np.ndarray:
    """Return the place of each pod in the endpoint list: addresses sorted as text."""
    from lbbench.model.topology import topology

    addresses = [pod.address for pod in topology(run.scenario).pods]
    return np.argsort(np.argsort(np.array(addresses)))


def _starts(sample: Sample) -> Found:
    counts = sample["starts"].sum(axis=0)
    expected = counts.sum() / IN_CYCLE
    return spread_is(
        float(((counts - expected) ** 2 / expected).sum()), IN_CYCLE - 1, int(counts.sum())
    )


def _workers(sample: Sample) -> Found:
    counts = sample["workers"].sum(axis=0)
    expected = counts.sum(axis=1, keepdims=True) / WORKERS
    chi2 = float(((counts - expected) ** 2 / expected).sum())
    return spread_is(chi2, NODES * (WORKERS - 1), int(counts.sum()))
