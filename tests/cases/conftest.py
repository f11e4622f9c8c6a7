"""Finished runs made by hand, so that metrics can be checked against what was put in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from lbbench.model.check import build
from lbbench.verify.ran import Ran

COLUMNS = ("arrival", "client", "port", "key", "session", "node", "replica", "worker", "pod",
           "attempts", "start", "end", "error")  # fmt: skip

Make = Callable[..., Ran]


@pytest.fixture
def made_run() -> Make:
    """Return a function that makes a run of the given columns: ``made_run(pod=[0, 1])``.

    Columns that are not given are those of requests that come one per second, each on a connection
    of its own, answered at once by pod 0 of three.
    """

    def make(
        *, pods: int = 3, changes: Mapping[str, Any] | None = None, **columns: list[float]
    ) -> Ran:
        n = len(next(iter(columns.values())))
        arrival = np.array(columns.get("arrival", np.arange(n)), float)
        usual = dict.fromkeys(COLUMNS, np.zeros(n, np.int64)) | {
            "arrival": arrival,
            "session": np.full(n, -1),
            "attempts": np.ones(n, np.int64),
            "error": np.full(n, -1),
            "start": arrival,
            "end": arrival,
        }
        records = usual | {name: np.array(values) for name, values in columns.items()}
        scenario = build(
            {"path": "service", "traffic": {"utilisation": 0.5}, "cluster": {"pods": pods}},
            place="made.yaml",
            changes=list((changes or {}).items()),
        )
        names = tuple(f"pod-{i}" for i in range(pods))
        shape = SimpleNamespace(
            pods=names, nodes=("node-0", "node-1"), replicas=(), workers=(), concurrency=[1] * pods
        )
        people = SimpleNamespace(client_address=np.arange(1000) // 10, mean_work=0.02)
        done = SimpleNamespace(
            outcomes=[SimpleNamespace(records=records, shape=shape)], populations=[people]
        )
        return Ran(scenario, done)

    return make
