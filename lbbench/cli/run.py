"""``lbbench run``: one scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from lbbench.cli.options import Debug, File, Json, Quiet, Replications, Seed, Set, changes
from lbbench.cli.output import check_folder, check_writable, console, write_text, write_whole


def run(
    file: File,
    set_: Set = None,
    seed: Seed = None,
    replications: Replications = None,
    engine: Annotated[
        Literal["fast", "reference"], typer.Option(help="both give the same numbers")
    ] = "fast",
    json: Json = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write result.json and latency.hgrm there")
    ] = None,
    record: Annotated[
        Path | None, typer.Option(metavar="FILE.parquet", help="one row per request")
    ] = None,
    hgrm: Annotated[Path | None, typer.Option(metavar="FILE", help="latency histogram")] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run one scenario and show distribution and latency.

    Example: lbbench run aks-ingress --set stages.ingress.balancer=ewma --seed 2
    """
    check_writable(json, record, hgrm)
    check_folder(out)
    from lbbench.inputs.yaml import load
    from lbbench.report.progress import Bar
    from lbbench.studies.run import replicate, sum_up

    scenario = load(file, changes(set_, seed, replications))
    with Bar(quiet=quiet) as bar:
        done = replicate(scenario, engine=engine, progress=bar, record=record is not None)
        result = sum_up(scenario, done, engine=engine, startup_s=_startup())
    if record is not None:
        table = _records(done.outcomes)
        write_whole(record, table.write_parquet)
    if hgrm is not None:
        write_text(hgrm, _histogram(done.outcomes, result))
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_text(out / "result.json", result.to_json())
        write_text(out / "latency.hgrm", _histogram(done.outcomes, result))
    if json is not None:
        write_text(json, result.to_json())
    if not quiet and json != "-":
        from lbbench.report.tables import show

        show(result, console())


def _startup() -> float | None:
    """Return the seconds since the process began, where the system tells."""
    import os
    import time

    try:
        fields = Path("/proc/self/stat").read_text(encoding="ascii").rsplit(")", 1)[1].split()
        uptime = float(Path("/proc/uptime").read_text(encoding="ascii").split()[0])
        begun = uptime - int(fields[19]) / os.sysconf("SC_CLK_TCK")
    except (OSError, ValueError, IndexError):
        return time.process_time()
    return max(begun, 0.0)


def _records(outcomes: list[Any]) -> Any:
    import numpy as np
    import polars as pl

    from lbbench.model.tally import ERRORS

    tables = []
    for number, outcome in enumerate(outcomes):
        columns = dict(outcome.records)
        names = np.array([*ERRORS, "unfinished", ""])
        error = columns.pop("error")
        shape = outcome.shape
        table = pl.DataFrame(
            {
                "request": np.arange(len(error)),
                "arrival_s": columns["arrival"],
                "connection": [f"{c}:{p}" for c, p in zip(columns["client"], columns["port"], strict=True)],
                "key": columns["key"],
                "session": columns["session"],
                "node": _names(columns["node"], shape.nodes),
                "replica": _names(columns["replica"], shape.replicas),
                "worker": _names(columns["worker"], shape.workers),
                "pod": _names(columns["pod"], shape.pods),
                "attempts": columns["attempts"],
                "start_s": columns["start"],
                "end_s": columns["end"],
                "error": names[error],
            }
        )  # fmt: skip
        if len(outcomes) > 1:
            table = table.with_columns(replication=pl.lit(number))
        tables.append(table)
    return pl.concat(tables)


def _names(index: Any, names: tuple[str, ...]) -> list[str | None]:
    return [names[i] if i >= 0 else None for i in index]


def _histogram(outcomes: list[Any], result: Any) -> str:
    from lbbench.core.histogram import hgrm

    first = result.time_s["warmup"]
    counts = sum(
        outcome.tally.latency_counts[outcome.tally.segment_start[:-1] >= first - 1e-9].sum(axis=0)
        for outcome in outcomes
    )
    return hgrm(counts)
