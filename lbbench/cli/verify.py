"""``lbbench verify``: checks with a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
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
            metavar="[ID...]",
            help="only these checks or groups (mm1-p99, rings), these cases or experiments",
        ),
    ] = None,
    *,
    cases: Annotated[
        bool, typer.Option("--cases", help="the gallery of field reports, run through the engines")
    ] = False,
    reality: Annotated[
        Path | None,
        typer.Option(
            "--reality",
            metavar="DIR",
            help="recorded real runs: an experiment, or a folder of them",
        ),
    ] = None,
    replications: Annotated[
        int | None,
        typer.Option(help="of --reality: simulated runs for each experiment; without it 200"),
    ] = None,
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

    With --reality: recorded runs of real balancers against the prediction. Their picks, their
    scores and queues exactly, and mean, p50, p90, p99 and shares against an ensemble of simulated
    runs of the same requests.

    \b
    Example:
      lbbench verify
      lbbench verify rings mm1-p99 --seed 7
      lbbench verify --cases C05 C48 --json -
      lbbench verify --reality recordings/
    """  # noqa: D301
    check_writable(json=json)
    if cases and reality is not None:
        raise RunError("verify: --cases and --reality are two questions; give one of them")
    if replications is not None and reality is None:
        raise RunError("verify: --replications is for --reality; the checks have their own")
    if reality is not None and engine is None:
        passed = _reality(reality, ids, replications, seed, json, quiet=quiet)
    elif cases:
        passed = _cases(ids, engine or "auto", seed, json, quiet=quiet)
    elif engine is not None:
        raise RunError("verify: --engine is for --cases; all else is on the fast engine")
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


def _reality(
    folder: Path,
    names: Sequence[str] | None,
    replications: int | None,
    seed: int | None,
    json: str | None,
    *,
    quiet: bool,
) -> bool:
    from lbbench.report.progress import Bar
    from lbbench.verify.reality import run_reality

    with Bar(quiet=quiet) as bar:
        found = run_reality(folder, names, replications=replications, seed=seed, progress=bar)
    deliver(json, as_json(found.to_dict()))
    if json != "-" and not quiet:
        from lbbench.report.reality import show

        show(found, console())
    return found.passed
