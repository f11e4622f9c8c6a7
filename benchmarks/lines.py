"""A line of the ratios: our figure, what it is held against, the bound, and the document of all."""

from __future__ import annotations

import datetime as dt
import json
import os
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from benchmarks.programs import compiler
from lbbench import __version__
from lbbench.studies.machine import machine

SCHEMA = "lbbench.ratios/1"


@dataclass(frozen=True, kw_only=True)
class Line:
    """One claim about speed and the figures it rests on.

    Attributes
    ----------
    group, name
        ``bare``, ``path``, ``processes``, ``lookup`` or ``startup``; what was measured.
    unit
        Of both figures: ``requests/s``, ``ns`` or ``s``.
    ours, theirs
        Every round's figure; ``theirs`` is empty where the bound is on our figure itself.
    against
        In words, what ``theirs`` is.
    bound, side
        What is promised of ours / theirs (of ours where there is no theirs); None: nothing.
    """

    group: str
    name: str
    unit: str
    ours: Sequence[float]
    theirs: Sequence[float] = ()
    against: str = ""
    bound: float | None = None
    side: Literal["at least", "at most"] = "at least"

    @property
    def our_median(self) -> float:
        """Return the median of our figure."""
        return statistics.median(self.ours)

    @property
    def their_median(self) -> float | None:
        """Return the median of what it is held against."""
        return statistics.median(self.theirs) if self.theirs else None

    @property
    def ratio(self) -> float | None:
        """Return our median over theirs."""
        return self.our_median / self.their_median if self.their_median else None

    @property
    def holds(self) -> bool | None:
        """Tell whether the bound is kept; None where nothing is promised."""
        if self.bound is None:
            return None
        figure = self.our_median if self.ratio is None else self.ratio
        return figure >= self.bound if self.side == "at least" else figure <= self.bound

    def to_dict(self) -> dict[str, Any]:
        """Return the line with what follows from its figures."""
        worked_out = {
            "our_median": self.our_median,
            "their_median": self.their_median,
            "ratio": self.ratio,
            "holds": self.holds,
        }
        return {**asdict(self), **worked_out}

    def __str__(self) -> str:
        said = f"{self.group:10} {self.name:34} {amount(self.our_median, self.unit):>10}"
        if self.ratio is not None and self.their_median is not None:
            said += f" {amount(self.their_median, self.unit):>10} {self.ratio:7.3f}"
        else:
            said += f" {'':>10} {'':7}"
        if self.bound is not None:
            said += f"  {self.side} {self.bound:g}: {'holds' if self.holds else 'DOES NOT HOLD'}"
        return said


def amount(value: float, unit: str) -> str:
    """Return a figure as a table shows it: 12.3 M, 45.6 k, 7.8 ns, 0.123 s."""
    if unit == "requests/s":
        for size, letter in ((1e6, "M"), (1e3, "k")):
            if value >= size:
                return f"{value / size:.3g} {letter}"
        return f"{value:.3g}"
    return f"{value:.3g} {unit}"


def document(lines: Sequence[Line]) -> dict[str, Any]:
    """Return the lines with what they depend on, as plain data."""
    return {
        "schema": SCHEMA,
        "version": __version__,
        "created": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "machine": {**machine(), "compiler": compiler()},
        "load_1min": round(os.getloadavg()[0], 2),
        "lines": [line.to_dict() for line in lines],
    }


def write(lines: Sequence[Line], path: Path) -> None:
    """Write the document of the lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document(lines), indent=1) + "\n", encoding="utf-8")
