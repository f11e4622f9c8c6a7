"""Recorded runs that ship with the tests, whole or tampered with."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from pathlib import Path

from lbbench.verify.reality_reading import Recording, recordings

REALITY = Path(__file__).parent / "reality"

Row = dict[str, str]


def recording(name: str) -> Recording:
    """Return the only repeat of an experiment."""
    (found,) = recordings(REALITY, [name])
    return found


def tampered(name: str, folder: Path, change: Callable[[int, Row], None]) -> Path:
    """Copy an experiment into ``folder`` with ``change(number, row)`` done to what was observed."""
    copy = folder / name
    shutil.copytree(REALITY / name, copy)
    (path,) = copy.glob("observed_r*.csv.gz")
    head, *lines = gzip.decompress(path.read_bytes()).decode().splitlines()
    names, made = head.split(","), [head]
    for number, line in enumerate(lines):
        row = dict(zip(names, line.split(","), strict=True))
        change(number, row)
        made.append(",".join(row.values()))
    path.write_bytes(gzip.compress(("\n".join(made) + "\n").encode()))
    return copy


def slower(_number: int, row: Row) -> None:
    """Let every answer take half as long again."""
    row["lat_us"] = str(int(1.5 * int(row["lat_us"])))


def shifted(number: int, row: Row) -> None:
    """Move every third answer of one half of the pods to the next pod."""
    pod = int(row["pod"])
    if number % 3 == 0 and 0 <= pod < 5:
        row["pod"] = str(pod + 1)
