"""The scenarios of the checks, few of their kinds, so that few event loops have to be compiled."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from lbbench.model.tally import SEGMENTS
from lbbench.verify.chance import Found, certain, mean_is, mean_is_between
from lbbench.verify.experiment import Experiment, Sample
from lbbench.verify.oracles import Oracle
from lbbench.verify.suite import Check

SERVICE = 0.02
"""Mean service time in seconds: a histogram tells 1/1000 of it apart."""

EXPONENTIAL: Mapping[str, Any] = {"distribution": "exponential", "mean": "20ms"}


def service_path(
    *,
    pods: Any = 1,
    nodes: Any = 1,
    pod: Mapping[str, Any] | None = None,
    load: float = 0.5,
    work: Mapping[str, Any] = EXPONENTIAL,
    stages: Mapping[str, Any] | None = None,
    traffic: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """Return a scenario in which kube-proxy sends every connection to a pod, one request each.

    Its random rules split Poisson arrivals into independent ones.
    """
    return {
        "name": "verify",
        "path": "service",
        "cluster": {"nodes": nodes, "pods": pods, "pod": dict(pod or {})},
        "stages": dict(stages or {}),
        "traffic": {"utilisation": load, "service_time": dict(work), **(traffic or {})},
        "run": dict(run or {}),
    }


def ingress_path(
    balancer: str,
    *,
    pods: Any = 1,
    nodes: Any = 1,
    workers: int = 1,
    load: float = 0.5,
    work: Mapping[str, Any] = EXPONENTIAL,
    cluster: Mapping[str, Any] | None = None,
    ingress: Mapping[str, Any] | None = None,
    traffic: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
    local: bool = False,
) -> dict[str, Any]:
    """Return a scenario with one ingress replica, whose ``workers`` pick a pod per request.

    ``local``: a node sends connections to its own replica only, without masquerading them.
    """
    return {
        "name": "verify",
        "cluster": {
            "nodes": nodes,
            "pods": pods,
            "ingress": {"replicas": 1, "workers": workers},
            **(cluster or {}),
        },
        "stages": {
            "kube_proxy": {"external_traffic_policy": "Local" if local else "Cluster"},
            "ingress": {"balancer": balancer, **(ingress or {})},
        },
        "traffic": {"utilisation": load, "service_time": dict(work), **(traffic or {})},
        "run": dict(run or {}),
    }


def long_run(requests: int, load: float, places: int, *, dropped: int = 8) -> dict[str, Any]:
    """Return a run of so many requests at ``load`` on all the ``places`` together.

    The warm-up ends in the middle of a segment, so that ``dropped`` of them go whatever the
    arrivals are: where it ended near the begin of one, chance would decide what is kept.
    """
    length = requests * SERVICE / (load * places)
    return {"requests": requests, "warmup": f"{(dropped - 0.5) / SEGMENTS * length:g}s"}


def cited(theory: Oracle) -> str:
    """Return an oracle as the document cites it."""
    params = ", ".join(f"{name} {value}" for name, value in theory.params.items())
    return f"{theory.model}, {params} ({theory.kind}): {theory.source}"


def mean_check(
    name: str,
    topic: str,
    claim: str,
    of: Experiment,
    theory: Oracle,
    figure: str = "mean",
    *,
    read: str | None = None,
    slack: float = 0.0,
) -> Check:
    """Return the check that a number's mean over the replications is a figure of ``theory``."""
    judge = partial(_mean, read or figure, theory[figure], slack)
    return Check(name, topic, claim, cited(theory), of, judge)


def _mean(read: str, expected: float, slack: float, sample: Sample) -> Found:
    return mean_is(sample[read], expected, slack=slack)


def tail_check(
    name: str, topic: str, claim: str, of: Experiment, theory: Oracle, share: float, place: int = 0
) -> Check:
    """Return the check that a share of the answers takes longer than a percentile of ``theory``.

    ``place`` is that of the percentile among the tails that the experiment reads.
    """
    return Check(name, topic, claim, cited(theory), of, partial(_tail, share, place))


def _tail(share: float, place: int, sample: Sample) -> Found:
    return mean_is_between(sample["above"][:, place], sample["reach"][:, place], share)


def no_faults(sample: Sample) -> Found:
    """Return the verdict on things ``compared`` one by one: none may be among the ``faults``."""
    return certain(float(sample["faults"].sum()), 0.0, int(sample["compared"].sum()))
