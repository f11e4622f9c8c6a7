"""The chart of a verification: every check at its p-value."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lbbench.report.charts.picture import Picture
from lbbench.report.charts.verify_coverage import verify_coverage


def pictures(document: Mapping[str, Any]) -> list[Picture]:
    """Return the charts of a verification (schema lbbench.verify/1); none without a check."""
    checks = document["checks"]
    if not checks:
        return []
    return [verify_coverage(checks, level=float(document["level_per_check"]))]
