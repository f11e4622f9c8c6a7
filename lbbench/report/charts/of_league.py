"""The charts of a league: every entrant at every job, and what a good tail costs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.report.charts.picture import Picture


def pictures(document: Mapping[str, Any]) -> list[Picture]:
    """Return the charts of a league (schema lbbench.league/1)."""
    return []
