"""The jobs of ``jobs/`` for another number of pods, with the load per pod unchanged."""

from __future__ import annotations

from typing import Any

USERS_PER_POD = 17.5  # of closed.yaml: 280 users on 16 pods


def for_pods(job: str, pods: int) -> dict[str, Any]:
    """Return the changes of a job that give it ``pods`` pods."""
    changes: dict[str, Any] = {"cluster.pods": pods}
    if job == "closed":
        changes["traffic.arrivals.users"] = round(USERS_PER_POD * pods)
    return changes
