"""Small studies for the tests: as a scenario, as a file, as a command that can be killed."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl

from lbbench.inputs.yaml import load
from lbbench.model.scenario import Scenario
from lbbench.studies.study import Study
from lbbench.studies.sweep import sweep
from lbbench.studies.watching import Standing, Watcher

TEXT = """\
name: small
cluster: {{nodes: 2, pods: 4}}
traffic:
  utilisation: 0.7
  service_time: {{mean: 20ms}}
run: {{requests: {requests}, replications: {replications}, warmup: 0s}}
sweep:
  axes:
    traffic.utilisation: [0.5, 0.8]
    stages.ingress.balancer: [round_robin, random, least_conn]
"""

CLOCK = ("wall_", "created_", "machine_")


def written(folder: Path, requests: int = 150, replications: int = 2, text: str = TEXT) -> Path:
    """Return the file of a study of 2 x 3 points."""
    file = folder / "small.yaml"
    file.write_text(text.format(requests=requests, replications=replications), encoding="utf-8")
    return file


def small(folder: Path, *changes: str, **numbers: int) -> Scenario:
    """Return that study as a scenario, with leaves set as on the command line."""
    return load(written(folder, **numbers), list(changes))


def values(study: Path | Study) -> pl.DataFrame:
    """Return what a study found, without what depends on when and where it ran."""
    if isinstance(study, Path):
        with Study.open(study) as opened:
            return values(opened)
    frame = study.to_polars()
    return frame.select([name for name in frame.columns if not name.startswith(CLOCK)])


def command(file: Path, out: Path, *more: str, workers: bool = True) -> list[str]:
    """Return the command line of a sweep (on two processes) by the reference engine."""
    base = [sys.executable, "-m", "lbbench", "sweep", str(file), "--out", str(out), "--no-report"]
    return [*base, "--engine", "reference", *(["--workers", "2"] if workers else []), *more]


def start(file: Path, out: Path, *more: str, workers: bool = True) -> subprocess.Popen[str]:
    """Start a sweep that can be killed."""
    line = command(file, out, *more, workers=workers)
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def until(condition: Callable[[], bool], seconds: float = 30.0) -> bool:
    """Wait until ``condition()`` holds; tell whether it did in time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.01)
    return False


def n_rows(study: Path) -> int:
    """Return how many replications a ledger holds, 0 while there is none."""
    import sqlite3
    from contextlib import closing

    if not study.exists():
        return 0
    try:
        with closing(sqlite3.connect(f"file:{study}?mode=ro", uri=True)) as file:
            return int(file.execute("select count(*) from replications").fetchone()[0])
    except sqlite3.Error:
        return 0


def children(pid: int) -> list[int]:
    """Return the processes that ``pid`` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="ascii", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def is_alive(pid: int) -> bool:
    """Tell whether a process runs (a zombie does not)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace")
    except OSError:
        return False
    return text.rsplit(")", 1)[1].split()[0] != "Z"


class Heard(Watcher):
    """A watcher that remembers what it heard."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.stood: list[Standing] = []

    def say(self, text: str) -> None:
        """Keep the sentence."""
        self.said.append(text)

    def stand(self, standing: Standing) -> None:
        """Keep the standing."""
        self.stood.append(standing)


def swept(scenario, out, engine="reference", **options) -> Study:
    return sweep(scenario, out=out, engine=engine, **{"workers": 1, **options})
