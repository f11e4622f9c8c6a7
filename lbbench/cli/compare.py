"""``lbbench compare``: the same traffic through several balancers or settings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lbbench.cli.options import Debug, File, Json, Quiet, Replications, Seed, Set, changes
from lbbench.cli.output import check_folder, check_writable, console, write_json
from lbbench.cli.run import _startup
from lbbench.errors import LbbenchError

DEFAULT = "round_robin,random,least_conn,ewma,chash"


def compare(
    file: File,
    balancers: Annotated[
        str | None,
        typer.Option(metavar="A,B,C", help=f"balancers to compare; without it {DEFAULT}"),
    ] = None,
    vary: Annotated[
        str | None, typer.Option(metavar="LEAF=X,Y", help="compare values of any leaf instead")
    ] = None,
    set_: Set = None,
    seed: Seed = None,
    replications: Replications = None,
    engine: Annotated[Literal["fast", "reference"], typer.Option(help="engine")] = "fast",
    json: Json = None,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="write comparison.json there")
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Send the same traffic through several balancers and say how they differ.

    Example: lbbench compare aks-ingress --balancers round_robin,ewma,least_conn
    """
    check_writable(json)
    check_folder(out)
    from lbbench.inputs.yaml import load, parse_set
    from lbbench.report.progress import Bar
    from lbbench.studies.compare import BALANCER
    from lbbench.studies.compare import compare as compare_variants

    if balancers is not None and vary is not None:
        raise LbbenchError("--balancers and --vary both say what varies; give one of them")
    leaf, text = BALANCER, balancers or DEFAULT
    if vary is not None:
        leaf, equals, text = vary.partition("=")
        if not equals or not text:
            raise LbbenchError(f"--vary {vary}: write it as LEAF=X,Y")
    values = [parse_set(f"{leaf}={value}")[1] for value in text.split(",") if value.strip()]
    scenario = load(file, changes(set_, seed, replications))
    if scenario.path == "service" and leaf == BALANCER:
        raise LbbenchError(
            f"{scenario.name}: path is service, no ingress balancer takes part; compare another "
            f"leaf, for instance --vary stages.kube_proxy.mode=iptables,iptables_nth"
        )
    with Bar(quiet=quiet) as bar:
        found = compare_variants(
            scenario, values, leaf=leaf, engine=engine, progress=bar, startup_s=_startup()
        )
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / "comparison.json", found.to_dict())
    if json is not None:
        write_json(json, found.to_dict())
    if not quiet and json != "-":
        from lbbench.report.comparison import show

        show(found, console())
