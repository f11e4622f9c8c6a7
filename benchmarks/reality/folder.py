"""The folder of an experiment, as `lbbench verify --reality` reads it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.reality.cases import TRACE
from benchmarks.reality.client import OBSERVED
from benchmarks.reality.run import Seen
from benchmarks.reality.trace import COLUMNS, Row, csv_bytes
from lbbench.errors import RunError
from lbbench.inputs.yaml import dump
from lbbench.model.scenario import Scenario
from lbbench.model.topology import topology

SCENARIO = "scenario.yaml"
PATH_P99_MS, LATENESS_P99_MS = 4.0, 3.0
"""Limits of a good run, those of the recorded ones."""


def check_free(folder: Path) -> None:
    """Refuse a folder that has files already, or whose place cannot have one.

    Raises
    ------
    RunError
        With the folder and the way out.
    """
    there = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not there.is_dir() or (there == folder and any(folder.iterdir())):
        raise RunError(
            f"{there}: is a file or has files of an earlier run; give --out another folder"
        )


def write_experiment(folder: Path, scenario: Scenario, trace: Sequence[Row]) -> None:
    """Write what goes in: `scenario.yaml` and `trace.csv.gz`; the folder is made."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / SCENARIO).write_text(dump(scenario.written), encoding="utf-8")
    (folder / TRACE).write_bytes(csv_bytes(COLUMNS, trace))


def write_repeat(folder: Path, repeat: int, seen: Seen, summary: Mapping[str, Any]) -> None:
    """Write what came out: `observed_rK.csv.gz`, `summary_rK.json`, `iptables-save_rK.txt`."""
    (folder / f"observed_r{repeat}.csv.gz").write_bytes(csv_bytes(OBSERVED, seen.rows))
    text = json.dumps(summary, indent=1) + "\n"
    (folder / f"summary_r{repeat}.json").write_text(text, encoding="utf-8")
    (folder / f"iptables-save_r{repeat}.txt").write_text(seen.rules, encoding="utf-8")


def summary_of(
    case: str,
    scenario: Scenario,
    trace: Sequence[Row],
    seen: Seen,
    *,
    repeat: int,
    balancer: str,
    versions: Mapping[str, str],
) -> dict[str, Any]:
    """Return the set-up of a run and its figures; times in milliseconds.

    ``overhead.path_ms`` is latency less lateness, queue and service: what the path, the wake-ups
    and the proxy took. ``ok`` tells whether it and the lateness stayed in the limits.
    """
    top = topology(scenario)
    pod, status, sent, latency, waited = (
        np.array([float(row[name]) for row in seen.rows]) for name in OBSERVED[1:6]
    )
    answered = status == 200.0
    slow = {i: 1.0 / item.speed for i, item in enumerate(top.pods) if item.speed != 1.0}
    factor = np.array([slow.get(int(i), 1.0) for i in pod])
    work = factor * np.array([float(row["svc_us"]) for row in trace])
    counts = np.bincount(pod[pod >= 0].astype(np.int64), minlength=len(top.pods))
    path = _spread((latency - sent - waited - work)[answered])
    first = _is_first(trace)
    lateness = _spread(sent[answered & first])
    return {
        "name": scenario.name,
        "rep": repeat,
        "path": "iptables" if case == "kernel" else case,
        "algo": balancer,
        "pods": len(top.pods),
        "concurrency": top.pods[0].concurrency,
        "pod_args": [word for i, times in slow.items() for word in ("-s", f"{i}={times:g}")],
        "workers": top.workers_per_replica if top.replicas else 1,
        "nodes": 1,
        "requests": len(trace),
        "duration_s": round(int(trace[-1]["t_us"]) / 1e6, 3),
        "per_pod_requests": counts.tolist(),
        "share": [round(float(count) / max(int(counts.sum()), 1), 5) for count in counts],
        "latency_ms_200": _spread(latency[answered]),
        "failed_transport": int((status < 0).sum()),
        "overhead": {"path_ms": path, "send_lateness_ms": lateness},
        "ok": path.get("p99", 0.0) < PATH_P99_MS and lateness.get("p99", 0.0) < LATENESS_P99_MS,
        "versions": dict(versions),
    }


def _is_first(trace: Sequence[Row]) -> np.ndarray:
    """Return which requests open their connection, bool[n]: others may wait for an answer."""
    met: set[str] = set()
    first = []
    for row in trace:
        first.append(row["conn"] not in met)
        met.add(row["conn"])
    return np.array(first)


def _spread(values: np.ndarray) -> dict[str, float]:
    """Return count, mean, percentiles and maximum of microseconds, in milliseconds."""
    if not len(values):
        return {"n": 0}
    ms = values / 1e3
    found = {"mean": ms.mean(), **{f"p{q}": np.percentile(ms, q) for q in (50, 90, 99)}}
    rounded = {name: round(float(value), 3) for name, value in found.items()}
    return {"n": len(values), **rounded, "max": round(float(ms.max()), 3)}
