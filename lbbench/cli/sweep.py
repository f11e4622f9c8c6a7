"""``lbbench sweep``: all points of a study."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbbench.cli.options import Debug, Engine, File, Json, Quiet, Replications, Seed, Set, changes
from lbbench.cli.output import (
    as_json,
    check_writable,
    console,
    deliver,
    text_writer,
    write_all,
)
from lbbench.errors import RunError

if TYPE_CHECKING:
    from lbbench.model.scenario import Scenario
    from lbbench.report.sweep_progress import SweepBar
    from lbbench.studies.beginning import OtherVersion

TABLES = (".csv", ".parquet", ".json", ".hgrm")
"""Endings that `lbbench export` writes."""


def sweep(
    file: File,
    *,
    out: Annotated[
        Path | None,
        typer.Option(metavar="STUDY.sqlite", help="the study: made, or gone on with"),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="processes; without it one per core")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="tcp://HOST:PORT", help="run the points on this Dask cluster"),
    ] = None,
    time_limit: Annotated[
        str | None, typer.Option(metavar="TIME", help="stop a replication that takes longer")
    ] = None,
    retry: Annotated[bool, typer.Option("--retry", help="run again what has no result")] = False,
    reuse: Annotated[
        bool, typer.Option("--reuse", help="take results of another lbbench version")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="run anew what another version ran")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", help="more than a million points, too")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="say what would run, and write nothing")
    ] = False,
    no_report: Annotated[
        bool, typer.Option("--no-report", help="no page STUDY.html beside the study at the end")
    ] = False,
    set_: Set = None,
    seed: Seed = None,
    replications: Replications = None,
    engine: Engine = "fast",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run every point of the axes under `sweep`; the same command again goes on.

    Each finished replication is kept at once: Ctrl-C or a crash loses those in work, no more. At
    the end a page about the study is written beside it.

    \b
    Example:
      lbbench sweep balancers-by-load --out study.sqlite
      lbbench sweep my.yaml --out study.sqlite --replications 5 --workers 8
      lbbench export study.sqlite -o study.parquet
    """  # noqa: D301
    check_writable(out=out, json=json)
    if reuse and fresh:
        raise RunError("--reuse and --fresh exclude each other; give one of them")
    if out is None and not dry_run:
        raise RunError("--out is missing: name the file of the study, --out study.sqlite")
    if out is not None and out.suffix.lower() in TABLES:
        raise RunError(
            f"--out {out}: a study is an SQLite file; give --out {out.with_suffix('.sqlite')}, and "
            f"`lbbench export` that one to {out}"
        )
    page = None
    if out is not None and not (dry_run or no_report):
        from lbbench.report.page.source import check_replaceable, page_for

        page = page_for(out)
        check_replaceable(page, "give another --out, or --no-report")
    from lbbench.inputs.yaml import load
    from lbbench.model.units import parse_time
    from lbbench.report.sweep_progress import SweepBar

    scenario = load(file, changes(set_, seed, replications))
    limit = None
    if time_limit is not None:
        try:
            limit = parse_time(time_limit)
        except ValueError as error:
            raise RunError(f"--time-limit {time_limit}: {error}") from None
        if not limit > 0.0:
            raise RunError(f"--time-limit {time_limit}: must be longer than 0, for instance 60s")
    other_version: OtherVersion = "reuse" if reuse else "fresh" if fresh else "ask"
    with SweepBar(quiet=quiet) as bar:
        if dry_run:
            _look_ahead(scenario, out, bar, json=json, quiet=quiet, workers=workers, retry=retry,
                        yes=yes, other_version=other_version)  # fmt: skip
            return
        from lbbench.studies.interrupt import ended_like_ctrl_c, interruptible
        from lbbench.studies.sweep import sweep as run_sweep

        assert out is not None
        with ended_like_ctrl_c(), interruptible(lambda: f"interrupted; {out} is complete"):
            study = run_sweep(
                scenario,
                out=out,
                workers=workers,
                dask=dask,
                engine=engine,
                time_limit=limit,
                other_version=other_version,
                retry=retry,
                yes=yes,
                watcher=bar,
            )
            with study:
                if json is not None:
                    document = as_json(study.to_dict())
                    bar.stop()
                    deliver(json, document)
                if json != "-" and not quiet:
                    from lbbench.report.study import show

                    show(study, console(), bar)
                if page is not None:
                    from lbbench.report.page.page import page_of_study

                    write_all({page: text_writer(page_of_study(study, bar.step))})
                    bar.stop()
                    bar.say(f"the page is {page}")


def _look_ahead(
    scenario: Scenario,
    out: Path | None,
    bar: SweepBar,
    *,
    json: str | None,
    quiet: bool,
    **options: Any,
) -> None:
    from lbbench.report.forecast_study import show as show_forecast
    from lbbench.studies.dry_run import dry_run

    ahead = dry_run(scenario, out=out, watcher=bar, **options)
    bar.stop()
    deliver(json, as_json(ahead.to_dict()))
    if json != "-" and not quiet:
        show_forecast(ahead, console())
