"""`lbbench walk`: one packet, hop by hop."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lbbench.cli.options import Debug, Json, Seed, Set, changes
from lbbench.cli.output import as_json, check_writable, deliver
from lbbench.errors import InputError

if TYPE_CHECKING:
    from lbbench.packetwalk.site import Site
    from lbbench.report.walk import Line

PIPED_WIDTH = 100

STYLES: dict[str, dict[str, Any]] = {
    "title": {"bold": True},
    "hop": {"bold": True, "fg": "cyan"},
    "match": {"fg": "green"},
    "dim": {"dim": True},
}


def walk(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE|seed-lb|seed-ingress",
            help="scenario file, name of a shipped one, or one of the seed's two walks",
        ),
    ],
    *,
    client: Annotated[
        str | None, typer.Option(metavar="IP:PORT", help="who sends the packet")
    ] = None,
    node: Annotated[
        str | None, typer.Option(metavar="NAME", help="entry node: name, address or number")
    ] = None,
    pod: Annotated[
        str | None, typer.Option(metavar="NAME|IP", help="the pod that serves the request")
    ] = None,
    seed: Seed = None,
    set_: Set = None,
    json: Json = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """Follow one packet from the client to a pod and back, hop by hop.

    seed-lb and seed-ingress repeat the walks of the post "A Day in the Life of a Packet in AKS
    (part 2)"; with --seed or another --client their choices are computed and drawn instead.

    \b
    Example:
      lbbench walk seed-lb --pod 10.244.1.2
    """  # noqa: D301
    check_writable(json=json)
    from lbbench.packetwalk import walk as follow
    from lbbench.report.walk import plain, render

    site = _site(file, set_ or [], seed)
    found = follow(site, client=client, node=node, pod=pod, seed=seed)
    deliver(json, as_json(plain(found)))
    if json == "-":
        return
    width, wraps = _width()
    for line in render(found, width=width, wrap_rules=wraps):
        typer.echo(_styled(line))


def _site(file: str, set_: list[str], seed: int | None) -> Site:
    from lbbench.packetwalk.seed import PRESETS

    if file in PRESETS:
        if set_:
            raise InputError(
                f"--set {set_[0]}: {file} is fixed; --set changes scenarios, here use --client, "
                "--node, --pod and --seed"
            )
        return PRESETS[file]()
    if file.replace("_", "-").lower() in PRESETS and not Path(file).exists():
        raise InputError(f"{file}: there is no such walk; write {file.replace('_', '-').lower()}")

    from lbbench.inputs.yaml import load
    from lbbench.packetwalk.scenario_site import site_of

    return site_of(load(file, changes(set_, seed)))


def _width() -> tuple[int, bool]:
    """Return (columns, whether rules are wrapped too).

    A pipe gets whole rules, so that they can be searched, unless COLUMNS asks for a width.
    """
    asked = os.environ.get("COLUMNS", "").isdigit()
    if asked or sys.stdout.isatty():
        return shutil.get_terminal_size((PIPED_WIDTH, 24)).columns, True
    return PIPED_WIDTH, False


def _styled(line: Line) -> str:
    style = None if os.environ.get("NO_COLOR") else STYLES.get(line.style)
    return typer.style(line.text, **style) if style else line.text
