"""A load profile: the rate of every hour, from a CSV file or from an access log of ingress-nginx.

CSV: a line per hour with its name and its rate. A header is not needed; with one, the columns may
stand in any order beside others. The rate is a number of requests per second, or has a unit
(``2k/s``, ``90000/h``); a column called ``requests`` (or count, hits) counts those of the hour. An
access log gives the requests that ended in each hour of the clock, by UTC.
"""

from __future__ import annotations

import csv
import datetime as dt
import math
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from lbbench.errors import InputError
from lbbench.inputs.access_log.line import parse
from lbbench.inputs.access_log.reader import Progress, read_access_log
from lbbench.inputs.source import lines, named, read_text
from lbbench.model.units import parse_rate

HOUR = 3600

TIMES = ("hour", "time", "date", "datetime", "timestamp", "start", "from", "at")
RATES = ("rate", "rate_per_s", "rate/s", "requests_per_s", "requests/s", "rps", "qps")
COUNTS = ("requests", "count", "hits", "requests_per_hour", "requests/h", "rate_per_h", "rate/h")

FEWEST_SECONDS = 60
"""A first or last hour that a log covers for less is left out."""


class Hour(NamedTuple):
    """One hour of a profile."""

    name: str
    rate: float  # requests per second


class Profile(NamedTuple):
    """A load profile."""

    hours: tuple[Hour, ...]
    notes: tuple[str, ...]


def read_profile(path: str | Path, progress: Progress | None = None) -> Profile:
    """Return the hourly rates in a CSV file or an access log, told apart by the first line.

    Raises
    ------
    InputError
        FILE:LINE with what is wrong; when there is no hour, or no rate above 0.
    """
    first = next((line for line in islice(lines(path), 100) if line.strip()), b"")
    profile = _of_csv(path) if isinstance(parse(first), str) else _of_log(path, progress)
    if not any(hour.rate > 0.0 for hour in profile.hours):
        raise InputError(f"{named(path)}: no hour has a rate above 0, so there is nothing to plan")
    return profile


def _of_csv(path: str | Path) -> Profile:
    name, text = named(path), read_text(path)
    head = next((i for i, line in enumerate(text) if _is_content(line)), None)
    if head is None:
        raise InputError(f"{name}: is empty; give a line per hour, for instance 08:00,400/s")
    mark = max(",;\t", key=text[head].count)
    cells = _cells(text[head], mark)
    columns = _header(cells)
    start = head + 1
    if columns is None:
        if len(cells) != 2:
            raise InputError(
                f"{name}:{head + 1}: {text[head].strip()[:60]!r} has {len(cells)} columns and no "
                "header; give hour,rate, for instance 08:00,400/s, or a header that names them"
            )
        columns, start = (0, 1, False), head
    hours = []
    for number, line in enumerate(text[start:], start + 1):
        if _is_content(line):
            hours.append(_hour(f"{name}:{number}", _cells(line, mark), columns))
    if not hours:
        raise InputError(f"{name}: has a header and no hour; give a line per hour")
    return Profile(tuple(hours), ())


def _is_content(line: str) -> bool:
    return bool(line.strip()) and not line.lstrip().startswith("#")


def _cells(line: str, mark: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=mark))]


def _header(cells: Sequence[str]) -> tuple[int, int, bool] | None:
    """Return (column of the hour, of the rate, whether it counts requests); None: no header."""
    names = [cell.lower().replace(" ", "_") for cell in cells]
    rate = next((i for i, name in enumerate(names) if name in (*RATES, *COUNTS)), None)
    if rate is None:
        return None
    at = next((i for i, name in enumerate(names) if name in TIMES and i != rate), None)
    return (-1 if at is None else at), rate, names[rate] in COUNTS


def _hour(place: str, cells: Sequence[str], columns: tuple[int, int, bool]) -> Hour:
    at, rate, counts = columns
    if len(cells) <= max(at, rate):
        raise InputError(f"{place}: has {len(cells)} columns; {max(at, rate) + 1} are needed")
    text = cells[rate]
    try:
        value = float(text.replace("_", "")) if "/" not in text else parse_rate(text)
    except ValueError:
        raise InputError(
            f"{place}: the rate {text!r} is no number; write for instance 400, 400/s or 2k/s"
        ) from None
    if not math.isfinite(value) or value < 0.0:
        raise InputError(f"{place}: the rate {text!r} must be a number that is not negative")
    if counts and "/" not in text:
        value /= HOUR
    name = cells[at] if at >= 0 else place.rpartition(":")[2]
    if not name:
        raise InputError(f"{place}: the hour has no name; write for instance 08:00")
    return Hour(name, value)


def _of_log(path: str | Path, progress: Progress | None) -> Profile:
    log = read_access_log(path, progress)
    first, last = 1 << 62, 0
    counted: Counter[int] = Counter()
    for (end,) in log.blocks("end"):
        first, last = min(first, int(end.min())), max(last, int(end.max()))
        numbers, times = np.unique(end // HOUR, return_counts=True)
        counted.update(dict(zip(numbers.tolist(), times.tolist(), strict=True)))
    counts = [counted[number] for number in range(first // HOUR, last // HOUR + 1)]
    hours, notes = [], []
    for i, n in enumerate(counts):
        begin = (first // HOUR + i) * HOUR
        covered = min(begin + HOUR, last + 1) - max(begin, first)
        name = dt.datetime.fromtimestamp(begin, dt.UTC).strftime("%Y-%m-%d %H:%M")
        if covered < FEWEST_SECONDS and len(counts) > 1:
            notes.append(f"{name}: left out, the log covers {covered} s of it")
            continue
        if covered < HOUR:
            notes.append(f"{name}: the log covers {covered} s of it, and the rate is theirs")
        hours.append(Hour(name, n / covered))
    return Profile(tuple(hours), (*log.notes, *notes))
