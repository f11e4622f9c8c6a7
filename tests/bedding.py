"""What tests of the live bed share: small traces and the scenarios of its cases."""

from __future__ import annotations

from benchmarks.reality.cases import VIP, experiment
from benchmarks.reality.trace import drawn


def rows(*requests):
    """Return a trace of (t_us, conn, svc_us)."""
    return tuple(
        {
            "id": str(i),
            "t_us": str(t_us),
            "src": "10.1.0.1",
            "conn": conn,
            "dst": VIP,
            "uri": f"/r{i}",
            "jar": "-1",
            "svc_us": str(svc_us),
        }
        for i, (t_us, conn, svc_us) in enumerate(requests)
    )


def short(seconds=2.0):
    """Return a short trace: 100 requests a second of 10 ms, each on a connection of its own."""
    return drawn(rate=100.0, duration_s=seconds, mean_s=0.01, seed=1, vip=VIP)


def case(name, balancer, **numbers):
    """Return the scenario of a case with ten pods of one place."""
    return experiment(name, balancer, **{"pods": 10, "concurrency": 1, **numbers})
