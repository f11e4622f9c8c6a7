"""The theory that checks are held to: exact figures made apart from this program.

`oracles.json` has one entry per model and parameters, computed from the published formulas by a
program that shares no code with lbbench and checked there by simulations of its own. The unit of
time is one mean service time, loads are per pod. `vectors.json` holds outputs of real programs:
what iptables keeps of a probability, and the rings and picks of lua-resty-balancer.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Oracle:
    """One entry: figures of a model by name."""

    model: str
    params: Mapping[str, Any]
    values: Mapping[str, float]
    source: str
    kind: str  # "exact", "numerically exact", "first order", "mean-field limit", ...

    def __getitem__(self, name: str) -> float:
        """Return a figure."""
        return self.values[name]


@cache
def _entries() -> tuple[Oracle, ...]:
    data = json.loads((FOLDER / "oracles.json").read_text(encoding="utf-8"))
    names = ("model", "params", "values", "source", "kind")
    return tuple(Oracle(**{name: entry[name] for name in names}) for entry in data["entries"])


@cache
def vectors() -> dict[str, Any]:
    """Return the outputs of real programs."""
    data: dict[str, Any] = json.loads((FOLDER / "vectors.json").read_text(encoding="utf-8"))
    return data


def oracle(model: str, **params: object) -> Oracle:
    """Return the one entry of the model whose name begins so, with these parameters.

    Raises
    ------
    KeyError
        When there is none, or more than one.
    """
    found = [
        entry
        for entry in _entries()
        if entry.model.startswith(model)
        and all(entry.params.get(name) == value for name, value in params.items())
    ]
    if len(found) != 1:
        raise KeyError(f"{len(found)} oracles of {model} with {params}")
    return found[0]
