"""What tests of planning share: a clockwork scenario, and rows of results made by hand."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from lbbench.core.histogram import FINE, fine_index
from lbbench.model.check import build
from lbbench.model.scenario import Scenario
from lbbench.model.study import Row
from lbbench.model.tally import SEGMENTS
from lbbench.model.units import parse_rate, parse_time
from lbbench.stats.evidence import Evidence, pack


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


def row(
    latencies: Sequence[float],
    *,
    number: int = 0,
    content: str = "x",
    failed: int = 0,
    warnings: Sequence[str] = (),
    utilisation: float = 0.5,
) -> Row:
    """Return the row of a replication with these latencies (s), spread over its segments."""
    values = np.asarray(latencies, float)
    segment = np.arange(len(values)) * SEGMENTS // len(values)
    ns = np.rint(values * 1e9).astype(np.int64)
    completed = np.bincount(segment, minlength=SEGMENTS)
    bad = np.bincount(np.arange(failed) % SEGMENTS, minlength=SEGMENTS)
    places = np.array([fine_index(int(value)) for value in ns])
    counts = np.bincount(places, minlength=FINE)[None, :].astype(np.int64)
    evidence = Evidence(
        offered=completed + bad,
        completed=completed,
        failed=bad,
        unfinished=np.zeros(SEGMENTS, np.int64),
        latency_sum=np.bincount(segment, ns, minlength=SEGMENTS).astype(np.int64),
        segment_start=np.arange(SEGMENTS + 1, dtype=float),
        edges=np.array([0, SEGMENTS]),
        latency_counts=counts,
        warmup_s=0.0,
    )
    segments, histograms = pack(evidence)
    parts = {name: {"mean": 0.01, "p99": 0.02} for name in ("pod_queue", "service")}
    result = {
        "latency_s": {"max": float(values.max()), "n": len(values)},
        "latency_by_stage_s": parts,
        "requests": {"by_error": {"reset": failed}},
        "stages": [],
        "warnings": list(warnings),
        "pods": [
            {
                "name": "pod-0",
                "utilisation": utilisation,
                "share": 1.0,
                "latency_s": {"p99": 0.1},
            }
        ],
    }
    return Row(content, 1, number, "0", "done", None, 0.1, 0.0, "", "{}", json.dumps(result),
               segments, histograms)  # fmt: skip


def mm1_rows(task: Any) -> Row:
    """Answer a task as if every pod were M/M/1 with its share of the requests: `driver.answer`.

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
    latencies = np.random.default_rng(1).permutation(law) * mean * noise + rtt
    failed = 100 if any(change.get("fail") for change in data.get("timeline", ())) else 0
    return row(
        latencies, number=task.replication, content=task.content, failed=failed, utilisation=load
    )


def least_pods(rate: float, limit: float, service: float = 0.0025) -> int:
    """Return the least n with a mean of service / (1 - rate service / n) within ``limit``."""
    return math.ceil(rate * service / (1.0 - service / limit) - 1e-9)
