"""Where figures come from: versions, seed, machine, times."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.model.result import Result
from lbbench.report.units import count, seconds

MACHINE = ("processor", "cores", "system", "python", "numpy", "numba")


def of_results(results: Mapping[str, Result]) -> list[tuple[str, str]]:
    """Return the provenance of results that one command gave."""
    each = list(results.values())
    first = each[0]
    facts = [
        ("lbbench", first.version),
        ("engine", first.engine),
        ("seed", str(first.seed)),
        ("made", day(first.created)),
    ]
    wall = sum(result.wall_s or 0.0 for result in each)
    compiled = sum(result.compile_s or 0.0 for result in each)
    offered = sum(result.requests["offered"] for result in each)
    if wall:
        facts.append(("running time", f"{seconds(wall)}, {count(offered / wall)} requests/s"))
        facts.append(("compilation apart", seconds(compiled)))
    return [*facts, *of_machine(first.machine)]


def of_machine(machine: Mapping[str, Any] | None) -> list[tuple[str, str]]:
    """Return processor, cores, system and versions, as far as they are known."""
    known = machine or {}
    return [(name, str(known[name])) for name in MACHINE if known.get(name) is not None]


def day(created: str | None) -> str:
    """Return a time as ISO 8601 has it in words: 2026-11-29 00:12 UTC."""
    if not created:
        return "-"
    text = created.replace("T", " ")
    return f"{text[:16]} UTC" if text.endswith(("+00:00", "Z")) else text
