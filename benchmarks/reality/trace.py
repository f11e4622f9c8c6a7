"""Traces: the requests of an experiment, drawn or read, in the columns of recorded runs."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmarks.reality.addresses import FIRST_SOURCE, version_of
from lbbench.errors import InputError

COLUMNS = ("id", "t_us", "src", "conn", "dst", "uri", "jar", "svc_us")
NEEDED = ("id", "t_us", "svc_us")
SOURCES = 50
LEAST_US = 50.0
"""Service times are cut here: a pod cannot wait for less with any sense."""

Row = Mapping[str, str]


def drawn(*, rate: float, duration_s: float, mean_s: float, seed: int, vip: str) -> tuple[Row, ...]:
    """Return Poisson arrivals with exponential service times, one request per connection.

    Parameters
    ----------
    rate
        Requests per second.
    duration_s
        Seconds in which they arrive.
    mean_s
        Mean service time in seconds.
    vip
        The address that all of them dial; sources are fifty addresses in 10.1.0.0/24.

    Raises
    ------
    InputError
        When no request arrives.
    """
    random = np.random.default_rng(seed)
    n = int(random.poisson(rate * duration_s))
    if n == 0:
        raise InputError(
            f"a trace of {rate:g} requests/s for {duration_s:g} s: holds none; make it longer"
        )
    times = np.sort(random.uniform(0.0, 1e6 * duration_s, n))
    work = np.maximum(random.exponential(1e6 * mean_s, n), LEAST_US)
    source = random.integers(1, SOURCES + 1, n)
    return tuple(
        {
            "id": str(i),
            "t_us": str(int(times[i])),
            "src": f"10.1.0.{source[i]}",
            "conn": str(i),
            "dst": vip,
            "uri": f"/r{i}",
            "jar": "-1",
            "svc_us": f"{work[i]:.1f}",
        }
        for i in range(n)
    )


def read_trace(path: Path, *, vip: str) -> tuple[Row, ...]:
    """Return the requests of a file (CSV, also gzipped), all of them dialling ``vip``.

    Needed are ``id``, ``t_us`` and ``svc_us``; without ``conn`` every request has a connection of
    its own, without ``src`` all come from one address.

    Raises
    ------
    InputError
        When it cannot be read, lacks a column, or a row is no request; with file and line.
    """
    try:
        raw = path.read_bytes()
        text = (gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw).decode()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path}: cannot be read ({error}); give a trace as CSV or CSV.gz"
        ) from error
    rows = list(csv.DictReader(io.StringIO(text)))
    lost = [name for name in NEEDED if not rows or name not in rows[0]]
    if lost:
        raise InputError(
            f"{path}: has no requests with {', '.join(lost)}; needs columns {', '.join(NEEDED)} "
            "and may have src, conn, uri"
        )
    source = FIRST_SOURCE[version_of(vip)]
    read, before = [], 0
    for number, row in enumerate(rows, 2):
        try:
            t_us, work = int(row["t_us"]), float(row["svc_us"])
        except (TypeError, ValueError):
            t_us, work = -1, -1.0
        if t_us < before or not 0.0 <= work < float("inf"):
            raise InputError(
                f"{path}:{number}: t_us = {row['t_us']}, svc_us = {row['svc_us']}: must be a whole "
                "number that is not below the row before, and a number from 0"
            )
        before = t_us
        given = {"src": source, "conn": f"r{number}", "uri": "/", "jar": "-1"}
        kept = {name: row[name] for name in COLUMNS if row.get(name)}
        whole = {**given, **kept, "dst": vip}
        read.append({name: whole[name] for name in COLUMNS})
    return tuple(read)


def csv_bytes(columns: Sequence[str], rows: Sequence[Mapping[str, object]]) -> bytes:
    """Return rows as gzipped CSV; the same rows give the same bytes."""
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n", extrasaction="ignore")
    writer.writeheader()
    writer.writerows(rows)
    return gzip.compress(text.getvalue().encode(), mtime=0)
