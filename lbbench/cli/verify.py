"""``lbbench verify``: checks with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

import typer

from lbbench.cli.options import Debug, Json, Quiet, Seed
from lbbench.cli.output import as_json, check_writable, console, deliver
from lbbench.errors import RunError

FAILED = 1


def verify(
    ids: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[ID...]", help="only these checks or groups (mm1-p99, rings), or these cases"
        ),
    ] = None,
    *,
    cases: Annotated[
        bool, typer.Option("--cases", help="the gallery of field reports, run through the engines")
    ] = False,
    seed: Seed = None,
    engine: Annotated[
        Literal["auto", "fast", "reference"] | None,
        typer.Option(
            help="of --cases; auto: the readable one for short runs whose balancer is not compiled"
        ),
    ] = None,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Hold the simulation against theory: statistical checks with a p-value each.

    Queues, balancers, rings and rules are simulated and compared with exact results. If all claims
    are true the suite fails with a chance of 1 %, whatever the seed. Ends with 1 when one falls.

    With --cases: what people reported, against what follows from the rules. There, too, 1 is the
    status when an expectation is not met; a case that waits for a later part counts as none.

    \b
    Example:
      lbbench verify
      lbbench verify rings mm1-p99 --seed 7
      lbbench verify --cases C05 C48 --json -
    """  # noqa: D301
    check_writable(json=json)
    if cases:
        passed = _cases(ids, engine or "auto", seed, json, quiet=quiet)
    elif engine is not None:
        raise RunError("verify: --engine is for --cases; the checks are on the fast engine")
    else:
        passed = _checks(ids, seed, json, quiet=quiet)
    if not passed:
        raise typer.Exit(FAILED)


def _checks(ids: Sequence[str] | None, seed: int | None, json: str | None, *, quiet: bool) -> bool:
    from lbbench.report.progress import Bar
    from lbbench.verify.checks import all_checks
    from lbbench.verify.suite import chosen, run_suite

    wanted = chosen(ids, all_checks())
    with Bar(quiet=quiet) as bar:
        found = run_suite(wanted, seed=seed, progress=bar)
    deliver(json, as_json(found.to_dict()))
    if json != "-" and not quiet:
        from lbbench.report.verify import show

        show(found, console())
    return found.passed


def _cases(
    ids: list[str] | None,
    engine: Literal["auto", "fast", "reference"],
    seed: int | None,
    json: str | None,
    *,
    quiet: bool,
) -> bool:
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
    return all(report.verdict != "fail" for report in reports)
