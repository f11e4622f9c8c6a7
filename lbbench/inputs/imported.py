"""What an import gives: a scenario as plain data, and everything that has to be said about it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lbbench.inputs.source import Skipped

SCHEMA = "lbbench.scenario/1"
ORDER = ("schema", "name", "preset", "path", "cluster", "stages", "traffic", "observed", "run")
"""Order of the keys as the scenario's documentation has them; others follow."""

UTILISATION = 0.8
"""Load of a scenario whose input tells no rate."""


@dataclass
class Imported:
    """A scenario (what the input does not tell is left out) with notes for the user.

    Attributes
    ----------
    scenario
        Plain data in the scenario's language, ready to be written as YAML.
    notes
        Sentences: what was inferred, assumed, or is missing, and what contradicts what.
    skipped
        Lines that were not used: (file, number, reason); of a log at most the first ten.
    sources
        Where parts of the scenario come from, by dotted key, for the message on a contradiction.
    write_trace
        Writes the recorded requests to a path (``NAME.trace.csv.gz``); None without a record.
    """

    scenario: dict[str, Any]
    notes: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    sources: dict[str, str] = field(default_factory=dict)
    write_trace: Callable[[Path], None] | None = None


def leaf(tree: dict[str, Any], path: str) -> Any:
    """Return what stands at a dotted ``path``, None when nothing does."""
    here: Any = tree
    for key in path.split("."):
        if not isinstance(here, dict) or key not in here:
            return None
        here = here[key]
    return here


def put(tree: dict[str, Any], path: str, value: Any) -> None:
    """Set the value at a dotted ``path``; the tables on the way are made."""
    *way, last = path.split(".")
    for key in way:
        tree = tree.setdefault(key, {})
    tree[last] = value


def drop(tree: dict[str, Any], path: str) -> None:
    """Remove what stands at a dotted ``path``, if anything does."""
    *way, last = path.split(".")
    for key in way:
        inner = tree.get(key)
        if not isinstance(inner, dict):
            return
        tree = inner
    tree.pop(last, None)


def ordered(tree: dict[str, Any]) -> dict[str, Any]:
    """Return ``tree`` with its keys in the usual order."""
    return {key: tree[key] for key in (*ORDER, *tree) if key in tree}


def plain(name: str) -> str:
    """Return ``name`` as the name of a scenario: at most 120 letters, digits and hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower())[:120].strip("-") or "imported"
