"""What tables, charts and sentences call a variant."""

from __future__ import annotations

from pathlib import Path


def label_of(name: str) -> str:
    """Return ``FILE.py:NAME`` without the folder of the file; every other name as it is."""
    return Path(name).name if ".py:" in name else name
