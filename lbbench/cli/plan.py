"""``lbbench plan``: how many pods, nodes or requests per second for an objective."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lbbench.cli.options import Debug, Engine, File, Json, Quiet, Seed, Set, changes, from_here
from lbbench.cli.output import as_json, check_writable, console, deliver
from lbbench.errors import RunError

NO = 1


def plan(
    file: File,
    *,
    slo: Annotated[
        list[str] | None,
        typer.Option(
            metavar="METRIC=LIMIT",
            help="an objective, latency.p99=250ms; repeatable; else the file's slo",
        ),
    ] = None,
    for_: Annotated[
        Literal["pods", "nodes", "rate", "concurrency"],
        typer.Option("--for", help="what is looked for; concurrency: places of every pod"),
    ] = "pods",
    survive: Annotated[
        Literal["node", "pod", "zone"] | None,
        typer.Option(help="met without the largest pod, or any one node or zone, as well"),
    ] = None,
    balancers: Annotated[
        str | None, typer.Option(metavar="A,B,C", help="a plan for each; else the file's own")
    ] = None,
    profile: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="hourly rates in CSV, or an access log: a plan for every hour"
        ),
    ] = None,
    workers: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="processes; without it one per core")
    ] = None,
    set_: Set = None,
    seed: Seed = None,
    engine: Engine = "fast",
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Say what is needed for the objectives, with 95 % confidence and the evidence.

    A utilisation in the file is the rate that its own pods have. Ends with 0 when the objectives
    can be met, with --balancers by at least one of them, else with 1.

    \b
    Example:
      lbbench plan aks-ingress --slo latency.p99=250ms
      lbbench plan aks-ingress --balancers round_robin,least_conn,ewma --survive node
      lbbench plan my.yaml --for rate --slo latency.p99=250ms --slo error_rate=0.1%
      lbbench plan my.yaml --profile hours.csv
    """  # noqa: D301
    check_writable(json=json)
    from lbbench.inputs.yaml import load
    from lbbench.report.plan_progress import PlanBar
    from lbbench.studies.interrupt import ended_like_ctrl_c
    from lbbench.studies.planning.plan import plan as make_plan

    scenario = load(file, changes(set_, seed))
    names = None
    if balancers is not None:
        names = [from_here(name) for name in balancers.split(",")]
    with PlanBar(quiet=quiet) as bar, ended_like_ctrl_c():
        found = make_plan(
            scenario,
            objective=_objectives(slo),
            for_=for_,
            survive=survive,
            balancers=names,
            profile=profile,
            workers=workers,
            engine=engine,
            watcher=bar,
        )
    deliver(json, as_json(found.to_dict()))
    if json != "-" and not quiet:
        from lbbench.report.plan import show

        show(found.to_dict(), console())
    if not found.met:
        raise typer.Exit(NO)


def _objectives(given: list[str] | None) -> dict[str, object] | None:
    if not given:
        return None
    made: dict[str, object] = {}
    for text in given:
        metric, equals, limit = (part.strip() for part in text.partition("="))
        if not equals or not metric or not limit:
            raise RunError(
                f"--slo {text}: write it as METRIC=LIMIT, for instance latency.p99=250ms"
            )
        if metric in made:
            raise RunError(f"--slo {text}: {metric} is given twice; give each metric once")
        made[metric] = limit
    return made
