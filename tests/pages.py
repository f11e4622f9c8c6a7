"""Small documents of every kind that a page is made of."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from lbbench.model.check import build
from lbbench.model.result import Result
from lbbench.report.page import of_comparison, of_plan, of_result, of_verification
from lbbench.report.page.content import Page
from lbbench.report.page.rendering import render
from lbbench.studies.compare import compare
from lbbench.studies.run import run

CHANGING = {
    "name": "changing",
    "cluster": {"nodes": 2, "pods": 4},
    "traffic": {"utilisation": 0.6, "service_time": {"mean": "20ms"}},
    "run": {"requests": 700, "warmup": "0s"},
    "slo": {"latency.p99": "100ms", "error_rate": "1%"},
    "timeline": [{"at": "1s", "pod": "pod-1", "fail": "refuse", "until": "2s"}],
}


@cache
def result() -> Result:
    """Return a result with objectives and a change of the cluster."""
    return run(build(CHANGING), engine="reference")


@cache
def _comparison() -> str:
    scenario = build({**CHANGING, "name": "two", "timeline": [], "run": {"requests": 400}})
    return json.dumps(compare(scenario, ["random", "least_conn"], engine="reference").to_dict())


def comparison() -> dict[str, Any]:
    """Return the document of a comparison of two balancers."""
    found: dict[str, Any] = json.loads(_comparison())
    return found


@cache
def content(kind: str) -> Page:
    """Return what stands on the page of the result, comparison, plan or verification."""
    if kind == "result":
        return of_result.content(result())
    made = {"comparison": of_comparison, "plan": of_plan, "verification": of_verification}
    return made[kind].content(globals()[kind]())


@cache
def html(kind: str) -> str:
    """Return that page."""
    return render(content(kind))


def plan() -> dict[str, Any]:
    """Return a plan for two balancers, one of them undecided, with a profile."""
    first = {
        "balancer": "round_robin", "answer": 12, "met": True, "undecided": None,
        "evidence": [
            evidence(11, 0.262, "not met"), evidence(12, 0.231, "met"), evidence(14, 0.2, "met"),
        ],
        "erlang_c": 9,
        "n_minus_1": {"lost": "pod-0", "met": False, "headroom": 0.92, "metrics": {}},
        "most_loaded": {"pod": "pod-3", "utilisation": 0.81, "share_over_mean": 1.02},
        "reason": "pod queue is 71 % of the mean latency", "sentence": "12 pods with round_robin",
        "notes": [],
    }  # fmt: skip
    second = {
        **first, "balancer": "ewma", "answer": 21, "undecided": [20, 21],
        "evidence": [evidence(20, 0.251, "undecided"), evidence(21, 0.22, "met")],
        "sentence": "21 pods with ewma", "notes": ["the service times have an infinite variance"],
    }  # fmt: skip
    return {
        "schema": "lbbench.plan/1", "name": "changing", "version": "0.1.0", "seed": 1,
        "scenario": result().scenario, "for": "pods", "unit": "pods", "survive": None,
        "rate_per_s": 400.0, "own": 4, "step": 1, "confidence": 0.95, "looks": [4, 8, 16, 32, 64],
        "objectives": [{"metric": "latency.p99", "limit": 0.25}], **first, "best": "round_robin",
        "balancers": [first, second],
        "profile": [
            {"hour": hour, "rate_per_s": 100.0 + 40.0 * hour,
             "answers": {"round_robin": 4 + hour, "ewma": 6 + hour}}
            for hour in range(6)
        ],
        "notes": [], "replications": 48, "wall_s": 12.5,
    }  # fmt: skip


def evidence(value: int, estimate: float, verdict: str) -> dict[str, Any]:
    """Return one row of a plan's evidence."""
    return {
        "value": value, "metric": "latency.p99", "estimate": estimate,
        "ci95": [estimate - 0.01, estimate + 0.01], "limit": 0.25, "verdict": verdict,
        "replications": 8, "lost": None, "because": None,
    }  # fmt: skip


def verification(*, passed: bool = True) -> dict[str, Any]:
    """Return the document of a verification of three checks."""
    checks = [
        check("queues.mm1-mean", "queues", 5.02, 5.0, 0.03, 0.52),
        check("queues.mm1-p99", "queues", 23.4, 23.0, 0.4, 0.31 if passed else 1e-9),
        {**check("rings.points", "rings", 160, 160, None, 1.0), "test": "certain"},
    ]
    return {
        "schema": "lbbench.verify/1", "version": "0.1.0", "seed": 1, "family_error": 0.01,
        "level_per_check": 0.005, "checks": checks, "passed": passed, "wall_s": 41.0,
    }  # fmt: skip


def check(
    name: str, topic: str, observed: float, expected: float, error: float | None, p: float
) -> dict[str, Any]:
    """Return one check."""
    return {
        "id": name, "topic": topic, "claim": f"{name} is as theory says", "observed": observed,
        "expected": expected, "standard_error": error, "p_value": p,
        "verdict": "pass" if p > 1e-3 else "fail", "source": "a textbook", "n": 100_000,
        "test": "z",
    }  # fmt: skip
