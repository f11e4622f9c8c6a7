"""The evidence of points that met the same requests, behind their common warm-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from lbbench.model.study import Row
from lbbench.stats.evidence import Evidence, common_warmup, unpack_numbers, with_histograms


class Gathered(NamedTuple):
    """What the replications of several points left."""

    first: int  # segments that are warm-up, the same for all
    evidence: dict[int, dict[int, Evidence]]  # by point, then by replication


def gathered(rows: Mapping[int, Sequence[Row]]) -> Gathered:
    """Return the evidence in the finished rows of points that met the same requests.

    Where a point has several, only what lies behind the warm-up is read; a single one keeps its
    segments apart, for its batches.
    """
    done = {
        number: {row.replication: row for row in found if row.status == "done"}
        for number, found in rows.items()
    }
    numbers = {
        number: {at: unpack_numbers(row.segments or b"") for at, row in found.items()}
        for number, found in done.items()
    }
    first = common_warmup([list(found.values()) for found in numbers.values()])
    evidence = {
        number: {
            at: with_histograms(
                numbers[number][at], row.histograms or "[]", first if len(found) > 1 else None
            )
            for at, row in found.items()
        }
        for number, found in done.items()
    }
    return Gathered(first, evidence)
