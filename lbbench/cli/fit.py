"""``lbbench fit``: tells whether an imbalance is chance."""

from __future__ import annotations

from typing import Annotated

import typer

from lbbench.cli.options import Debug, Json, Quiet
from lbbench.cli.output import as_json, check_writable, console, deliver

REJECTED = 1


def fit(
    path: Annotated[
        str,
        typer.Argument(
            metavar="PATH", help="counts (sort | uniq -c), an access log, conntrack -L; - is stdin"
        ),
    ],
    *,
    stage: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="who balanced: azure_lb, kube_proxy, reuse_port or ingress (decides which causes "
            "are tried)",
        ),
    ] = None,
    expected: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|SHARES",
            help="rules of a node, 0.5,0.3,0.2 in the order of the counts, or a=3,b=1; equal "
            "without",
        ),
    ] = None,
    targets: Annotated[
        int | None,
        typer.Option(metavar="N", help="how many there are, if some got nothing", min=2),
    ] = None,
    connections: Annotated[
        str | None,
        typer.Option(
            metavar="N|client|none",
            help="how many connections carried the requests; client: as many as clients (the "
            "default where they are known); none: every request was drawn for itself",
        ),
    ] = None,
    kind: Annotated[
        str | None,
        typer.Option(metavar="KIND", help="counts, access-log or conntrack; found out without"),
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="one group of counts, backend of a log, or service"),
    ] = None,
    level: Annotated[
        float, typer.Option(metavar="P", help="chance of a false alarm, all groups together")
    ] = 0.01,
    fail: Annotated[bool, typer.Option("--fail", help="end with 1 when it is not chance")] = False,
    json: Json = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Tell whether counts are as uneven as chance makes them, and what else made them so.

    Chi-square, G and, for small counts, the exact tails; too even counts are told as well (a round
    robin). Requests of one client that go to one target are not taken for independent. For the
    stage ingress, taking turns is no reason for --fail.

    \b
    Example:
      awk '{print $NF}' picks.txt | sort | uniq -c | lbbench fit -
      lbbench fit access.log --json -
      lbbench fit counts.txt --stage kube_proxy --expected node.rules --fail
    """  # noqa: D301
    check_writable(json=json)
    from lbbench.report.progress import Bar
    from lbbench.studies.fit import fit as judge

    with Bar(quiet=quiet) as bar:
        report = judge(
            path,
            kind=kind,
            group=group,
            stage=stage,
            expected=expected,
            targets=targets,
            connections=connections,
            level=level,
            progress=bar,
        )
    deliver(json, as_json(report.to_dict()))
    if json != "-" and not quiet:
        from lbbench.report.fit import show

        show(report, console())
    if fail and report.rejected:
        raise typer.Exit(REJECTED)
