"""A small league's document, as `lbbench compare --all` writes it, for tables, charts and pages."""

from __future__ import annotations

from typing import Any

JOBS = ("calm", "failing-pod")


def figure(value: float | None, half: float | None = None) -> dict[str, Any]:
    """Return a figure with an interval of that half width."""
    ci95 = None if half is None or value is None else [value - half, value + half]
    return {"value": value, "ci95": ci95}


def entrant(place: int, name: str, p99: float, errors: float = 0.0) -> dict[str, Any]:
    """Return an entrant of a job whose best has a p99 of 0.1 s."""
    return {
        "place": place, "name": name, "balancer": name,
        "values": {"stages.ingress.balancer": name},
        "p50": figure(p99 / 5.0, 0.001), "p99": figure(p99, 0.01), "p99_to_best": figure(p99 / 0.1),
        "max_over_mean": figure(1.05, 0.01), "error_rate": figure(errors, 0.001),
        "session_loss": figure(0.9, 0.01), "picks_per_s": figure(2e8 / place, 1e6),
        "utilisation_max": 0.8, "fails": errors > 0.01, "warnings": [],
    }  # fmt: skip


def job(name: str, entrants: list[dict[str, Any]], *, counts: bool = True) -> dict[str, Any]:
    """Return a job."""
    return {
        "name": name, "question": f"What does {name} ask?", "path": "ingress", "seed": 1,
        "replications": 3, "warmup_segments": 4, "endpoints": 16, "counts": counts,
        "scenario": {"name": name, "path": "ingress", "run": {"requests": 1000, "seed": 1},
                     "traffic": {}},
        "entrants": entrants, "missing": [{"name": "iptables", "reason": "is of layer 4"}],
    }  # fmt: skip


def document(names: tuple[str, ...] = ("jsq", "random", "ewma")) -> dict[str, Any]:
    """Return a league of two jobs: at the second everybody but the first fails requests."""
    calm = [entrant(k, name, 0.1 * k) for k, name in enumerate(names, 1)]
    failing = [entrant(k, name, 0.1, 0.05 * (k - 1)) for k, name in enumerate(names, 1)]
    rows = [
        {
            "place": k, "name": name, "p99_to_best": figure(float(k), 0.02),
            "p50_to_best": figure(float(k), 0.02), "max_over_mean": figure(1.05, 0.01),
            "error_rate": figure(0.025 * (k - 1), 0.001), "session_loss": figure(0.9, 0.01),
            "picks_per_s": figure(2e8 / k, 1e6), "fails": list(JOBS[1:]) if k > 1 else [],
            "places": dict.fromkeys(JOBS, k),
        }
        for k, name in enumerate(names, 1)
    ]  # fmt: skip
    pair = {
        "job": "calm", "name": names[1], "other": names[0], "metric": "p99", "a": 0.1, "b": 0.2,
        "difference": 0.1, "difference_ci95": [0.09, 0.11], "ratio": 2.0,
        "ratio_ci95": [1.9, 2.1], "told_apart": True,
    }  # fmt: skip
    return {
        "schema": "lbbench.league/1", "version": "0.1.0", "created": "2026-11-29T12:00:00+00:00",
        "machine": {"processor": "A", "cores": 2}, "wall_s": 12.0,
        "jobs": [job(JOBS[0], calm), job(JOBS[1], failing, counts=False)],
        "rankings": [{"path": "ingress", "jobs": list(JOBS), "p99_jobs": [JOBS[0]],
                      "entrants": rows, "partly": []}],
        "pairs": [pair], "no_picks": [],
    }  # fmt: skip
