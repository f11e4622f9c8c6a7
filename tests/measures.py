"""What tests of the verify suite let workers measure; light to import."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import numpy as np


def drawn(seed: int, number: int) -> dict[str, float]:
    """Return a normal number of mean 1, and the number of the replication."""
    return {"x": 1.0 + np.random.default_rng([seed, number]).normal(), "number": number}


def broken(_seed: int, number: int) -> dict[str, float]:
    """End with an error."""
    raise ValueError(f"replication {number} has no numbers")


def deadly(folder: Path, most: int, _seed: int, number: int) -> dict[str, float]:
    """Kill the worker, up to ``most`` times; then return the number of the replication."""
    for k in range(most):
        mark = folder / f"{number}-{k}"
        if not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return {"number": number}
