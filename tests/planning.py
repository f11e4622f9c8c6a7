"""What tests of planning share: a clockwork scenario, and replications made by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from hypothesis import HealthCheck, settings

from lbbench.core.histogram import FINE, fine_index
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.tally import SEGMENTS
from lbbench.model.units import parse_rate, parse_time
from lbbench.stats.evidence import Evidence
from lbbench.studies.planning.sample import Part, Sample

patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A busy machine is no failure."""


def clockwork(**changes: Any) -> Scenario:
    """Return 2000 requests/s of 2.5 ms each, like clockwork: five pods are exactly full."""
    data = {
        "name": "clock",
        "cluster": {"nodes": 1, "pods": 2, "ingress": {"replicas": 1, "workers": 1}},
        "stages": {"ingress": {"balancer": "round_robin"}},
        "traffic": {
            "arrivals": {"process": "deterministic", "rate": "2000/s"},
            "service_time": {"distribution": "deterministic", "mean": "2.5ms"},
        },
        "run": {"requests": 64, "warmup": "0s"},
    }
    scenario = build(data)
    return scenario.with_(changes) if changes else scenario


def sample(
    latencies: Sequence[float],
    *,
    number: int = 0,
    content: str = "x",
    failed: int = 0,
    overloaded: bool = False,
    utilisation: float = 0.5,
) -> Sample:
    """Return a replication with these latencies (s), spread over its segments."""
    values = np.asarray(latencies, float)
    segment = np.arange(len(values)) * SEGMENTS // len(values)
    ns = np.rint(values * 1e9).astype(np.int64)
    completed = np.bincount(segment, minlength=SEGMENTS)
    bad = np.bincount(np.arange(failed) % SEGMENTS, minlength=SEGMENTS)
    bucket, held = np.unique([fine_index(int(value)) for value in ns], return_counts=True)
    evidence = Evidence(
        offered=completed + bad,
        completed=completed,
        failed=bad,
        unfinished=np.zeros(SEGMENTS, np.int64),
        latency_sum=np.bincount(segment, ns, minlength=SEGMENTS).astype(np.int64),
        segment_start=np.arange(SEGMENTS + 1, dtype=float),
        edges=np.array([0, SEGMENTS]),
        latency_counts=np.zeros((0, FINE), np.int64),
        warmup_s=0.0,
    )
    return Sample(
        content=content,
        replication=number,
        status="done",
        evidence=evidence,
        group=np.zeros(len(bucket), np.int64),
        bucket=bucket,
        held=held,
        pods=("pod-0",),
        utilisation=np.array([utilisation]),
        share=np.array([1.0]),
        tail=np.array([0.1]),
        skews={"node": 1.2},
        parts={name: Part(0.01, 0.02) for name in ("pod_queue", "service")},
        errors={"reset": failed} if failed else {},
        largest=float(values.max()),
        attempts=1.0,
        overloaded=overloaded,
    )


def mm1_sample(task: Any) -> Sample:
    """Answer a task as if every pod were M/M/1 with its share of the requests: `driver.sample`.

    The latencies are the exact law's quantiles, times a factor of about 1 % from the replication's
    number, the same at every value, as common random numbers have it.
    """
    data = json.loads(task.scenario)
    pods = data["cluster"]["pods"]
    pods = [{}] * pods if isinstance(pods, int) else pods
    places = sum(pod.get("concurrency", data["cluster"]["pod"]["concurrency"]) for pod in pods)
    service = parse_time(data["traffic"]["service_time"]["mean"])
    load = parse_rate(data["traffic"]["arrivals"]["rate"]) * service / places
    rtt = parse_time(data["cluster"]["network"]["client_rtt"])
    noise = 1.0 + 0.01 * np.random.default_rng(task.replication).normal()
    law = -np.log1p(-(np.arange(1000) + 0.5) / 1000)
    mean = service / (1.0 - min(load, 0.999))
    latencies = (np.random.default_rng(1).permutation(law) * mean + rtt) * noise
    failed = 100 if any(change.get("fail") for change in data.get("timeline", ())) else 0
    return sample(
        latencies, number=task.replication, content=task.content, failed=failed, utilisation=load
    )


def least_pods(rate: float, limit: float, service: float = 0.0025) -> int:
    """Return the least n with a mean of service / (1 - rate service / n) within ``limit``."""
    return math.ceil(rate * service / (1.0 - service / limit) - 1e-9)
