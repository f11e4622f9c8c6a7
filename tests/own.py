"""Balancers of somebody's own, written into a folder, and a short scenario that uses one."""

from __future__ import annotations

import textwrap
from pathlib import Path

import lbbench

HEAD = """
from typing import NamedTuple

import numpy as np

from lbbench.balancers.base import Balancer
from lbbench.core.rng import uniform


class State(NamedTuple):
    turn: np.ndarray


def state(params, endpoints):
    return State(np.zeros(1, np.int64))


def pick(state, rng, now, key, busy, tried):
    if len(busy) == 0:
        return -1
    state.turn[0] += 1
    return state.turn[0] % len(busy)


done = on_endpoints = None

"""
TAIL = """

mine = Balancer(name="mine", level="l7", summary="", source="", state=state, pick=pick,
                done=done, on_endpoints=on_endpoints, **MORE)
"""

DICTS = """
class Names:
    def __init__(self, endpoints):
        self.all = [item.address for item in endpoints]
        self.listed = []


def state(params, endpoints):
    return {"names": Names(endpoints), "turn": 0}


def on_endpoints(state, rng, old, new, now):
    state["names"].listed = [state["names"].all[i] for i in new]


def pick(state, rng, now, key, busy, tried):
    if len(busy) == 0:
        return -1
    state["turn"] += 1
    return state["turn"] % len(state["names"].listed)
"""
"""The same turns, kept in what numba cannot compile."""


def written(folder: Path, body: str = "", more: str = "MORE = {}") -> str:
    """Write the balancer above with ``body`` in place of some parts; return its name."""
    path = folder / "my_lb.py"
    path.write_text(f"{HEAD}{textwrap.dedent(body)}\n{more}{TAIL}", encoding="utf-8")
    return f"{path}:mine"


def line_of(folder: Path, mark: str = "# here") -> int:
    """Return the line of the balancer's file that ends with ``mark``."""
    rows = (folder / "my_lb.py").read_text(encoding="utf-8").splitlines()
    return next(number for number, row in enumerate(rows, 1) if row.endswith(mark))


def using(name: str, **changes: object) -> lbbench.Scenario:
    """Return a short scenario whose ingress has the balancer ``name``."""
    small = {"run.requests": 400, "cluster.pods": 4, "stages.ingress.balancer": name}
    return lbbench.load("ewma-herding").with_({**small, **changes})
