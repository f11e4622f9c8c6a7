"""``lbbench run``: one scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import (
    Chosen,
    Debug,
    Engine,
    File,
    Json,
    Quiet,
    Recorded,
    Replications,
    Seed,
    Set,
    changes,
    refuse_on_service,
)
from lbbench.cli.output import (
    Writer,
    check_folder,
    check_writable,
    console,
    print_text,
    text_writer,
    write_all,
)


def run(
    file: File,
    *,
    balancer: Chosen = None,
    set_: Set = None,
    trace: Recorded = None,
    seed: Seed = None,
    replications: Replications = None,
    engine: Engine = "fast",
    json: Json = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="write result.json, latency.hgrm and report.html there"),
    ] = None,
    record: Annotated[
        Path | None,
        typer.Option(metavar="FILE.parquet", help="write one row per request (memory grows)"),
    ] = None,
    hgrm: Annotated[
        Path | None, typer.Option(metavar="FILE", help="write the latency percentiles, HDR format")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run one scenario; show distribution and latency.

    \b
    Example:
      lbbench run aks-ingress --balancer ewma --seed 2
      lbbench run my.yaml --trace my.trace.csv.gz --set cluster.pods=12
      lbbench run my.yaml --replications 10 --out results/mine --record requests.parquet
    """  # noqa: D301
    check_writable(json=json, record=record, hgrm=hgrm)
    check_folder(out=out)
    from lbbench.inputs.yaml import load
    from lbbench.report.progress import Bar
    from lbbench.studies.machine import process_age
    from lbbench.studies.run import replicate, sum_up, tallies, warmup_segments

    scenario = load(file, changes(set_, seed, replications, trace, balancer))
    refuse_on_service(scenario, balancer)
    startup_s = process_age()
    with Bar(quiet=quiet) as bar:
        done = replicate(scenario, engine=engine, progress=bar, record=record is not None)
        result = sum_up(scenario, done, startup_s=startup_s)
    files: dict[Path, Writer] = {}
    if record is not None:
        from lbbench.store.records import records_table

        parts = zip(done.outcomes, done.populations, strict=True)
        table = records_table([(o.records or {}, o.shape, people) for o, people in parts])
        files[record] = table.write_parquet
    if hgrm is not None or out is not None:
        from lbbench.store.percentiles import percentiles_text

        counts = tallies(done.outcomes)
        percentiles = text_writer(percentiles_text(counts, warmup_segments(done.outcomes)))
        files |= {path: percentiles for path in (hgrm, out and out / "latency.hgrm") if path}
    if out is not None:
        from lbbench.report.page.page import page_of_result

        files[out / "result.json"] = text_writer(result.to_json())
        files[out / "report.html"] = text_writer(page_of_result(result))
    if json is not None and json != "-":
        files[Path(json)] = text_writer(result.to_json())
    write_all(files, folders=[out] if out else [])
    if json == "-":
        print_text(result.to_json())
    elif not quiet:
        from lbbench.report.terminal import show

        show(result, console())
