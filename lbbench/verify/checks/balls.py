"""Balls in bins: clients that stay with the first pod they get, connections of many requests."""

from __future__ import annotations

import numpy as np

from lbbench.verify.chance import mean_is
from lbbench.verify.checks.setups import cited, mean_check, service_path
from lbbench.verify.experiment import Experiment, Numbers, Ran, Simulated
from lbbench.verify.oracles import oracle
from lbbench.verify.suite import Check

TOPIC = "Balls in bins: who comes together"
CLIENTS = 100
GROUPS = 8  # in one run; the `recent` list of a pod holds 100 addresses, enough for all 8 x 100
CONNECTIONS, IN_ONE = 100, 10


def checks() -> list[Check]:
    """Return the checks on what goes to one pod as a whole."""
    return [*_clients(), *_popular(), *_connections()]


def _clients() -> list[Check]:
    theory = oracle("K equal clients", K=CLIENTS, N=16)
    of = Experiment(
        "sticky clients",
        Simulated(
            service_path(
                pods=16,
                load=0.3,
                stages={"kube_proxy": {"session_affinity": "ClientIP"}},
                traffic={"clients": {"count": GROUPS * CLIENTS}},
                # 40 requests of each on average: one that never comes, once in 10^14 runs
                run={"requests": 40 * GROUPS * CLIENTS},
            ),
            clients_per_pod,
            record=True,
        ),
        replications=48,
        at_once=12,
        kernel="service, steady",
    )
    per_pod = 16 * theory["p_node_empty"]
    return [
        mean_check(
            "balls-largest",
            TOPIC,
            f"most of {CLIENTS} clients at one of 16 pods (ClientIP affinity)",
            of,
            theory,
            "mean_max",
            read="largest",
        ),
        Check(
            "balls-spread",
            TOPIC,
            "variance of the clients at a pod",
            cited(theory),
            of,
            lambda sample: mean_is(sample["variance"], theory["sd_one_node"] ** 2),
        ),
        Check(
            "balls-empty",
            TOPIC,
            f"pods of 16 without any of {CLIENTS} clients",
            cited(theory),
            of,
            lambda sample: mean_is(sample["empty"], per_pod),
        ),
    ]


def clients_per_pod(run: Ran) -> Numbers:
    """Return the most clients at a pod, the pods without one, and the variance of their numbers.

    Clients are taken in groups, each a throw of its own; the figures are means over the groups.
    """
    rows = run.outcome.records
    assert rows is not None
    pods = len(run.outcome.shape.pods)
    pairs = np.unique(rows["client"] * pods + rows["pod"])
    group, pod = pairs // (CLIENTS * pods), pairs % pods
    counts = np.bincount(group * pods + pod, minlength=GROUPS * pods).reshape(GROUPS, pods)
    return {
        "largest": counts.max(axis=1).mean(),
        "empty": (counts == 0).sum(axis=1).mean(),
        "variance": ((counts - CLIENTS / pods) ** 2).mean(),
    }


def _popular() -> list[Check]:
    theory = oracle("Zipf", K=CLIENTS, s=1.0)
    of = Experiment(
        "popular clients",
        Simulated(
            service_path(
                pods=16,
                load=0.1,
                stages={"kube_proxy": {"session_affinity": "ClientIP"}},
                traffic={"clients": {"count": CLIENTS, "popularity": {"zipf": 1.0}}},
                run={"requests": 4000},
            ),
            share_spread,
        ),
        replications=240,
        at_once=30,
        kernel="service, steady",
    )
    return [
        Check(
            "balls-zipf",
            TOPIC,
            "squared variation of the pods' shares, Zipf clients with ClientIP affinity",
            cited(theory),
            of,
            lambda sample: mean_is(sample["squared_cv"], theory["cv_share_N16"] ** 2),
        )
    ]


def share_spread(run: Ran) -> Numbers:
    """Return the squared variation that the shares of the pods would have after endless requests.

    Two of n requests, different ones, go to one pod with the chance q; the squared shares sum up to
    1/n + (1 - 1/n) q on average, and n q - 1 (n pods) is the squared variation.
    """
    counts = run.outcome.tally.pod_first.sum(axis=0)
    n = counts.sum()
    together = (((counts / n) ** 2).sum() - 1.0 / n) / (1.0 - 1.0 / n)
    return {"squared_cv": len(counts) * together - 1.0}


def _connections() -> list[Check]:
    theory = oracle("per-connection", C=CONNECTIONS, mean_R=IN_ONE, scv_R=0, N=4)
    of = Experiment(
        "whole connections",
        Simulated(
            service_path(
                pods=4,
                load=0.05,
                traffic={"clients": {"count": 1}, "connections": {"requests": {"fixed": IN_ONE}}},
                run={"requests": 10 * CONNECTIONS * IN_ONE},
            ),
            connection_spread,
            record=True,
        ),
        replications=48,
        at_once=12,
        kernel="service, connections",
    )
    return [
        Check(
            "balls-connections",
            TOPIC,
            "squared variation of the pods' shares, 100 connections of 10 requests",
            cited(theory) + "; equal connections: exact",
            of,
            lambda sample: mean_is(sample["squared_cv"], theory["cv_share"] ** 2),
        )
    ]


def connection_spread(run: Ran) -> Numbers:
    """Return the squared variation of the pods' shares, mean over groups of 100 connections."""
    rows = run.outcome.records
    assert rows is not None
    groups = rows["pod"].reshape(-1, CONNECTIONS * IN_ONE)
    pods = len(run.outcome.shape.pods)
    counts = np.array([np.bincount(group, minlength=pods) for group in groups])
    return {"squared_cv": ((counts / counts.mean(axis=1, keepdims=True) - 1.0) ** 2).mean()}
