"""``lbbench verify``: checks with a verdict."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from lbbench.cli.options import Debug, Json, Quiet, Seed
from lbbench.cli.output import as_json, check_writable, console, deliver
from lbbench.errors import RunError

FAILED = 1


def verify(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID...]", help="only these cases, C05 C48")
    ] = None,
    *,
    cases: Annotated[
        bool, typer.Option("--cases", help="the gallery of field reports, run through the engines")
    ] = False,
    seed: Seed = None,
    engine: Annotated[
        Literal["auto", "fast", "reference"],
        typer.Option(help="auto: the readable one for short runs whose balancer is not compiled"),
    ] = "auto",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Run what people reported through the engines and compare with what follows from the rules.

    Ends with 1 when an expectation is not met; a case that waits for a later part counts as none.

    \b
    Example:
      lbbench verify --cases
      lbbench verify --cases C05 C48 --json -
    """  # noqa: D301
    check_writable(json=json)
    if not cases:
        raise RunError(
            "verify: the statistical checks come with a later version; lbbench verify --cases runs "
            "the gallery of field reports"
        )
    from lbbench.report.progress import Bar
    from lbbench.verify.cases import run_cases
    from lbbench.verify.gallery import chosen

    wanted = chosen(ids)
    with Bar(quiet=quiet) as bar:
        reports = list(run_cases(wanted, engine=engine, seed=seed, progress=bar))
    deliver(json, as_json({"cases": [report.to_dict() for report in reports]}))
    if json != "-" and not quiet:
        from lbbench.report.cases import show

        show(reports, console())
    if any(report.verdict == "fail" for report in reports):
        raise typer.Exit(FAILED)
