"""What a study is made of: points, as they are planned, and replications, as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Status = Literal["done", "failed", "timeout"]
"""How a replication ended: with a result, with an error, at its time limit."""


class Point(NamedTuple):
    """One combination of the values of the axes."""

    number: int  # from 0, in the order of the axes, the last one fastest
    values: Mapping[str, Any]  # leaf -> value as written, in the order of the axes


class Member(NamedTuple):
    """A point as the study has it now, with the content that its results are kept under."""

    number: int
    values: Mapping[str, Any]
    content: str  # SHA-256 of what its results depend on, seed and version apart
    scenario: str  # resolved, without the sweep, as JSON
    invalid: str | None = None  # why this combination is no scenario


class Row(NamedTuple):
    """One replication as the ledger keeps it."""

    content: str  # of its point
    seed: int
    replication: int
    version: str  # of the package that ran it
    status: Status
    error: str | None  # the sentence, when there is no result
    wall_s: float
    compile_s: float
    created: str  # ISO 8601, UTC
    machine: str  # JSON
    result: str | None  # JSON of the result, its scenario left out: that is the point's
    segments: bytes | None  # numbers by segment, see stats/evidence.py
    histograms: str | None  # JSON [[first segment, behind the last, HDR V2 in base64], ...]


class Effort(NamedTuple):
    """What the replications of a study took on one machine."""

    machine: str  # JSON
    replications: int
    wall_s: float  # compilation left out
    compile_s: float
    first: str  # ISO 8601, UTC: when the first of them ended
    last: str
