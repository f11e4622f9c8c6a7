"""``lbbench balancers``: what there is, and how each one works."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from lbbench.cli.options import Debug, Json
from lbbench.cli.output import as_json, check_writable, console, deliver


def balancers(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="explain this one (or FILE.py:NAME)")
    ] = None,
    *,
    json: Json = None,
    debug: Debug = False,  # noqa: ARG001
) -> None:
    """List the balancers, or explain one.

    \b
    Example:
      lbbench balancers
      lbbench balancers ewma
    """  # noqa: D301
    check_writable(json=json)
    from lbbench.balancers.base import find, registry
    from lbbench.report.balancers import as_dict, explain, overview

    chosen = [find(name, Path.cwd())] if name else list(registry().values())
    rows = [as_dict(item) for item in chosen]
    deliver(json, as_json({"schema": "lbbench.balancers/1", "balancers": rows}))
    if json == "-":
        return
    out = console()
    out.print(explain(chosen[0]) if name else overview(chosen))
