"""Recorded runs of the real chain: what was sent, what was seen, and the scenario that they are.

An experiment is a folder with `scenario.yaml`, `trace.csv.gz` (the requests: ``id, t_us, src, conn,
dst, uri, jar, svc_us``) and, for each repeat K of the same trace, `summary_rK.json` (the set-up)
and `observed_rK.csv.gz` (a row per request in the trace's order: ``id, pod, status, sent_us,
lat_us`` and what else the experiment logs: ``worker``, ``cookie``, ``up_ct_ms, up_rt_ms, score``).
Sticky runs add `jars_rK.csv` (every Set-Cookie: ``jar, id, cookie``). Times are microseconds,
``t_us`` from the start, ``sent_us`` and ``lat_us`` from ``t_us``; pods are numbered as in the
scenario, -1: none answered.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lbbench.errors import InputError
from lbbench.model.mistakes import near
from lbbench.model.scenario import Scenario

SCENARIO, TRACE = "scenario.yaml", "trace.csv.gz"
OBSERVED = re.compile(r"observed_r([0-9]+)\.csv(?:\.gz)?")
MICRO = 1e-6
ANSWERED = 200
NEEDED = ("id", "pod", "status", "sent_us", "lat_us")


@dataclass(frozen=True)
class Recording:
    """One repeat of an experiment; n requests, in the order of the trace.

    Attributes
    ----------
    name, repeat
        The experiment's folder and the number of the repeat.
    folder
        Where it is.
    scenario
        What was run.
    summary
        The set-up, as `summary_rK.json` has it.
    sent, seen
        Columns of the trace and of what was observed: numbers as float64[n], others as texts.
    """

    name: str
    repeat: int
    folder: Path
    scenario: Scenario
    summary: Mapping[str, Any]
    sent: Mapping[str, Any]
    seen: Mapping[str, Any]

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.pod)

    @cached_property
    def pod(self) -> np.ndarray:
        """Return the pod that answered each request, int64[n], -1: none."""
        pod: np.ndarray = self.seen["pod"].astype(np.int64)
        return pod

    @cached_property
    def answered(self) -> np.ndarray:
        """Return which requests were answered with status 200, bool[n]."""
        answered: np.ndarray = self.seen["status"] == ANSWERED
        return answered

    @cached_property
    def arrival(self) -> np.ndarray:
        """Return when each request was due, float64[n], seconds from the start."""
        arrival: np.ndarray = self.sent["t_us"] * MICRO
        return arrival

    @cached_property
    def written(self) -> np.ndarray:
        """Return when each request was written, float64[n], seconds from the start."""
        written: np.ndarray = (self.sent["t_us"] + self.seen["sent_us"]) * MICRO
        return written

    @cached_property
    def latency(self) -> np.ndarray:
        """Return the time from `arrival` to the complete answer, float64[n], seconds."""
        latency: np.ndarray = self.seen["lat_us"] * MICRO
        return latency

    @cached_property
    def worker(self) -> np.ndarray:
        """Return the nginx worker of each request, int64[n], 0 where it is not logged."""
        if "worker" not in self.seen:
            return np.zeros(len(self), np.int64)
        worker: np.ndarray = self.seen["worker"].astype(np.int64)
        return worker

    @property
    def balancer(self) -> str:
        """Return the balancer at layer 7, ``iptables`` on the service path."""
        if self.scenario.path == "service":
            return "iptables"
        return self.scenario.stages.ingress.balancer

    @cached_property
    def jars(self) -> Sequence[tuple[int, int, str]]:
        """Return every cookie that was set: (jar, request id, cookie); empty when none is kept."""
        path = self.folder / f"jars_r{self.repeat}.csv"
        if not path.is_file():
            return ()
        with path.open(encoding="utf-8", newline="") as stream:
            rows = csv.DictReader(stream)
            try:
                return [(int(row["jar"]), int(row["id"]), row["cookie"]) for row in rows]
            except (KeyError, TypeError, ValueError) as error:
                raise InputError(f"{path}: needs columns jar, id, cookie in every row") from error


def recordings(folder: Path, names: Iterable[str] | None = None) -> tuple[Recording, ...]:
    """Return every repeat in ``folder``: of one experiment, or of the experiments in it.

    Parameters
    ----------
    names
        Only these experiments; all when not given.

    Raises
    ------
    InputError
        When there is no experiment, none of a name, or a file of one cannot be read.
    """
    wanted = list(names or ())
    folders = _experiments(folder)
    known = {path.name: path for path in folders}
    for name in wanted:
        if name not in known:
            hint = near(name, known) or f"there are {', '.join(known)}"
            raise InputError(f"verify: {name}: there is no such experiment in {folder}; {hint}")
    chosen = [path for path in folders if not wanted or path.name in wanted]
    return tuple(item for path in chosen for item in _repeats(path))


def _experiments(folder: Path) -> list[Path]:
    if (folder / SCENARIO).is_file():
        return [folder.resolve()]
    found = sorted(path.parent.resolve() for path in folder.glob(f"*/{SCENARIO}"))
    if not found:
        raise InputError(
            f"{folder}: holds no experiment; give a folder with {SCENARIO}, {TRACE}, "
            "summary_r1.json and observed_r1.csv.gz, or a folder of such folders"
        )
    return found


def _repeats(folder: Path) -> list[Recording]:
    from lbbench.inputs.yaml import load

    scenario = load(folder / SCENARIO)
    sent = read_columns(folder / TRACE, ("id", "t_us", "svc_us"))
    found = {
        int(match[1]): path
        for path in folder.iterdir()
        if (match := OBSERVED.fullmatch(path.name)) is not None
    }
    if not found:
        raise InputError(f"{folder}: nothing was observed; needs observed_r1.csv.gz")
    made = []
    for repeat, path in sorted(found.items()):
        seen = read_columns(path, NEEDED)
        if not np.array_equal(seen["id"], sent["id"]):
            raise InputError(f"{path}: its requests (column id) are not those of {TRACE}")
        summary = _summary(folder / f"summary_r{repeat}.json")
        made.append(Recording(folder.name, repeat, folder, scenario, summary, sent, seen))
    return made


def _summary(path: Path) -> Mapping[str, Any]:
    try:
        summary = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise InputError(f"{path}: is missing; it tells the set-up of the run") from error
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read as JSON ({error})") from error
    if not isinstance(summary, dict):
        raise InputError(f"{path}: holds no JSON object")
    return summary


def read_columns(path: Path, needed: Sequence[str]) -> dict[str, Any]:
    """Return the columns of a CSV file: float64 arrays, lists of texts for what is no number.

    Raises
    ------
    InputError
        When it cannot be read, or a needed column is missing or no number.
    """
    import polars as pl

    try:
        frame = pl.read_csv(path, infer_schema_length=None, glob=False)
    except FileNotFoundError as error:
        raise InputError(f"{path}: there is no such file") from error
    except (pl.exceptions.PolarsError, OSError) as error:
        raise InputError(f"{path}: cannot be read as CSV ({error})") from error
    columns: dict[str, Any] = {}
    for name in frame.columns:
        column = frame[name]
        if column.dtype.is_numeric():
            columns[name] = column.cast(pl.Float64).to_numpy()
        else:
            columns[name] = column.cast(pl.String).fill_null("").to_list()
    for name in needed:
        if not isinstance(columns.get(name), np.ndarray) or np.isnan(columns[name]).any():
            raise InputError(f"{path}: needs a column {name} with a number in every row")
    return columns
