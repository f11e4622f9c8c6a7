"""``lbbench verify --reality``: recorded runs of the real chain against what lbbench predicts.

Three kinds of verdicts, a row each: picks that leave no room for chance (`reality_picks`), parts of
the model with the rest taken from the recording (`reality_forced`), and the free-running prediction
by an ensemble of simulated runs (`reality_ensemble`).
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lbbench import __version__
from lbbench.errors import InputError
from lbbench.studies.machine import usable_cores
from lbbench.studies.run import Progress
from lbbench.verify.experiment import samples
from lbbench.verify.reality_ensemble import Row, Z, ensemble_of, judged
from lbbench.verify.reality_forced import forced
from lbbench.verify.reality_picks import picks
from lbbench.verify.reality_reading import Recording, recordings

SCHEMA = "lbbench.reality/1"
REPLICATIONS = 200
FEWEST = 20
"""Replications below which a standard deviation is mostly luck."""
SEED = 1


@dataclass(frozen=True)
class Reality:
    """The verdicts on recorded runs.

    Attributes
    ----------
    rows
        In order of the runs.
    recordings
        The runs.
    replications
        Simulated runs per experiment.
    """

    rows: tuple[Row, ...]
    recordings: tuple[Recording, ...]
    replications: int
    seed: int
    wall_s: float

    @property
    def passed(self) -> bool:
        """Tell whether every measure passes."""
        return all(row.passed for row in self.rows)

    @property
    def failed(self) -> tuple[Row, ...]:
        """Return the measures that do not pass."""
        return tuple(row for row in self.rows if not row.passed)

    def to_dict(self) -> dict[str, Any]:
        """Return the document that ``lbbench verify --reality DIR --json`` writes."""
        return {
            "schema": SCHEMA,
            "version": __version__,
            "seed": self.seed,
            "replications": self.replications,
            "z": Z,
            "runs": [row.to_dict() for row in self.rows],
            "passed": self.passed,
            "wall_s": round(self.wall_s, 3),
        }


def run_reality(
    folder: Path,
    names: Iterable[str] | None = None,
    *,
    replications: int | None = None,
    seed: int | None = None,
    workers: int | None = None,
    progress: Progress | None = None,
) -> Reality:
    """Judge the recorded runs in ``folder``, simulating in processes.

    Parameters
    ----------
    folder
        One experiment, or a folder of experiments.
    names
        Only these experiments.
    replications
        Simulated runs per experiment, at least 20; 200 unless given.
    seed
        1 unless given; replications have the seeds from there on.
    workers
        Processes; as many as the machine has processors unless given.
    progress
        Told how many replications are done.

    Raises
    ------
    InputError
        When a recording cannot be read, or ``replications`` is too small.
    RunError
        When no worker process can be started, or an experiment cannot be simulated.
    """
    started = time.perf_counter()
    replications = REPLICATIONS if replications is None else replications
    seed = SEED if seed is None else seed
    if replications < FEWEST:
        raise InputError(
            f"verify: --replications {replications}: an ensemble needs {FEWEST} or more"
        )
    runs = recordings(folder, names)
    experiments = list({run.name: ensemble_of(run, replications) for run in runs}.values())
    count = workers or usable_cores()
    measured = samples(experiments, seed, workers=count, progress=progress)
    rows: list[Row] = []
    for run in runs:
        sample = measured[run.name]
        if isinstance(sample, Exception):
            raise sample
        rows += [*picks(run), *forced(run), *judged(run, sample)]
    return Reality(tuple(rows), runs, replications, seed, time.perf_counter() - started)
