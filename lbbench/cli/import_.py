"""``lbbench import``: from what an operator has to a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from lbbench.cli.options import Debug, Quiet
from lbbench.cli.output import check_writable, console, write_text, write_whole
from lbbench.errors import InputError

SHOWN = 10


def import_(
    kind: Annotated[Literal["iptables", "access-log"], typer.Argument(help="what the files are")],
    paths: Annotated[list[str], typer.Argument(metavar="PATH...", help="files; - is stdin")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="NAME.yaml",
                     help="write the scenario (a log also writes NAME.trace.csv.gz)"),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="merge with an earlier import and write it there"),
    ] = None,
    service: Annotated[str | None, typer.Option(help="the service, namespace/name:port")] = None,
    backend: Annotated[str | None, typer.Option(help="the log's namespace-service-port")] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Turn a node's iptables-save or an ingress access log into a scenario.

    Example: lbbench import iptables node-1.rules -o my.yaml; lbbench import access-log access.log
    --into my.yaml
    """  # fmt: skip
    target = output or into
    if target is not None and target.suffix not in (".yaml", ".yml"):
        raise InputError(f"{target}: the scenario's file must end in .yaml")
    check_writable(target)
    from lbbench.inputs.combine import scenario_from
    from lbbench.inputs.yaml import dump
    from lbbench.model.check import build
    from lbbench.report.progress import Bar

    if kind == "iptables":
        from lbbench.inputs.iptables import read_iptables

        imported = scenario_from(read_iptables(list(paths)), into=into, service=service)
    else:
        from lbbench.inputs.access_log import read_access_log

        with Bar(quiet=quiet) as bar:
            log = read_access_log(
                list(paths), progress=lambda done, total: bar("reading", done, total)
            )
        imported = scenario_from(log=log, into=into, backend=backend)
    text = dump(imported.scenario)
    data = dict(imported.scenario)
    build(data, place=str(target or "the imported scenario"))
    out = console()
    if not quiet:
        stream = out if target is not None else _stderr()
        for note in imported.notes:
            stream.print(f"- {note}", highlight=False, markup=False)
        for place, line, reason in imported.skipped[:SHOWN]:
            stream.print(f"  skipped {place}:{line}: {reason}", highlight=False, markup=False)
        if len(imported.skipped) > SHOWN:
            stream.print(f"  and {len(imported.skipped) - SHOWN} more lines")
    if target is None:
        write_text("-", text)
        return
    write_text(target, text)
    if not quiet:
        out.print(f"wrote {target}", highlight=False)
    if imported.write_trace is not None and kind == "access-log":
        trace = target.with_name(f"{target.name.rsplit('.', 1)[0]}.trace.csv.gz")
        write_whole(trace, imported.write_trace)
        if not quiet:
            out.print(f"wrote {trace}", highlight=False)


def _stderr() -> object:
    from rich.console import Console

    return Console(stderr=True)
