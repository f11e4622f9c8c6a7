"""``lbbench compare``: the same traffic through several balancers or settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.league import run_league
from lbbench.cli.options import (
    Debug,
    Engine,
    Json,
    Quiet,
    Recorded,
    Replications,
    Seed,
    Set,
    changes,
    from_here,
    refuse_beside_trace,
)
from lbbench.cli.output import (
    Writer,
    as_json,
    check_folder,
    check_writable,
    console,
    print_text,
    text_writer,
    write_all,
)
from lbbench.errors import RunError

DEFAULT = "round_robin,random,least_conn,ewma,chash"


def compare(
    file: Annotated[
        str | None,
        typer.Argument(metavar="FILE", help="scenario file, or the name of a shipped one"),
    ] = None,
    *,
    balancers: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help=f"balancers to compare; without it {DEFAULT}"),
    ] = None,
    all_: Annotated[
        bool,
        typer.Option(
            "--all",
            help="every balancer, on FILE or on the jobs of the league; --balancers adds others",
        ),
    ] = False,
    workers: Annotated[
        int | None,
        typer.Option(metavar="N", help="processes of --all; without it one per core", min=1),
    ] = None,
    vary: Annotated[
        str | None, typer.Option(metavar="LEAF=X,Y", help="compare values of any leaf instead")
    ] = None,
    set_: Set = None,
    trace: Recorded = None,
    seed: Seed = None,
    replications: Replications = None,
    engine: Engine = "fast",
    json: Json = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="write comparison.json, report.html and a result per variant there; of --all "
            "league.json, report.html and charts",
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Send the same traffic through several balancers; say how they differ.

    The first one is what the others are compared with.

    \b
    Example:
      lbbench compare aks-ingress --balancers round_robin,ewma,least_conn
      lbbench compare my.yaml --balancers round_robin,my_lb.py:mine
      lbbench compare my.yaml --balancers 'haproxy_leastconn,envoy_least_request{outlier: true}'
      lbbench compare my.yaml --trace my.trace.csv.gz --balancers round_robin,ewma
      lbbench compare aks-service --vary stages.azure_lb.distribution=Default,SourceIP
      lbbench compare my.yaml --all
      lbbench compare --all --out league
    """  # noqa: D301
    check_writable(json=json)
    check_folder(out=out)
    if all_:
        if vary is not None:
            raise RunError("--all and --vary both say what varies; give one of them")
        own = _from_here(balancers).split(",") if balancers else []
        run_league(file, own, changes(set_, seed, replications, trace), workers=workers,
                   engine=engine, json=json, out=out, quiet=quiet)  # fmt: skip
        return
    if file is None:
        raise RunError(
            "FILE is missing: name a scenario file or a shipped one, or give --all for the jobs of "
            "the league"
        )
    if workers is not None:
        raise RunError("--workers belongs to --all; the variants of a comparison run one by one")
    from lbbench.inputs.yaml import load
    from lbbench.report.progress import Bar
    from lbbench.studies.compare import compare as compare_variants
    from lbbench.studies.compare import variants_of
    from lbbench.studies.machine import process_age

    refuse_beside_trace(trace, vary, "--vary")
    scenario = load(file, changes(set_, seed, replications, trace))
    leaf, values = variants_of(scenario, balancers and _from_here(balancers), vary, DEFAULT)
    startup_s = process_age()
    with Bar(quiet=quiet) as bar:
        found = compare_variants(
            scenario, values, leaf=leaf, engine=engine, progress=bar, startup_s=startup_s
        )
    files: dict[Path, Writer] = {}
    if out is not None:
        from lbbench.report.page.page import page_of_comparison

        files[out / "comparison.json"] = text_writer(as_json(found.to_dict()))
        files[out / "report.html"] = text_writer(page_of_comparison(found.to_dict()))
        files |= {
            out / f"result-{name}.json": text_writer(result.to_json())
            for name, result in found.by_file_name().items()
        }
    if json is not None and json != "-":
        files[Path(json)] = text_writer(as_json(found.to_dict()))
    write_all(files, folders=[out] if out else [])
    if json == "-":
        print_text(as_json(found.to_dict()))
    elif not quiet:
        from lbbench.report.comparison import show

        show(found, console())


def _from_here(balancers: str) -> str:
    from lbbench.studies.variants import split_names

    return ",".join(
        from_here(head) + brace + options
        for head, brace, options in (name.partition("{") for name in split_names(balancers))
    )
