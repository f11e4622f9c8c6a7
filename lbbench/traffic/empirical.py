"""Measured service times: reads a file of values, or of quantiles, into a distribution.

- One value per line: each is equally likely. A number is in seconds, ``12ms`` says its unit.
- CSV with a head line: a column ``quantile`` (0 .. 1, ascending) beside a column of values gives
  quantiles, linear between them; without it the values are equally likely. The name of the column
  of values may tell the unit (``work_s``, ``time_ms``, ``svc_us``); in a file with several columns,
  ``work_s`` or ``svc_us`` is taken.

Empty lines and lines that begin with ``#`` are passed over.
"""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np

from lbbench.errors import InputError
from lbbench.model.units import parse_time
from lbbench.traffic.service import ServiceTime, quantile_table, resampled

LEVELS = "quantile"
VALUES = ("work_s", "svc_us")
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # units per second, by the end of the name

Row = tuple[int, list[str]]
"""Line number and cells."""


def read_distribution(path: Path) -> ServiceTime:
    """Return the distribution of service time that the file ``path`` holds.

    Raises
    ------
    InputError
        When the file cannot be read, is empty, or a value makes no sense; with its line.
    """
    rows = _rows(path)
    if not rows:
        raise InputError(f"{path}: holds no service times; write one per line, 0.012 or 12ms")
    line, head = rows[0]
    if not _is_head(head):
        if len(head) > 1:
            raise InputError(
                f"{path}:{line}: {len(head)} columns without names; write a head line such as "
                f"quantile,work_s"
            )
        return resampled(_values(path, rows, 0, "value"))
    names = [name.strip() for name in head]
    body = rows[1:]
    if not body:
        raise InputError(f"{path}: holds no service times under its head line")
    at = _value_column(path, names)
    values = _values(path, body, at, names[at])
    if LEVELS not in names:
        return resampled(values)
    levels = _levels(path, body, names.index(LEVELS))
    for i in range(1, len(values)):
        if values[i] < values[i - 1]:
            raise InputError(
                f"{path}:{body[i][0]}: {names[at]} = {values[i]:g} s is below the quantile above "
                f"it; quantiles do not decrease"
            )
    return quantile_table(levels, values)


def _rows(path: Path) -> list[Row]:
    try:
        with path.open(encoding="utf-8", newline="") as stream:
            reader = csv.reader(stream)
            return [
                (reader.line_num, row)
                for row in reader
                if any(cell.strip() for cell in row) and not row[0].lstrip().startswith("#")
            ]
    except FileNotFoundError as error:
        raise InputError(
            f"{path}: there is no such file; the path is relative to the scenario's folder"
        ) from error
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); a text or CSV file is needed"
        ) from error


def _is_head(cells: list[str]) -> bool:
    return not any(cell.strip()[:1].isdigit() or cell.strip()[:1] in "+-." for cell in cells)


def _value_column(path: Path, names: list[str]) -> int:
    others = [i for i, name in enumerate(names) if name != LEVELS]
    if len(others) == 1:
        return others[0]
    known = [i for i in others if names[i] in VALUES]
    if len(known) == 1:
        return known[0]
    raise InputError(
        f"{path}:1: which of the columns {', '.join(names)} holds the service times? call it work_s"
    )


def _values(path: Path, rows: list[Row], at: int, name: str) -> np.ndarray:
    per_second = UNITS.get(name.rpartition("_")[2], 1.0) if "_" in name else 1.0
    found = np.empty(len(rows))
    for i, (line, cells) in enumerate(rows):
        text = cells[at].strip() if at < len(cells) else ""
        found[i] = _seconds(text, per_second)
        if not (math.isfinite(found[i]) and found[i] >= 0.0):
            raise InputError(
                f"{path}:{line}: {name} = {text!r} is no service time; write seconds, or 12ms"
            )
    if found.sum() == 0.0:
        raise InputError(f"{path}: all service times are 0; at least one must be longer")
    return found


def _seconds(text: str, per_second: float) -> float:
    try:
        return float(text) / per_second
    except ValueError:
        try:
            return parse_time(text)
        except ValueError:
            return math.nan


def _levels(path: Path, rows: list[Row], at: int) -> np.ndarray:
    found = np.empty(len(rows))
    before = 0.0
    for i, (line, cells) in enumerate(rows):
        text = cells[at].strip() if at < len(cells) else ""
        try:
            found[i] = float(text)
        except ValueError:
            found[i] = math.nan
        if not before <= found[i] <= 1.0:
            raise InputError(
                f"{path}:{line}: {LEVELS} = {text!r}: levels ascend from 0 to 1 (0.5 is the median)"
            )
        before = found[i]
    return found
