"""``lbbench export-rules``: the iptables rules of one node of a scenario."""

from __future__ import annotations

from typing import Annotated

import typer

from lbbench.cli.options import Debug, File, Set, changes
from lbbench.cli.output import check_writable, deliver


def export_rules(
    file: File,
    *,
    node: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="node by name, address or number; default the first"),
    ] = None,
    node_port: Annotated[
        int | None,
        typer.Option(metavar="PORT", help="the Service's node port; default no rule for one"),
    ] = None,
    out: Annotated[
        str, typer.Option("-o", "--out", metavar="PATH|-", help="file to write; - is stdout")
    ] = "-",
    set_: Set = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Write the rules that kube-proxy gives a node of the scenario, as iptables-restore reads them.

    They replace the tables that they name: load them in a network namespace of their own. Addresses
    of IPv6 are for ip6tables-restore.
    `lbbench import iptables` reads them back to the same endpoints and probabilities.

    \b
    Example:
      lbbench export-rules aks-ingress --node node-1 -o node-1.rules
      ip netns exec bed iptables-restore --test node-1.rules
    """  # noqa: D301
    check_writable(out=out)
    from lbbench.inputs.yaml import load
    from lbbench.packetwalk.ruleset import restore_text

    deliver(out, restore_text(load(file, changes(set_)), node=node, node_port=node_port))
