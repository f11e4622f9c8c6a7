"""``lbbench import``: from what an operator has to a scenario."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import Debug, Quiet
from lbbench.cli.output import (
    Writer,
    check_writable,
    console,
    print_text,
    text_writer,
    write_all,
)
from lbbench.errors import InputError


def import_(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="KIND",
            help="what the files are: iptables (save, -S, -L), nftables, ipvs, conntrack, "
            "kubernetes, azure, nginx.conf, access-log or counts",
        ),
    ],
    paths: Annotated[
        list[str], typer.Argument(metavar="PATH...", help="files, gzip too; - is stdin")
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="NAME[.yaml]",
            help="write the scenario there (an access log also writes NAME.trace.csv.gz)",
        ),
    ] = None,
    into: Annotated[
        Path | None,
        typer.Option(metavar="FILE.yaml", help="merge with an earlier import; written there too"),
    ] = None,
    service: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE/NAME:PORT", help="the service, if several (of counts: the group)"
        ),
    ] = None,
    backend: Annotated[
        str | None,
        typer.Option(
            metavar="NAMESPACE-SERVICE-PORT",
            help="the backend, if several (of nginx.conf: the upstream)",
        ),
    ] = None,
    namespace: Annotated[
        str | None, typer.Option(metavar="NAME", help="kubernetes: look only in this namespace")
    ] = None,
    ingress: Annotated[
        str | None,
        typer.Option(metavar="NAMESPACE/NAME", help="kubernetes: the Ingress, if several"),
    ] = None,
    rule: Annotated[
        str | None, typer.Option(metavar="NAME", help="azure: the load balancing rule, if several")
    ] = None,
    concurrency: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="access-log: requests that a pod works on at a time, if known"
        ),
    ] = None,
    quiet: Quiet = False,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Turn rules, objects, connections, configuration, logs or counts into a scenario.

    Without -o and --into the scenario goes to stdout and what was found to stderr.

    \b
    Example:
      ssh node sudo iptables-save | lbbench import iptables - -o my.yaml
      kubectl logs -n ingress-nginx POD > access.log
      lbbench import access-log access.log --into my.yaml
      ssh node sudo nft list ruleset | lbbench import nftables - -o my.yaml
      ssh node sudo conntrack -L | lbbench import conntrack - --service 20.1.2.3:80
      kubectl get nodes,pods,svc,endpointslices,ingress,configmap,deploy -A -o json > all.json
      lbbench import kubernetes all.json --into my.yaml
      az network lb list -g MC_GROUP | lbbench import azure - --into my.yaml
    """  # noqa: D301
    if output is not None and not output.suffix:
        output = output.with_name(f"{output.name}.yaml")
    target = output or into
    if target is not None and target.suffix not in (".yaml", ".yml"):
        raise InputError(f"{target}: a scenario's file ends in .yaml; give such a name")
    trace = target and target.with_name(f"{target.stem}.trace.csv.gz")
    check_writable(**{"output" if output else "into": target})
    check_writable(output=trace if kind == "access-log" else None)
    from lbbench.inputs.yaml import dump
    from lbbench.report.progress import Bar
    from lbbench.studies.imported import read_input, trial

    with Bar(quiet=quiet) as bar:
        imported = read_input(
            kind,
            paths,
            into=into,
            progress=bar,
            service=service,
            backend=backend,
            namespace=namespace,
            ingress=ingress,
            rule=rule,
            concurrency=concurrency,
        )
    text = dump(imported.scenario)
    if target is None:
        print_text(text)
    else:
        files: dict[Path, Writer] = {target: text_writer(text)}
        if trace is not None and imported.write_trace is not None:
            files[trace] = imported.write_trace
        write_all(files)
    if quiet:
        return
    from lbbench.report.imported import show

    written = [] if target is None else [str(path) for path in files]
    with Bar(quiet=quiet) as bar:
        tried = trial(imported, progress=bar)
    show(imported, tried, console(stderr=target is None), written)
