"""What the results of a point depend on, as one digest: the scenario and the files it names."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lbbench.model.scenario import Scenario

OWN_TO_A_RUN = ("seed", "replications", "precision")
"""Keys of ``run`` that say which and how many replications there are, not what one gives."""


def point_data(scenario: Scenario) -> dict[str, Any]:
    """Return the resolved scenario of a point: without the sweep that it belongs to."""
    data = scenario.resolved()
    data.pop("sweep", None)
    return data


def content_of(data: Mapping[str, Any], folder: Path) -> str:
    """Return the SHA-256 of what one replication of resolved ``data`` depends on, seed apart.

    The name of a scenario changes no number; a trace, a file of service times, a balancer of
    somebody's own count with what is in them, wherever they lie. What such a balancer imports or
    reads itself is not seen. A file that cannot be read counts as missing: the run will say so.
    """
    run = {key: value for key, value in data["run"].items() if key not in OWN_TO_A_RUN}
    kept = {key: value for key, value in data.items() if key not in ("name", "sweep")}
    return digest(_with_digests({**kept, "run": run}, folder))


def files_of(data: Any, folder: Path) -> dict[str, str | None]:
    """Return the digest of every file that a resolved scenario names, None: cannot be read."""
    found: dict[str, str | None] = {}
    if isinstance(data, Mapping):
        for key, value in data.items():
            name = _file(key, value)
            found |= files_of(value, folder) if name is None else {name: _digest(folder / name)}
    elif isinstance(data, (list, tuple)):
        for item in data:
            found |= files_of(item, folder)
    return found


def digest(document: Any) -> str:
    """Return the SHA-256 (hex) of plain data, whatever the order of its keys."""
    return hashlib.sha256(as_text(document).encode()).hexdigest()


def as_text(document: Any) -> str:
    """Return plain data as JSON, the same text for the same content."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _file(key: str, value: Any) -> str | None:
    """Return the path that a leaf names: of ``trace``, ``file``, a balancer ``FILE.py:NAME``."""
    if not isinstance(value, str):
        return None
    if key in ("trace", "file"):
        return value
    return value.rpartition(":")[0] if key == "balancer" and ".py:" in value else None


def _with_digests(data: Any, folder: Path) -> Any:
    """Return ``data`` with what is in a file in place of its path."""
    if isinstance(data, Mapping):
        made = {}
        for key, value in data.items():
            name = _file(key, value)
            inside = _with_digests(value, folder)
            made[key] = (
                inside if name is None else [_digest(folder / name), value.removeprefix(name)]
            )
        return made
    if isinstance(data, (list, tuple)):
        return [_with_digests(item, folder) for item in data]
    return data


def _digest(path: Path) -> str | None:
    try:
        state = path.stat()
        return _digest_of(path, state.st_mtime_ns, state.st_size)
    except OSError:
        return None


@lru_cache(maxsize=64)
def _digest_of(path: Path, _changed: int, _size: int) -> str:
    """Return the digest of a file, read once for all points while it stays as it is."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
